/** The ffmpeg engine on real processes. */
import { NodeServices } from "@effect/platform-node"
import { Ffmpeg } from "@restream/core"
import { Duration, Effect } from "effect"
import { anyFfmpeg, ffprobes } from "./Binaries.ts"

/** An engine with short times, of any ffmpeg unless it names one. */
export const engine = (options: Partial<Ffmpeg.FfmpegEngine.FfmpegEngineOptions> = {}) =>
  Ffmpeg.FfmpegEngine.make({
    ffmpegPath: anyFfmpeg,
    ffprobePath: ffprobes[0]!.path,
    openTimeout: Duration.seconds(8),
    killGrace: Duration.seconds(1),
    ...options
  }).pipe(Effect.provide(NodeServices.layer))
