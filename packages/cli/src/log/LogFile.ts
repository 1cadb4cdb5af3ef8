/**
 * A log file that rotates by size and by age, and keeps a number of old files.
 *
 * A write error never stops the daemon. It is reported once, and when the file is writable again, the number of
 * lost lines is reported.
 */
import { Incidents } from "@restream/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { createStream, type RotatingFileStream } from "rotating-file-stream"

export interface LogFileOptions {
  readonly path: string
  /** In bytes. */
  readonly maxSize: number
  readonly maxAge: Duration.Duration
  /** The number of old files to keep, as `NAME.1`, `NAME.2`, … */
  readonly keep: number
}

export interface LogFile {
  /** Appends a line; never throws, never waits. */
  readonly write: (line: string) => void
  /** Opens the path again if its file was moved or deleted, by logrotate for example. No line is lost. */
  readonly reopenIfMoved: () => void
}

/** The interval of the check whether the file was moved or deleted. */
const checkMovedMs = 30_000

/** The delay before a failed file is reopened. */
const reopenAfterMs = 10_000

/** The buffer for a slow disk, in bytes: enough for the lines of ten thousand cameras that start at once. */
const maxWaiting = 32_000_000

/**
 * Opens the file in the scope; closing the scope writes the remaining lines.
 *
 * @param report reports to another log output that lines are lost, or that the file is writable again.
 */
export const make = (
  options: LogFileOptions,
  report: (message: string) => void
): Effect.Effect<LogFile, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const label = `log file ${options.path}`
      let stream: RotatingFileStream | undefined
      let reopening: NodeJS.Timeout | undefined
      let isClosed = false
      let lost = 0
      /** Whether the last write failed: the file may end with a partial line. */
      let isBroken = false
      /** The identity of the open file; `undefined` while the library opens or rotates it. */
      let identity: string | undefined
      /** Whether a reopen was requested meanwhile. */
      let reopenRequested = false
      const incidents = new Incidents.Incidents<LogFileOptions>()

      const open = () => {
        clearTimeout(reopening)
        reopening = undefined
        try {
          makeReady(resolve(options.path))
        } catch (error) {
          return fail(error instanceof Error ? error : new Error(String(error)))
        }
        const opened = createStream(basename(options.path), {
          path: dirname(resolve(options.path)),
          size: `${options.maxSize}B`,
          interval: rotationInterval(options.maxAge),
          // the library counts from 1, and treats 0 as unset
          rotate: Math.max(1, options.keep)
        })
        stream = opened
        opened.on("open", () => {
          if (stream !== opened) return
          // "gone" matches no file: the file was deleted before its identity was read
          identity = identityOf(options.path) ?? "gone"
          if (reopenRequested) reopenIfMoved()
        })
        opened.on("rotation", () => {
          if (stream === opened) identity = undefined
        })
        opened.on("error", (error) => {
          if (stream === opened) fail(error)
        })
        opened.on("warning", (error) => report(`${label}: ${error.message}`))
      }

      const reportProblem = (problem: string) => {
        isBroken = true
        const notice = incidents.failed(options, problem, performance.now())
        if (notice === undefined) return
        report(
          `${label}: ${problem}; log lines are lost, relays are unaffected${Incidents.suffixOf(notice)}`
        )
      }

      const fail = (error: Error) => {
        stream = undefined
        reportProblem(error.message)
        if (!isClosed && reopening === undefined) {
          reopening = setTimeout(open, reopenAfterMs)
          reopening.unref()
        }
      }

      /** Only a completed write shows that the file is writable: opening succeeds even on a full disk. */
      const onWritten = (error: Error | null | undefined) => {
        if (error) {
          lost++
          return
        }
        isBroken = false
        const notice = incidents.succeeded(options, performance.now())
        if (notice === undefined) return
        report(`${label}: ${notice === "stable" ? "stable" : "writable again"}, ${lost} lines lost`)
        lost = 0
      }

      const write = (line: string) => {
        if (stream === undefined) {
          lost++
        } else if (stream.writableLength > maxWaiting) {
          lost++
          reportProblem("the disk is too slow")
        } else {
          stream.write(isBroken ? `\n${line}\n` : `${line}\n`, onWritten)
        }
      }

      const reopenIfMoved = () => {
        reopenRequested = identity === undefined
        if (reopenRequested || identityOf(options.path) === identity) return
        const moved = stream
        identity = undefined
        open()
        // buffered lines are written to the moved file
        moved?.end()
      }

      open()
      const checking = setInterval(reopenIfMoved, checkMovedMs)
      checking.unref()
      return {
        write,
        reopenIfMoved,
        close: Effect.callback<void>((resume) => {
          isClosed = true
          clearTimeout(reopening)
          clearInterval(checking)
          if (stream === undefined) return resume(Effect.void)
          stream.once("error", () => resume(Effect.void))
          stream.end(() => resume(Effect.void))
        })
      }
    }),
    ({ close }) => Effect.timeoutOption(close, "1 second")
  )

/** The file behind a path; `undefined` if there is none. */
const identityOf = (path: string): string | undefined => {
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`
}

/**
 * Creates the file and its directories. The library would use Node's recursive `mkdir`, which loops forever if a
 * parent can never exist, for example below /proc.
 */
const makeReady = (path: string): void => {
  makeFolder(dirname(path))
  // opening a FIFO without a reader blocks the process, and a rotation would rename a device
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) throw new Error("not a file")
  closeSync(openSync(path, "a"))
}

const makeFolder = (path: string): void => {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  mkdirSync(path)
}

const divisorsOf = (number: number): ReadonlyArray<number> =>
  Array.from({ length: number }, (_, index) => number - index).filter((n) => number % n === 0)

/**
 * The longest interval that the library supports and that does not exceed the age: whole days, hours that divide a
 * day, or minutes that divide an hour.
 */
const rotationInterval = (age: Duration.Duration): string => {
  const days = Math.floor(Duration.toDays(age))
  if (days >= 1) return `${days}d`
  const hours = Math.floor(Duration.toHours(age))
  if (hours >= 1) return `${divisorsOf(24).find((n) => n <= hours) ?? 1}h`
  const minutes = Math.max(1, Math.floor(Duration.toMinutes(age)))
  return `${divisorsOf(60).find((n) => n <= minutes) ?? 1}m`
}
