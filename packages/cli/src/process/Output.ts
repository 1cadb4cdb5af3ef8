/** Standard output, for data, and standard error, for messages to people. */
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fstatSync, writeSync } from "node:fs"
import { isatty } from "node:tty"
import { safely } from "../log/Logs.ts"

let writeError: NodeJS.ErrnoException | undefined

/** Why standard output is incomplete, in one line. A reader that closes the pipe early is not an error. */
export const outputError = (): string | undefined =>
  writeError === undefined || writeError.code === "EPIPE"
    ? undefined
    : `cannot write to standard output: ${writeError.message}`

const closed = Deferred.makeUnsafe<void>()

/** Completes when the reader of standard output has closed the pipe. Only a write shows that. */
export const readerLeft: Effect.Effect<void> = Deferred.await(closed)

const onError = (error: NodeJS.ErrnoException) => {
  writeError ??= error
  if (error.code === "EPIPE") Deferred.doneUnsafe(closed, Effect.void)
}

/** Whether standard output is a file or a device, to which writes are synchronous. */
const isFile = (): boolean => {
  try {
    const kind = fstatSync(1)
    return kind.isFile() || (kind.isCharacterDevice() && !isatty(1))
  } catch {
    return false
  }
}

/** Writes all bytes. On a full disk Node counts a partial write as complete. */
const toFile = (data: string | Uint8Array): void => {
  const bytes = typeof data === "string" ? Buffer.from(data) : data
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at)
  } catch (error) {
    onError(error as NodeJS.ErrnoException)
  }
}

const toStream = safely(process.stdout, onError)
const toStdout = isFile() ? toFile : toStream
const toStderr = safely(process.stderr)

/** Prints a line of data. */
export const print = (line: string): Effect.Effect<void> => Effect.sync(() => toStdout(`${line}\n`))

/** The time for a reader to close the pipe after its last line. */
const leavingTime = "50 millis"

/**
 * Prints a line of a continuous output. The delay lets the next write detect that the reader has closed the pipe:
 * `| head -1` ends at once.
 */
export const printFollowed = (line: string): Effect.Effect<void> =>
  Effect.andThen(print(line), Effect.sleep(leavingTime))

/** Writes the bytes of a file. */
export const printBytes = (bytes: Uint8Array): Effect.Effect<void> =>
  Effect.sync(() => toStdout(bytes))

/** Prints a line for people. */
export const printMessage = (line: string): Effect.Effect<void> =>
  Effect.sync(() => toStderr(`${line}\n`))

/** Prints text for people without a line break, such as a progress line. */
export const draw = (text: string): Effect.Effect<void> => Effect.sync(() => toStderr(text))

/** Prints Effect's own output, such as the help, like data. */
export const layerConsole: Layer.Layer<never> = Layer.succeed(
  Console.Console,
  Object.assign(Object.create(globalThis.console) as Console.Console, {
    log: (...words: ReadonlyArray<unknown>) => toStdout(`${words.join(" ")}\n`)
  })
)
