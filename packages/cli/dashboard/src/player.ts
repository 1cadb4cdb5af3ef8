/**
 * Plays a camera: by WebRTC, and where that does not play, by HLS.
 *
 * Only pictures that were drawn prove that a camera plays: a media server may accept a session, connect it and send
 * nothing that this browser can decode.
 */
import { NotPlayable } from "./api.ts"
import { type Obstacle, type Start, Unplayable } from "./attempt.ts"
import { startHls } from "./hls.ts"
import { startWebRtc } from "./webrtc.ts"

export type Protocol = "webrtc" | "hls"

/** `detail`: more in the words of the daemon, in English. */
export interface Failure {
  readonly protocol: Protocol
  readonly obstacle: Obstacle
  readonly detail: string
}

/** `failures`: of the protocols that were tried before. */
export type PlayerState =
  | { readonly tag: "idle" }
  | {
      readonly tag: "connecting"
      readonly protocol: Protocol
      readonly failures: ReadonlyArray<Failure>
    }
  /** `firstPictureMs`: from the click to the first picture. */
  | {
      readonly tag: "playing"
      readonly protocol: Protocol
      readonly firstPictureMs: number
      readonly failures: ReadonlyArray<Failure>
    }
  | { readonly tag: "failed"; readonly failures: ReadonlyArray<Failure> }

const protocols: ReadonlyArray<readonly [Protocol, Start]> = [
  ["webrtc", startWebRtc],
  ["hls", startHls]
]
/** HLS waits for whole segments. */
const stallMs = { webrtc: 6000, hls: 12_000 }
const checkMs = 500

const obstacles: Record<string, Obstacle> = {
  NotLive: "notLive",
  ServerUnreachable: "serverUnreachable",
  AccessDenied: "accessDenied",
  NoStream: "noStream",
  UnsupportedCodecs: "codec"
}

const failureOf = (protocol: Protocol, error: unknown): Failure => {
  const detail = error instanceof Error ? error.message : String(error)
  if (error instanceof Unplayable) return { protocol, obstacle: error.obstacle, detail }
  const obstacle = error instanceof NotPlayable ? obstacles[error.code] : undefined
  return { protocol, obstacle: obstacle ?? "rejected", detail }
}

/** Plays a camera in the element until the function that it returns is called, or until every protocol has failed. */
export const play = (
  id: string,
  codec: string | undefined,
  video: HTMLVideoElement,
  onState: (state: PlayerState) => void
): (() => void) => {
  const startedAt = performance.now()
  const failures: Array<Failure> = []
  let end = () => {}

  const next = () => {
    const candidate = protocols[failures.length]
    // no protocol plays a camera that is not live
    if (candidate === undefined || failures.at(-1)?.obstacle === "notLive") {
      return onState({ tag: "failed", failures })
    }
    const [protocol, start] = candidate
    const before = [...failures]
    onState({ tag: "connecting", protocol, failures: before })
    let isOver = false
    let lastPictureAt: number | undefined

    const fail = (error: unknown) => {
      if (isOver) return
      end()
      failures.push(failureOf(protocol, error))
      next()
    }
    const onPicture = () => {
      if (isOver) return
      const now = performance.now()
      if (lastPictureAt === undefined) {
        onState({ tag: "playing", protocol, firstPictureMs: now - startedAt, failures: before })
      }
      lastPictureAt = now
      video.requestVideoFrameCallback(onPicture)
    }
    const check = () => {
      const now = performance.now()
      const obstacle =
        lastPictureAt === undefined
          ? attempt.obstacle(now)
          : now - lastPictureAt > stallMs[protocol]
            ? "stalled"
            : undefined
      if (obstacle !== undefined) fail(new Unplayable(obstacle))
    }

    const timer = setInterval(check, checkMs)
    end = () => {
      isOver = true
      clearInterval(timer)
      attempt.end()
    }
    video.requestVideoFrameCallback(onPicture)
    const attempt = start(id, codec, video, fail)
    attempt.opened.catch(fail)
  }

  next()
  return () => end()
}
