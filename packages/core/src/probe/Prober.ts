/**
 * The port for probing: does a camera answer, and what does it send?
 *
 * Adapters: `FfprobeProber`, `NativeProber`. Every adapter passes the suite in
 * `tests/probe/ProberContract.ts`.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { CameraOptions } from "../camera/CameraOptions.ts"
import { ProbeReason } from "../camera/Reason.ts"
import type { StreamUrl } from "../camera/StreamUrl.ts"

/** The video that a camera offers. */
export interface VideoTrack {
  /** In lower case, as ffmpeg names it: `h264`, `hevc`, `mjpeg`, `av1`, … */
  readonly codec: string
  /** In pixels; missing where the camera's description does not tell. */
  readonly width?: number | undefined
  readonly height?: number | undefined
}

/** The sound that a camera offers. */
export interface AudioTrack {
  /** In lower case, as ffmpeg names it: `aac`, `pcm_alaw`, `pcm_mulaw`, `opus`, … */
  readonly codec: string
  /** In Hz. */
  readonly sampleRate?: number | undefined
  readonly channels?: number | undefined
  /**
   * Whether a media server can take the track as it is. An AAC track without its configuration can't be
   * copied: the server would reject the video along with it.
   */
  readonly copyable: boolean
}

/** What a camera offers. */
export interface ProbeResult {
  readonly video: VideoTrack
  /** `undefined`: the camera has no sound. */
  readonly audio: AudioTrack | undefined
}

/** What is probed. */
export interface ProbeTarget {
  readonly url: StreamUrl
  readonly options: CameraOptions
}

/** The camera can't be used now; `reason` tells why, and how soon to try again. */
export class ProbeError extends Schema.TaggedError<ProbeError>()("ProbeError", {
  reason: ProbeReason
}) {
  override get message(): string {
    return this.reason.message
  }
}

export interface Prober {
  /**
   * After this time a probe most likely does nothing but wait for an answer, and another one may run
   * beside it. The longer, the more it costs to wait.
   */
  readonly slowAfter: Duration.Duration
  /** How many of its probes may run at a time, by what one costs this machine; a setting overrides it. */
  readonly concurrency: number
  /**
   * Asks the camera what it offers.
   *
   * It ends within the adapter's total deadline, whatever the camera does. Interrupting it waits until
   * the connection or the process is gone. A wrong password costs the camera one wrong attempt.
   */
  readonly probe: (target: ProbeTarget) => Effect.Effect<ProbeResult, ProbeError>
}
