/** Plays a camera by WebRTC (WHEP). The signalling goes through the daemon, the media come from the media server. */
import { endSession, openSession } from "./api.ts"
import { type Obstacle, type Start, Unplayable } from "./attempt.ts"

/** Candidates of this machine come at once; a name server may keep others waiting. */
const gatheringMs = 1000
/** Without a way for the media by then, a firewall drops them. */
const connectMs = 8000
/** From the connection to the first picture: the longest interval between keyframes of most cameras. */
const firstPictureMs = 12_000
/** A media server that cannot send the stream ends it soon; the browser notices long after. */
const silentMs = 3000

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

/** How many packets of video have come. */
const packetsOf = async (connection: RTCPeerConnection): Promise<number> => {
  let packets = 0
  for (const stats of (await connection.getStats()).values() as Iterable<Record<string, unknown>>) {
    if (stats["type"] !== "inbound-rtp" || stats["kind"] !== "video") continue
    packets += Number(stats["packetsReceived"] ?? 0)
  }
  return packets
}

export const startWebRtc: Start = (id, codec, video) => {
  const startedAt = performance.now()
  let isOver = false
  let connection: RTCPeerConnection | undefined
  let session: string | undefined
  let connectedAt: number | undefined
  let packets = 0
  let lastPacketAt = 0

  const watchPackets = async (connection: RTCPeerConnection) => {
    const received = await packetsOf(connection)
    if (received !== packets) lastPacketAt = performance.now()
    packets = received
  }

  const open = async () => {
    if (typeof RTCPeerConnection === "undefined") throw new Unplayable("unsupported")
    if (!canReceive(codec)) throw new Unplayable("codec")
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

  return {
    opened: open(),
    obstacle: (now): Obstacle | undefined => {
      if (connection?.connectionState === "connected" && connectedAt === undefined) {
        connectedAt = now
        lastPacketAt = now
      }
      if (connection === undefined || connectedAt === undefined) {
        const isLate = now - startedAt > connectMs
        return isLate || connection?.connectionState === "failed" ? "noConnection" : undefined
      }
      void watchPackets(connection)
      const isSilent = packets > 0 && now - lastPacketAt > silentMs
      return isSilent || now - connectedAt > firstPictureMs ? "noPicture" : undefined
    },
    end: () => {
      isOver = true
      connection?.close()
      video.srcObject = null
      if (session !== undefined) endSession(session)
    }
  }
}
