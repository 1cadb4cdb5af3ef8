/** Standard output and standard error. Data goes to the one, what is for people to the other. */
import * as Effect from "effect/Effect"
import { safely } from "../log/Logs.ts"

const toStdout = safely(process.stdout)
const toStderr = safely(process.stderr)

/** A line of data. */
export const print = (line: string): Effect.Effect<void> => Effect.sync(() => toStdout(`${line}\n`))

/** A line for people. */
export const tell = (line: string): Effect.Effect<void> => Effect.sync(() => toStderr(`${line}\n`))

/** Text for people as it is: a line that is drawn again and again. */
export const draw = (text: string): Effect.Effect<void> => Effect.sync(() => toStderr(text))
