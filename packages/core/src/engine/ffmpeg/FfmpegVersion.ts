/**
 * The version of ffmpeg, because its options changed over the years.
 *
 * The version of libavformat decides: every build prints it, including builds from git, whose own version has no
 * release number (`N-47683-g0e8eb07980-static`).
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as PlatformError from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import { LaunchFailed } from "../../camera/Reason.ts"
import { oneLine } from "@restream/config"
import * as Deadline from "../../time/Deadline.ts"
import type * as Child from "../../process/Child.ts"
import type { ProcessLauncher } from "../../process/ProcessLauncher.ts"

export interface FfmpegVersion {
  /** As the program prints it: `5.1.9-0+deb12u1`, `n8.0-23-gd1f31a829d`, … For display. */
  readonly name: string
  /** libavformat's major and minor number. ffmpeg 4 has 58, 5 has 59, 6 has 60, 7 has 61, 8 has 62. */
  readonly libavformat: readonly [major: number, minor: number]
}

/** Whether libavformat has at least this version. */
export const isAtLeast = (version: FfmpegVersion, major: number, minor = 0): boolean =>
  version.libavformat[0] > major ||
  (version.libavformat[0] === major && version.libavformat[1] >= minor)

/**
 * Whether the version is 7.0, which has bugs that no other version has; 7.1 has libavformat 61.7. Widespread static
 * builds are 7.0.
 */
export const isSevenZero = (version: FfmpegVersion): boolean =>
  isAtLeast(version, 61) && !isAtLeast(version, 61, 7)

/** Parses the output of `ffmpeg -version` or `ffprobe -version`; `undefined` for any other output. */
export const parse = (banner: string): FfmpegVersion | undefined => {
  const name = /^ff(?:mpeg|probe) version (\S+)/m.exec(banner)?.[1]
  if (name === undefined) return undefined
  // "59. 27.100 / 59. 27.100": the version of the build, and the version at run time
  const library = /^libavformat +\d+\. *\d+\. *\d+ *\/ *(\d+)\. *(\d+)\. *\d+/m.exec(banner)
  if (library !== null) return { name, libavformat: [Number(library[1]), Number(library[2])] }
  const release = /^n?(\d+)\.\d+/.exec(name)
  if (release === null) return undefined
  return { name, libavformat: [Number(release[1]) + 54, 0] }
}

/** ffmpeg or ffprobe, and its path. */
export interface FfmpegProgram {
  readonly name: "ffmpeg" | "ffprobe"
  /** A path, or a name to look up in PATH. */
  readonly path: string
}

const settingOf = (program: FfmpegProgram): string =>
  program.name === "ffmpeg" ? "ffmpeg.path" : "ffmpeg.ffprobePath"

const missing = (program: FfmpegProgram): LaunchFailed =>
  new LaunchFailed({
    detail: `there is no program ${oneLine(program.path)}; ${settingOf(program)} says where it is`
  })

const notExecutable = (program: FfmpegProgram): LaunchFailed =>
  new LaunchFailed({
    detail: `${oneLine(program.path)} is not executable for us; see ${settingOf(program)}`
  })

/** Why a program could not be started, in one line. */
export const startFailure = (
  program: FfmpegProgram,
  error: PlatformError.PlatformError
): LaunchFailed => {
  switch (error.reason._tag) {
    case "NotFound":
      return missing(program)
    case "PermissionDenied":
      return notExecutable(program)
    default: {
      const code = (error.cause as { readonly code?: unknown } | undefined)?.code
      const why = typeof code === "string" ? ` (${code})` : ""
      return new LaunchFailed({
        detail: `${oneLine(program.path)} could not be started${why}; see ${settingOf(program)}`
      })
    }
  }
}

/** The same if `setpriv` could not execute the program: `setpriv` then exits with 127 or 126, and logs it. */
export const execFailure = (
  program: FfmpegProgram,
  status: Child.ExitStatus,
  lines: ReadonlyArray<string>
): LaunchFailed | undefined => {
  if (!lines.some((line) => line.startsWith("setpriv: failed to execute"))) return undefined
  return status === 127 ? missing(program) : status === 126 ? notExecutable(program) : undefined
}

export interface VersionReader {
  /** The version, read at the first use. A failure is not cached. */
  readonly get: Effect.Effect<FfmpegVersion, LaunchFailed>
  /** Forgets the version after a failure of the program, which may have been replaced. */
  readonly forget: () => void
}

const readTimeout = Duration.seconds(10)
const longestBanner = 64 * 1024

/** A reader that runs the program once, and caches its version. */
export const reader = (program: FfmpegProgram, launcher: ProcessLauncher): VersionReader => {
  const oneAtATime = Semaphore.makeUnsafe(1)
  let known: FfmpegVersion | undefined

  const read = Effect.gen(function* () {
    let banner = ""
    const decoder = new TextDecoder()
    const child = yield* launcher
      .launch({
        argv: [program.path, "-version"],
        onStdout: (chunk) => {
          if (banner.length < longestBanner) banner += decoder.decode(chunk, { stream: true })
        }
      })
      .pipe(Effect.mapError((error) => startFailure(program, error)))
    const detail = `${oneLine(program.path)} does not print its version; see ${settingOf(program)}`
    const status = yield* child.exited.pipe(
      Deadline.within(readTimeout, () => Effect.fail(new LaunchFailed({ detail })))
    )
    const failure = execFailure(program, status, child.stderr.lines())
    if (failure !== undefined) return yield* Effect.fail(failure)
    const version = parse(banner)
    if (version !== undefined) return version
    return yield* Effect.fail(
      new LaunchFailed({
        detail: `${oneLine(program.path)} is no ${program.name}; see ${settingOf(program)}`
      })
    )
  }).pipe(Effect.scoped)

  return {
    get: oneAtATime.withPermit(
      Effect.suspend(() =>
        known === undefined
          ? Effect.tap(read, (version) =>
              Effect.sync(() => {
                known = version
              })
            )
          : Effect.succeed(known)
      )
    ),
    forget: () => {
      known = undefined
    }
  }
}
