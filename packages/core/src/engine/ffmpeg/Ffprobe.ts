/** Reads what a camera sends, with ffprobe. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ProtocolError, type ProbeReason, LaunchFailed, TimedOut } from "../../camera/Reason.ts"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import type { StreamSource } from "../CameraStream.ts"
import * as Deadline from "../../time/Deadline.ts"
import type * as Child from "../../process/Child.ts"
import type { ProcessLauncher } from "../../process/ProcessLauncher.ts"
import * as FfmpegReason from "./FfmpegReason.ts"
import * as FfmpegVersion from "./FfmpegVersion.ts"
import * as FfmpegStderr from "./FfmpegStderr.ts"
import { ffprobeArguments, ioTimeoutMs } from "./FfprobeArgs.ts"
import * as FfprobeReport from "./FfprobeReport.ts"

/** A report has some kilobytes; more than this is not a report. */
const longestReport = 1024 * 1024

/**
 * A function that runs ffprobe once for a camera.
 *
 * @param path of ffprobe, or a name to look up in PATH.
 */
export const make = (launcher: ProcessLauncher, path: string) => {
  const program = { name: "ffprobe", path } as const
  const versions = FfmpegVersion.reader(program, launcher)

  return Effect.fnUntraced(function* (
    source: StreamSource,
    timeout: Duration.Duration
  ): Effect.fn.Return<FfprobeReport.CameraReport, ProbeReason> {
    const timeoutMs = Duration.toMillis(timeout)
    const version = yield* versions.get
    const args = yield* Effect.fromResult(ffprobeArguments(source, { timeoutMs, version }))
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
        return { status, lifeMs, lines: child.stderr.lines() }
      })
    )

    const stderr = FfmpegStderr.parse(ended.lines, { camera: StreamUrl.reveal(source.url) })
    if (Option.isNone(ended.status)) {
      return yield* Effect.fail(
        new TimedOut({ phase: FfmpegReason.phaseOf(stderr), afterMs: timeoutMs })
      )
    }
    const status = ended.status.value
    if (status === 0) return yield* Effect.fromResult(FfprobeReport.read(report))

    const reason =
      FfmpegVersion.execFailure(program, status, ended.lines) ??
      FfmpegReason.probeReason(
        {
          status,
          lines: ended.lines,
          lifeMs: ended.lifeMs,
          camera: source.url,
          ioTimeoutMs: ioTimeoutMs(timeoutMs)
        },
        stderr
      ) ??
      unexplained(status, FfmpegReason.lastMessages(ended.lines, [source.url]), source.url)
    // the program may have been replaced by another version
    if (reason._tag === "LaunchFailed") versions.forget()
    return yield* Effect.fail(reason)
  })
}

const unexplained = (
  status: Child.ExitStatus,
  lastWords: string,
  { host }: StreamUrl
): ProbeReason => {
  if (typeof status === "string") {
    // seen with static builds of 2018 to 2024 on machines with another C library
    const hint = /[g-z]/i.test(host) ? "; static builds do when they look up a host name" : ""
    return new LaunchFailed({ detail: `ffprobe died by ${status}${hint}` })
  }
  return lastWords === ""
    ? new LaunchFailed({ detail: `ffprobe ended with code ${status} without output` })
    : new ProtocolError({ detail: lastWords })
}
