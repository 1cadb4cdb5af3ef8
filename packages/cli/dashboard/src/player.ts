/**
 * Plays a camera by WebRTC (WHEP). The signalling goes through the daemon, the media come from the media server.
 *
 * Only pictures that were drawn prove that a camera plays: a media server may accept a session, connect it and send
 * nothing that this browser can decode.
 */
import { endSession, NotPlayable, openSession } from "./api.ts"

/** Why a camera does not play, in the words of `text.ts`. */
export type Obstacle =
  | "noWebRtc"
  | "codec"
  | "notLive"
  | "serverUnreachable"
  | "accessDenied"
  | "noStream"
  | "rejected"
  | "noConnection"
  | "noPicture"
  | "stalled"

export type PlayerState =
  | { readonly tag: "idle" }
  | { readonly tag: "connecting" }
  /** `firstPictureMs`: from the request to the first picture. */
  | { readonly tag: "playing"; readonly firstPictureMs: number }
  /** `detail`: more in the words of the daemon, in English. */
  | { readonly tag: "failed"; readonly obstacle: Obstacle; readonly detail: string }

/** Candidates of this machine come at once; a name server may keep others waiting. */
const gatheringMs = 1000
/** Without a way for the media by then, a firewall drops them. */
const connectMs = 8000
/** From the connection to the first picture: the longest interval between keyframes of most cameras. */
const firstPictureMs = 12_000
const stallMs = 6000
const checkMs = 500

const obstacles: Record<string, Obstacle> = {
  NotLive: "notLive",
  ServerUnreachable: "serverUnreachable",
  AccessDenied: "accessDenied",
  NoStream: "noStream",
  UnsupportedCodecs: "codec"
}

const mimeTypes: Record<string, string> = {
  h264: "video/h264",
  hevc: "video/h265",
  vp8: "video/vp8",
  vp9: "video/vp9",
  av1: "video/av1"
}

/** Whether this browser receives the codec by WebRTC; an unknown codec is left to the media server. */
const canReceive = (codec: string | undefined): boolean => {
  if (codec === undefined) return true
  const wanted = mimeTypes[codec]
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? []
  return codecs.some(({ mimeType }) => mimeType.toLowerCase() === wanted)
}

const gathered = (connection: RTCPeerConnection): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, gatheringMs)
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return
      clearTimeout(timer)
      resolve()
    })
  })

/**
 * Plays a camera in the element until the function that it returns is called, or until it fails.
 *
 * @param codec of the video, as the daemon names it.
 */
export const play = (
  id: string,
  codec: string | undefined,
  video: HTMLVideoElement,
  onState: (state: PlayerState) => void
): (() => void) => {
  const startedAt = performance.now()
  let isOver = false
  let connection: RTCPeerConnection | undefined
  let session: string | undefined
  let connectedAt: number | undefined
  let lastPictureAt: number | undefined
  let timer: ReturnType<typeof setInterval> | undefined

  const end = () => {
    if (isOver) return
    isOver = true
    clearInterval(timer)
    connection?.close()
    video.srcObject = null
    if (session !== undefined) endSession(session)
  }
  const fail = (obstacle: Obstacle, detail = "") => {
    if (isOver) return
    end()
    onState({ tag: "failed", obstacle, detail })
  }

  const onPicture = () => {
    if (isOver) return
    const isFirst = lastPictureAt === undefined
    lastPictureAt = performance.now()
    if (isFirst) onState({ tag: "playing", firstPictureMs: lastPictureAt - startedAt })
    video.requestVideoFrameCallback(onPicture)
  }

  const check = () => {
    const now = performance.now()
    if (connection?.connectionState === "connected") connectedAt ??= now
    if (lastPictureAt !== undefined) {
      if (now - lastPictureAt > stallMs) fail("stalled")
    } else if (connectedAt === undefined) {
      if (connection?.connectionState === "failed" || now - startedAt > connectMs) {
        fail("noConnection")
      }
    } else if (now - connectedAt > firstPictureMs) fail("noPicture")
  }

  const open = async () => {
    if (typeof RTCPeerConnection === "undefined") return fail("noWebRtc")
    if (!canReceive(codec)) return fail("codec")
    connection = new RTCPeerConnection()
    const stream = new MediaStream()
    connection.addEventListener("track", ({ track }) => stream.addTrack(track))
    connection.addTransceiver("video", { direction: "recvonly" })
    connection.addTransceiver("audio", { direction: "recvonly" })
    await connection.setLocalDescription()
    await gathered(connection)
    if (isOver) return
    const opened = await openSession(id, connection.localDescription?.sdp ?? "")
    session = opened.session
    // somebody stopped it meanwhile
    if (isOver) return endSession(session)
    await connection.setRemoteDescription({ type: "answer", sdp: opened.answer })
    video.srcObject = stream
    await video.play()
  }

  onState({ tag: "connecting" })
  timer = setInterval(check, checkMs)
  video.requestVideoFrameCallback(onPicture)
  open().catch((error: unknown) => {
    if (error instanceof NotPlayable) fail(obstacles[error.code] ?? "rejected", error.message)
    else fail("rejected", error instanceof Error ? error.message : String(error))
  })
  return end
}
