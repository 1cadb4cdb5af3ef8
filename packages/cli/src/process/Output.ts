/** Standard output and standard error. Data goes to the one, what is for people to the other. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fstatSync, writeSync } from "node:fs"
import { isatty } from "node:tty"
import { safely } from "../log/Logs.ts"

let fault: NodeJS.ErrnoException | undefined

/**
 * Why not all of the data could be written, in one line. A reader that has gone away had enough of them, so
 * that is no fault.
 */
export const outputFault = (): string | undefined =>
  fault === undefined || fault.code === "EPIPE"
    ? undefined
    : `standard output could not be written: ${fault.message}`

const onFault = (error: NodeJS.ErrnoException) => {
  fault ??= error
}

/** Whether writing waits for the system: to a file or a device, but not to a pipe or a terminal. */
const isFile = (): boolean => {
  try {
    const kind = fstatSync(1)
    return kind.isFile() || (kind.isCharacterDevice() && !isatty(1))
  } catch {
    return false
  }
}

/** Node takes a part that fits on a full disk for the whole. */
const toFile = (text: string): void => {
  const bytes = Buffer.from(text)
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at)
  } catch (error) {
    onFault(error as NodeJS.ErrnoException)
  }
}

const toStream = safely(process.stdout, onFault)
const toStdout = isFile() ? toFile : toStream
const toStderr = safely(process.stderr)

/** A line of data. */
export const print = (line: string): Effect.Effect<void> => Effect.sync(() => toStdout(`${line}\n`))

/** A line for people. */
export const tell = (line: string): Effect.Effect<void> => Effect.sync(() => toStderr(`${line}\n`))

/** Text for people as it is: a line that is drawn again and again. */
export const draw = (text: string): Effect.Effect<void> => Effect.sync(() => toStderr(text))

/** What Effect's command line prints by itself, the help for one, goes the same way as data. */
export const layerConsole: Layer.Layer<never> = Layer.succeed(
  Console.Console,
  Object.assign(Object.create(globalThis.console) as Console.Console, {
    log: (...words: ReadonlyArray<unknown>) => toStdout(`${words.join(" ")}\n`)
  })
)
