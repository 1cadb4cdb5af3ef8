/**
 * A log file that rotates by size and by age, and keeps so many old ones.
 *
 * A file that can't be written never stops the daemon. It is told once, tried again, and told when it
 * works again with the number of lines that were lost.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { createStream, type RotatingFileStream } from "rotating-file-stream"

export interface LogFileOptions {
  readonly path: string
  /** In bytes. */
  readonly maxSize: number
  readonly maxAge: Duration.Duration
  /** How many old files are kept, as `NAME.1`, `NAME.2`, … */
  readonly keep: number
}

export interface LogFile {
  /** Appends a line; never throws, never waits. */
  readonly write: (line: string) => void
}

/** After an error the file is opened again so often. */
const reopenAfterMs = 10_000

/** What may wait for a slow disk, in bytes: room for a start of ten thousand cameras, and no more. */
const maxWaiting = 32_000_000

/**
 * Opens the file in the scope, which ends with the last line written.
 *
 * @param complain tells an operator, elsewhere, that lines are lost or written again.
 */
export const make = (
  options: LogFileOptions,
  complain: (message: string) => void
): Effect.Effect<LogFile, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const label = `log file ${options.path}`
      let stream: RotatingFileStream | undefined
      let reopening: NodeJS.Timeout | undefined
      let isClosed = false
      let lost = 0
      let told: string | undefined

      const open = () => {
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
          // the library counts from 1, and takes 0 for "unset"
          rotate: Math.max(1, options.keep)
        })
        stream = opened
        opened.on("error", (error) => {
          if (stream === opened) fail(error)
        })
        opened.on("warning", (error) => complain(`${label}: ${error.message}`))
      }

      const tell = (problem: string) => {
        if (told !== problem) complain(`${label}: ${problem}; the relays go on without it`)
        told = problem
      }

      const fail = (error: Error) => {
        stream = undefined
        tell(error.message)
        if (!isClosed && reopening === undefined) {
          reopening = setTimeout(open, reopenAfterMs)
          reopening.unref()
        }
      }

      /** A file that opens may still be on a full disk: only what was written shows that all is well. */
      const onWritten = (error: Error | null | undefined) => {
        if (error) {
          lost++
        } else if (told !== undefined) {
          complain(`${label}: written again, ${lost} lines lost`)
          told = undefined
          lost = 0
        }
      }

      const write = (line: string) => {
        if (stream === undefined) {
          lost++
        } else if (stream.writableLength > maxWaiting) {
          lost++
          tell("the disk is too slow")
        } else {
          // after a failure half a line may stand there
          stream.write(told === undefined ? `${line}\n` : `\n${line}\n`, onWritten)
        }
      }

      open()
      return {
        write,
        close: Effect.callback<void>((resume) => {
          isClosed = true
          clearTimeout(reopening)
          if (stream === undefined) return resume(Effect.void)
          stream.once("error", () => resume(Effect.void))
          stream.end(() => resume(Effect.void))
        })
      }
    }),
    ({ close }) => Effect.timeoutOption(close, "1 second")
  )

/**
 * Makes sure that the file is there. The library would, too, but by Node's recursive `mkdir`, which goes round
 * and round where the kernel can't find what it is to make a folder of: below /proc, for one.
 */
const makeReady = (path: string): void => {
  makeFolder(dirname(path))
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
 * The longest interval that the library knows and that is not longer than the age: whole days, or hours
 * and minutes that divide the day and the hour.
 */
const rotationInterval = (age: Duration.Duration): string => {
  const days = Math.floor(Duration.toDays(age))
  if (days >= 1) return `${days}d`
  const hours = Math.floor(Duration.toHours(age))
  if (hours >= 1) return `${divisorsOf(24).find((n) => n <= hours) ?? 1}h`
  const minutes = Math.max(1, Math.floor(Duration.toMinutes(age)))
  return `${divisorsOf(60).find((n) => n <= minutes) ?? 1}m`
}
