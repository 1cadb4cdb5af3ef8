/** Jobs and targets as the supervisor would give them. */
import {
  type Camera,
  type CameraId,
  type CameraOptions,
  type Ffmpeg,
  type MediaPath,
  type StreamInfo,
  type RelayJob,
  StreamUrl
} from "@restream/core"
import { Redacted, Result } from "effect"

export const options: CameraOptions = {
  engine: "ffmpeg",
  transport: "tcp",
  audio: "auto",
  wallclock: false,
  insecure: false,
  fingerprint: undefined
}

export const urlOf = (text: string): StreamUrl => Result.getOrThrow(StreamUrl.parse(text))

export const camera = (url: string, chosen: Partial<CameraOptions> = {}): Camera => ({
  _tag: "Camera",
  id: "7" as CameraId,
  name: "Gate",
  type: "url",
  url: urlOf(url),
  path: "cam7" as MediaPath.MediaPath,
  options: { ...options, ...chosen }
})

export const silentOffer: StreamInfo = {
  video: { codec: "h264", width: 320, height: 240 },
  audio: undefined
}

export const job = (
  from: string,
  to: string,
  chosen: Partial<CameraOptions> = {},
  audio: StreamInfo["audio"] = undefined
): RelayJob => ({
  camera: camera(from, chosen),
  offer: { ...silentOffer, audio },
  destination: urlOf(to),
  hasFallback: false
})

/** The arguments as the process gets them. */
export const revealed = <E>(
  args: Result.Result<Ffmpeg.FfmpegInput.Arguments, E>
): ReadonlyArray<string> =>
  Result.getOrThrow(args).map((word) => (Redacted.isRedacted(word) ? Redacted.value(word) : word))
