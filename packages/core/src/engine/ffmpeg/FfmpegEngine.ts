/**
 * The engine `ffmpeg`: opens a camera with ffprobe, and relays it with one ffmpeg process.
 *
 * This engine transcodes audio and reads UDP, RTMP, HTTP and SRT cameras, which the native engine does not. It
 * needs both programs, version 4 or later; their versions are read at the first use. A camera sees two connections:
 * ffprobe's, and then ffmpeg's.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as ProcessLauncher from "../../process/ProcessLauncher.ts"
import { anyServer, type CameraStream, ProbeError, type StreamSource } from "../CameraStream.ts"
import type { Engine } from "../Engine.ts"
import { RelayError } from "../RunningRelay.ts"
import * as FfmpegRelay from "./FfmpegRelay.ts"
import * as Ffprobe from "./Ffprobe.ts"

export interface FfmpegEngineOptions {
  /** A path, or a name to look up in PATH. Default `ffmpeg`. */
  readonly ffmpegPath?: string | undefined
  /** A path, or a name to look up in PATH. Default `ffprobe`. */
  readonly ffprobePath?: string | undefined
  /**
   * The time for opening a camera, unless the camera has its own `openTimeout`: for ffprobe, and once more for
   * ffmpeg. Default 10 s.
   */
  readonly openTimeout?: Duration.Input | undefined
  /** How long the video may pause before the relay ends. Default 10 s. */
  readonly stallTimeout?: Duration.Input | undefined
  /** How long after the start of ffmpeg the first video may take. Default: 30 s more than for opening. */
  readonly startTimeout?: Duration.Input | undefined
  /** How long a process may take to end after TERM, before KILL. Default 3 s. */
  readonly killGrace?: Duration.Input | undefined
}

const defaultTimeout = Duration.seconds(10)

/** Makes the engine. No process starts before the first use. */
export const make = (
  options: FfmpegEngineOptions = {}
): Effect.Effect<Engine, never, ChildProcessSpawner> =>
  Effect.map(ProcessLauncher.make, (launcher) => makeWith(launcher, options))

/** Makes the engine with a launcher that other engines may share. */
export const makeWith = (
  launcher: ProcessLauncher.ProcessLauncher,
  options: FfmpegEngineOptions
): Engine => {
  const ffprobe = Ffprobe.make(launcher, options.ffprobePath ?? "ffprobe")
  const relay = FfmpegRelay.make(launcher, {
    ffmpegPath: options.ffmpegPath ?? "ffmpeg",
    stallTimeout: options.stallTimeout ?? defaultTimeout,
    startTimeout: options.startTimeout,
    killGrace: options.killGrace ?? "3 seconds"
  })
  const open = Effect.fnUntraced(function* (
    source: StreamSource
  ): Effect.fn.Return<CameraStream, ProbeError, Scope.Scope> {
    const openTimeout = Duration.fromInputUnsafe(
      source.options.openTimeout ?? options.openTimeout ?? defaultTimeout
    )
    const [opened, { info, isInOrder }] = yield* ffprobe(source, openTimeout).pipe(
      Effect.mapError((reason) => new ProbeError({ reason })),
      Effect.withSpan("Ffprobe"),
      Effect.timed
    )
    return {
      info,
      // `hasFallback` is ignored: this engine transcodes
      publish: ({ destination, server = anyServer, userAgent }) =>
        Effect.mapError(
          relay({ source, info, isInOrder, destination, server, userAgent, openTimeout, opened }),
          (reason) => new RelayError({ reason })
        )
    }
  })
  return {
    name: "ffmpeg",
    // a process is busy with the media of a responsive camera for a second or two
    slowAfter: Duration.seconds(3),
    concurrency: 32,
    open
  }
}
