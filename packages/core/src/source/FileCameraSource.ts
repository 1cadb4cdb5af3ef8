/**
 * The camera source over a file.
 *
 * The file's identity, size and time are compared every second, rather than watching for events: that works
 * wherever the file is, and however it is replaced. An editor renames a new file into its place, Kubernetes
 * exchanges the folder that a symbolic link names, and a network file system sends no events.
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
  /** The path of the file; its extension gives the format: `.csv`, or YAML. */
  readonly file: string
  /** How often the file is looked at. Default 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long the file must be unchanged before it is read; a program may still write it. Default 500 ms. */
  readonly settleTime?: Duration.Input | undefined
}

/** The content of the file, and what an operator should know about the file. */
export interface FileRead extends ReadResult {
  /** One line: the file holds passwords, and everybody may read it. */
  readonly warning: string | undefined
}

const label = "camera file"

const fail = (problem: string): Effect.Effect<never, CameraSourceError> =>
  Effect.fail(new CameraSourceError({ reason: new InvalidFile({ detail: oneLine(problem) }) }))

/** A file that changes for longer than this is a problem. */
const maxWaitMs = 10_000

/** The interval at which a file that is being written is looked at. */
const waitMs = 100

/** Makes a read that parses the file only where it has changed. */
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
    const look = Effect.map(orFail(RegularFile.stat(file)), (info) => ({
      info,
      identity: identityOf(info)
    }))
    const startedAt = yield* Clock.currentTimeMillis
    for (;;) {
      const { identity, info } = yield* look
      if (identity === last?.identity) {
        const { parsed } = last
        return Result.isSuccess(parsed) ? parsed.success : yield* fail(parsed.failure)
      }
      const now = yield* Clock.currentTimeMillis
      if (now - startedAt > maxWaitMs) {
        return yield* fail(`${file}: the file is being written all the time`)
      }
      const age = now - changedAt(info)
      // a clock of another machine may be ahead
      if (age >= 0 && age < settleMs) {
        yield* Effect.sleep(Duration.millis(Math.min(settleMs - age, waitMs)))
        continue
      }
      const bytes = yield* orFail(RegularFile.readBytes(file))
      if ((yield* look).identity !== identity) continue
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
    // YAML omits what a camera does not have, so a column that no camera has any more is an empty column
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
