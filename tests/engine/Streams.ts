/** Cameras and destinations as the supervisor passes them to an engine. */
import {
  type Camera,
  type CameraId,
  type CameraOptions,
  type Engine,
  type Ffmpeg,
  type MediaPath,
  type ProbeError,
  type PublishOptions,
  type RelayError,
  type RunningRelay,
  type StreamInfo,
  type StreamSource,
  StreamUrl
} from "@restream/core"
import { Effect, Redacted, Result, type Scope } from "effect"

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

export interface Job extends PublishOptions {
  readonly source: StreamSource
}

export const job = (
  from: string,
  to: string,
  chosen: Partial<CameraOptions> = {},
  hasFallback = false
): Job => ({ source: camera(from, chosen), destination: urlOf(to), hasFallback })

/** What a camera sends. */
export const probe = (
  engine: Engine,
  source: StreamSource
): Effect.Effect<StreamInfo, ProbeError> =>
  Effect.scoped(Effect.map(engine.open(source), ({ info }) => info))

/** Opens a camera's stream and publishes it. */
export const startRelay = (
  engine: Engine,
  { source, ...destination }: Job
): Effect.Effect<RunningRelay, ProbeError | RelayError, Scope.Scope> =>
  Effect.flatMap(engine.open(source), ({ publish }) => publish(destination))

/** The arguments as the process gets them. */
export const revealed = <E>(
  args: Result.Result<Ffmpeg.FfmpegInput.Arguments, E>
): ReadonlyArray<string> =>
  Result.getOrThrow(args).map((word) => (Redacted.isRedacted(word) ? Redacted.value(word) : word))
