/** Reads the flags of a script, and says plainly what is wrong with them. */
import { parseArgs } from "node:util"

/** The flags can't be used. The message is for people. */
export class UsageError extends Error {}

/** How each flag is read from its text. */
export type FlagReaders = Readonly<Record<string, (text: string) => unknown>>

export type FlagValues<Readers extends FlagReaders> = {
  readonly [Flag in keyof Readers]: ReturnType<Readers[Flag]> | undefined
} & { readonly json: boolean; readonly help: boolean }

/** Reads `--flag text` for each reader, and `--json` and `--help` besides. Anything else is a mistake. */
export const readFlags = <const Readers extends FlagReaders>(
  args: ReadonlyArray<string>,
  readers: Readers
): FlagValues<Readers> => {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...Object.fromEntries(Object.keys(readers).map((flag) => [flag, { type: "string" }])),
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false }
      }
    })
    const given = values as Readonly<Record<string, string | boolean | undefined>>
    const read = Object.entries(readers).map(([flag, reader]) => {
      const text = given[flag]
      return [flag, typeof text === "string" ? named(flag, text, reader) : undefined]
    })
    return {
      ...Object.fromEntries(read),
      json: given["json"] === true,
      help: given["help"] === true
    } as FlagValues<Readers>
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

const named = (flag: string, text: string, reader: (text: string) => unknown): unknown => {
  try {
    return reader(text)
  } catch (error) {
    const expected = error instanceof Error ? error.message : String(error)
    throw new UsageError(`--${flag}: expected ${expected}, not "${text}"`, { cause: error })
  }
}

/** A number within bounds. */
export const number =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (text.trim() === "" || !(value >= least && value <= most)) {
      throw new Error(`a number from ${least} to ${most}`)
    }
    return value
  }

/** A whole number within bounds. */
export const whole =
  (least: number, most: number) =>
  (text: string): number => {
    if (!/^\d+$/.test(text) || Number(text) < least || Number(text) > most) {
      throw new Error(`a whole number from ${least} to ${most}`)
    }
    return Number(text)
  }

/** One of some words. */
export const oneOf =
  <const Choice extends string>(...choices: ReadonlyArray<Choice>) =>
  (text: string): Choice => {
    const choice = choices.find((one) => one === text)
    if (choice === undefined) throw new Error(choices.join(", "))
    return choice
  }

/** Some of some words, with commas between them. */
export const someOf =
  <const Choice extends string>(...choices: ReadonlyArray<Choice>) =>
  (text: string): ReadonlyArray<Choice> =>
    text.split(",").map((word) => oneOf(...choices)(word.trim()))

/** Any text but none. */
export const text = (given: string): string => {
  if (given.trim() === "") throw new Error("a text")
  return given
}

/** Runs a script to its exit status; 2 for flags that can't be used. */
export const runScript = async (name: string, run: () => Promise<number>): Promise<void> => {
  try {
    process.exitCode = await run()
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${name}: ${error.message}`)
    console.error(`${name}: --help tells what there is`)
    process.exitCode = 2
  }
}
