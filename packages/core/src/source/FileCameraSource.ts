/**
 * The camera source that reads a file.
 *
 * The file's identity, size and time are compared every second. File system events would not cover all cases: an
 * editor renames a new file into place, Kubernetes exchanges the folder of a symbolic link, and a network file system
 * sends no events.
 */
import { oneLine } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as CameraFile from "./CameraFile.ts"
import { type CameraRow, CameraSource, CameraSourceError, InvalidFile } from "./CameraSource.ts"
import * as Polling from "./Polling.ts"
import * as ReadChecks from "./ReadChecks.ts"
import * as RegularFile from "./RegularFile.ts"
import type { ReadResult } from "./ResultShape.ts"

export interface FileCameraSourceOptions extends ReadChecks.ReadCheckOptions {
  /** The path of the file; the extension determines the format: `.csv`, or YAML. */
  readonly file: string
  /** How often the file is checked for changes. Default 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long the file must be unchanged before it is read; a program may still be writing. Default 500 ms. */
  readonly settleTime?: Duration.Input | undefined
}

/** The content of the file, with a warning about the file. */
export interface FileRead extends ReadResult {
  /** Set if the file holds passwords and every user may read it. One line. */
  readonly warning: string | undefined
}

const label = "camera file"

const fail = (problem: string): Effect.Effect<never, CameraSourceError> =>
  Effect.fail(new CameraSourceError({ reason: new InvalidFile({ detail: oneLine(problem) }) }))

/** A file that changes for longer than this is a problem. */
const maxWaitMs = 10_000

/** The interval at which a file that is being written is checked. */
const waitMs = 100

/** Makes an effect that reads the file, and parses it only if it has changed. */
const makeRead = ({ file, settleTime = "500 millis" }: FileCameraSourceOptions) => {
  const settleMs = Duration.toMillis(Duration.fromInputUnsafe(settleTime))
  let last:
    | { readonly identity: string; readonly parsed: Result.Result<FileRead, string> }
    | undefined

  const orFail = <A, R>(effect: Effect.Effect<A, PlatformError, R>) =>
    Effect.catchTag(effect, "PlatformError", (error) =>
      fail(`${file}: ${RegularFile.problemOf(error)}`)
    )

  return Effect.gen(function* () {
    const inspect = Effect.map(orFail(RegularFile.stat(file)), (info) => ({
      info,
      identity: identityOf(info)
    }))
    const startedAt = yield* Clock.currentTimeMillis
    for (;;) {
      const { identity, info } = yield* inspect
      if (identity === last?.identity) {
        const { parsed } = last
        return Result.isSuccess(parsed) ? parsed.success : yield* fail(parsed.failure)
      }
      const now = yield* Clock.currentTimeMillis
      if (now - startedAt > maxWaitMs) {
        return yield* fail(`${file}: the file is being written all the time`)
      }
      const age = now - changedAt(info)
      // negative if the clock of another machine is ahead
      if (age >= 0 && age < settleMs) {
        yield* Effect.sleep(Duration.millis(Math.min(settleMs - age, waitMs)))
        continue
      }
      const bytes = yield* orFail(RegularFile.readBytes(file))
      if ((yield* inspect).identity !== identity) continue
      const parsed = Result.map(CameraFile.parse({ name: file, bytes }), (result) => ({
        ...result,
        warning: warningOf(file, info, result.rows)
      }))
      last = { identity, parsed }
    }
  })
}

const identityOf = ({ dev, ino, mode, mtime, size }: FileSystem.File.Info): string =>
  [dev, Option.getOrUndefined(ino), mode, Option.getOrUndefined(mtime)?.getTime(), size].join(" ")

const changedAt = ({ mtime }: FileSystem.File.Info): number =>
  Option.getOrUndefined(mtime)?.getTime() ?? 0

const warningOf = (
  file: string,
  info: FileSystem.File.Info,
  rows: ReadonlyArray<CameraRow>
): string | undefined =>
  RegularFile.isReadableByAll(info) && rows.some(CameraFile.hasPassword)
    ? RegularFile.publicWarning(file)
    : undefined

/** The content of the file, once. */
export const fetchResult = (
  file: string
): Effect.Effect<FileRead, CameraSourceError, FileSystem.FileSystem> => makeRead({ file })

/** Takes snapshots of the file. */
export const make = Effect.fnUntraced(function* (options: FileCameraSourceOptions) {
  const fs = yield* FileSystem.FileSystem
  const read = makeRead(options)
  const check = ReadChecks.make(label, options, (problem) =>
    problem === undefined ? Effect.void : fail(`${options.file}: ${problem}`)
  )
  const seen = new Set<string>()
  let warned = false

  const fetchRows = Effect.gen(function* () {
    const known = yield* options.known ?? Effect.succeed(undefined)
    const { columns, rows, warning } = yield* read
    if (warning !== undefined && !warned) {
      warned = true
      yield* Effect.annotateLogs(Effect.logWarning(`${label}: ${warning}`), "module", "source")
    }
    // YAML omits absent values, so a column that no camera has any more counts as an empty column
    for (const column of columns) seen.add(column)
    return yield* check({ columns: [...seen], rows }, known)
  })

  return yield* Polling.make({
    label,
    fetchRows: Effect.provideService(fetchRows, FileSystem.FileSystem, fs),
    timing: Effect.succeed({
      pollInterval: options.pollInterval ?? "1 second",
      fetchTimeout: "15 seconds"
    })
  })
})

/** Provides the camera source over the file. */
export const layer = (
  options: FileCameraSourceOptions
): Layer.Layer<CameraSource, never, FileSystem.FileSystem> =>
  Layer.effect(CameraSource, make(options))
