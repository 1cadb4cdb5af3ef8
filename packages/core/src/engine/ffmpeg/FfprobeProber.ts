/** Probes a camera with ffprobe. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ProtocolError, type ProbeReason, LaunchFailed, TimedOut } from "../../camera/Reason.ts"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import { ProbeError, type StreamSource } from "../CameraStream.ts"
import type { Prober } from "../Prober.ts"
import type { StreamInfo } from "../StreamInfo.ts"
import * as Deadline from "../../time/Deadline.ts"
import type * as Child from "../../process/Child.ts"
import type { Launcher } from "../../process/Launcher.ts"
import * as FfmpegReason from "./FfmpegReason.ts"
import * as FfmpegVersion from "./FfmpegVersion.ts"
import * as FfmpegWords from "./FfmpegWords.ts"
import { ffprobeArguments, ioTimeoutMs } from "./FfprobeArgs.ts"
import * as FfprobeReport from "./FfprobeReport.ts"

export interface FfprobeProberOptions {
  /** A path, or a name to look for in PATH. */
  readonly ffprobePath: string
  /** The deadline of a probe, from the start of its process to its end. */
  readonly probeTimeout: Duration.Input
}

/** A report is some kilobytes; more than this is no report. */
const longestReport = 1024 * 1024

/** A prober that runs ffprobe once for each probe. */
export const make = (launcher: Launcher, options: FfprobeProberOptions): Prober => {
  const program = { name: "ffprobe", path: options.ffprobePath } as const
  const timeout = Duration.fromInputUnsafe(options.probeTimeout)
  const timeoutMs = Duration.toMillis(timeout)
  const versions = FfmpegVersion.reader(program, launcher)

  const run = Effect.fnUntraced(function* (
    target: StreamSource
  ): Effect.fn.Return<StreamInfo, ProbeReason> {
    const version = yield* versions.get
    const args = yield* Effect.fromResult(ffprobeArguments(target, { timeoutMs, version }))
    const clock = yield* Clock.Clock
    let report = ""
    const decoder = new TextDecoder()

    const ended = yield* Effect.scoped(
      Effect.gen(function* () {
        const child = yield* launcher
          .launch({
            argv: [program.path, ...args],
            onStdout: (chunk) => {
              if (report.length < longestReport) report += decoder.decode(chunk, { stream: true })
            }
          })
          .pipe(Effect.mapError((error) => FfmpegVersion.startFailure(program, error)))
        const startedAt = clock.monotonicTimeNanosUnsafe()
        const status = yield* Effect.asSome(child.exited).pipe(
          Deadline.within(timeout, () => Effect.succeedNone)
        )
        const lifeMs = Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e6
        return { status, lifeMs, said: child.said.lines() }
      })
    )

    const words = FfmpegWords.read(ended.said, { camera: StreamUrl.reveal(target.url) })
    if (Option.isNone(ended.status)) {
      return yield* Effect.fail(
        new TimedOut({ phase: FfmpegReason.phaseOf(words), afterMs: timeoutMs })
      )
    }
    const status = ended.status.value
    if (status === 0) return yield* Effect.fromResult(FfprobeReport.read(report))

    const reason =
      FfmpegVersion.execFailure(program, status, ended.said) ??
      FfmpegReason.probeReason(
        {
          status,
          said: ended.said,
          lifeMs: ended.lifeMs,
          camera: target.url,
          ioTimeoutMs: ioTimeoutMs(timeoutMs)
        },
        words
      ) ??
      unexplained(status, FfmpegReason.shownWords(ended.said, [target.url]), target.url)
    // the program may have been replaced by another
    if (reason._tag === "LaunchFailed") versions.forget()
    return yield* Effect.fail(reason)
  })

  return {
    // a process, which is busy with the media of a good camera for a second or two
    slowAfter: Duration.seconds(3),
    concurrency: 32,
    probe: (target) => Effect.mapError(run(target), (reason) => new ProbeError({ reason }))
  }
}

const unexplained = (
  status: Child.ExitStatus,
  lastWords: string,
  { host }: StreamUrl
): ProbeReason => {
  if (typeof status === "string") {
    // seen with the static builds of 2018 to 2024, where the machine's C library is another
    const hint = /[g-z]/i.test(host) ? "; static builds do when they look up a host name" : ""
    return new LaunchFailed({ detail: `ffprobe died by ${status}${hint}` })
  }
  return lastWords === ""
    ? new LaunchFailed({ detail: `ffprobe ended with code ${status} and said nothing` })
    : new ProtocolError({ detail: lastWords })
}
