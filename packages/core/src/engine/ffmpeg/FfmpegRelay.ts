/**
 * Relays a camera with ffmpeg, and leaves out audio that the camera announces but does not send.
 *
 * When ffmpeg transcodes audio, it publishes nothing before the first audio packet: a camera that announces audio
 * and sends none would never be live. If ffmpeg publishes nothing for some time, it is restarted without audio.
 * When ffmpeg copies audio, the audio may start at any time, so no restart is needed.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { RelayReason } from "../../camera/Reason.ts"
import type { ProcessLauncher } from "../../process/ProcessLauncher.ts"
import { RelayError, type RunningRelay } from "../RunningRelay.ts"
import { type AudioPlan, isTranscoding, planAudio, publishedBy } from "./FfmpegArgs.ts"
import * as FfmpegProcess from "./FfmpegProcess.ts"

export interface RelayTarget extends FfmpegProcess.RelayTarget {
  /** How long ffprobe took to open the camera: ffmpeg sends the same requests. */
  readonly opened: Duration.Duration
}

/** How long ffmpeg waits for audio to transcode, after opening the camera. */
const audioPatience = Duration.seconds(5)

/** A function that starts the relay of a camera. The scope owns its process. */
export const make = (launcher: ProcessLauncher, options: FfmpegProcess.FfmpegProcessOptions) => {
  const startProcess = FfmpegProcess.make(launcher, options)

  return Effect.fnUntraced(function* (
    target: RelayTarget
  ): Effect.fn.Return<RunningRelay, RelayReason, Scope.Scope> {
    const { info, opened, source } = target
    const plan = planAudio(source, info)
    const scope = yield* Effect.scope
    const processScope = yield* Scope.fork(scope)
    let process = yield* Scope.provide(startProcess(target, plan), processScope)
    if (!isTranscoding(plan)) {
      return { ...process, published: publishedBy(plan, info), notices: [] }
    }

    let published = publishedBy(plan, info)
    const notices: Array<string> = []
    const flowing = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<never, RelayError>()
    const patience = Duration.sum(Duration.times(opened, 2), audioPatience)

    const restartWithoutAudio = Effect.gen(function* () {
      yield* Scope.close(processScope, Exit.void)
      published = publishedBy("none", info)
      notices.push(withoutAudio(plan, target))
      process = yield* Scope.provide(startProcess(target, "none"), scope).pipe(
        Effect.mapError((reason) => new RelayError({ reason }))
      )
    })

    yield* Effect.raceAllFirst([
      Effect.as(process.writing, true),
      Effect.as(Effect.sleep(patience), false),
      process.ended
    ]).pipe(
      Effect.flatMap((isWriting) => (isWriting ? Effect.void : restartWithoutAudio)),
      Effect.andThen(
        Effect.suspend(() =>
          Effect.raceFirst(
            Effect.andThen(
              process.flowing,
              Effect.andThen(Deferred.succeed(flowing, undefined), Effect.never)
            ),
            process.ended
          )
        )
      ),
      Effect.catchCause((cause) => Deferred.failCause(ended, cause)),
      Effect.forkIn(scope)
    )

    return {
      flowing: Deferred.await(flowing),
      ended: Deferred.await(ended),
      counters: () => process.counters(),
      get published() {
        return published
      },
      notices
    }
  })
}

const withoutAudio = (plan: AudioPlan, { info }: RelayTarget): string =>
  `relaying without audio: the camera announces ${info.audio?.codec ?? "unknown"} audio, but sends none to transcode to ${plan}`
