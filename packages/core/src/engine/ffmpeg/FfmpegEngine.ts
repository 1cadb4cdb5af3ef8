/**
 * The engine `ffmpeg`: probes with ffprobe, relays with one ffmpeg process per camera.
 *
 * It does what the native engine leaves out: transcoding sound, UDP, RTMP, HTTP and SRT cameras. It
 * needs both programs, of version 4 or later; their versions are read with the first use.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Launcher from "../../process/Launcher.ts"
import type { Trust } from "../../rtsp/client/Dialer.ts"
import type { Engine, EngineParts } from "../Engine.ts"
import { engineOf } from "../Prober.ts"
import * as FfmpegRelay from "./FfmpegRelay.ts"
import * as FfprobeProber from "./FfprobeProber.ts"

export interface FfmpegEngineOptions {
  /** A path, or a name to look for in PATH. Default `ffmpeg`. */
  readonly ffmpegPath?: string | undefined
  /** A path, or a name to look for in PATH. Default `ffprobe`. */
  readonly ffprobePath?: string | undefined
  /** The deadline of a probe. Default 10 s. */
  readonly probeTimeout?: Duration.Input | undefined
  /** How long the video may stand still before a relay ends itself. Default 10 s. */
  readonly stallTimeout?: Duration.Input | undefined
  /** How long the first picture may take. Default 30 s, and never less than `stallTimeout`. */
  readonly startTimeout?: Duration.Input | undefined
  /** How long a process may take to end by TERM before it gets KILL. Default 3 s. */
  readonly killGrace?: Duration.Input | undefined
  /** Whose certificate of an `rtsps` media server is good. Default: verified. */
  readonly serverTrust?: Trust | undefined
  /** Whether the media server answers now. Asked when a relay stalls, or when the server ended it. */
  readonly checkServer: Effect.Effect<boolean>
}

/** Makes the engine. It starts no process before it is used. */
export const make = Effect.fnUntraced(function* (
  options: FfmpegEngineOptions
): Effect.fn.Return<Engine & EngineParts, never, ChildProcessSpawner> {
  const launcher = yield* Launcher.make
  return engineOf("ffmpeg", {
    prober: FfprobeProber.make(launcher, {
      ffprobePath: options.ffprobePath ?? "ffprobe",
      probeTimeout: options.probeTimeout ?? "10 seconds"
    }),
    relay: FfmpegRelay.make(launcher, {
      ffmpegPath: options.ffmpegPath ?? "ffmpeg",
      stallTimeout: options.stallTimeout ?? "10 seconds",
      startTimeout: options.startTimeout,
      killGrace: options.killGrace ?? "3 seconds",
      serverTrust: options.serverTrust ?? { _tag: "Verify" },
      checkServer: options.checkServer
    })
  })
})
