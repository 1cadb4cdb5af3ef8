/** The errors of the command line: one line per error instead of the whole help. */
import { nearest, oneLine, redact } from "@restream/config"
import * as Effect from "effect/Effect"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { helpText } from "./Help.ts"
import { print, printMessage } from "./Output.ts"

/** The closest command or flag. Effect's own suggestions cover the flags of the command only. */
const suggestion = (error: CliError.CliError, help: HelpDoc): string | undefined => {
  switch (error._tag) {
    case "UnknownSubcommand":
      return error.suggestions[0]
    case "UnrecognizedOption": {
      const flags = [help.flags, help.inheritedFlags, help.globalFlags].flatMap(
        (some) => some ?? []
      )
      const names = flags.map(({ name }) => `--${name}`)
      return error.suggestions[0] ?? nearest(error.option, names)
    }
    default:
      return undefined
  }
}

const lineOf = (
  error: CliError.CliError,
  help: HelpDoc,
  command: ReadonlyArray<string>
): string => {
  if (error._tag === "InvalidValue" && error.kind === "flag") return invalidValue(error)
  const meant = suggestion(error, help)
  if (error._tag === "UnrecognizedOption" && meant === error.option) {
    return `${meant}: must follow its command: ${command.join(" ")} ${meant}`
  }
  const [what] = error.message.split("\n\n  Did you mean")
  return `${what}${meant === undefined ? "" : `; did you mean ${meant}?`}`
}

/** The descriptions of expected values by Effect, and their replacements. */
const expectations: ReadonlyArray<readonly [start: string, expected: string]> = [
  ["Expected a string representing a finite number", "a whole number"],
  ["Expected an integer", "a whole number"],
  ['Expected "true"', "true or false"]
]

const invalidValue = ({ expected, option, value }: CliError.InvalidValue): string => {
  const [, times] = /^(\d+) occurrences$/.exec(value) ?? []
  if (times !== undefined) return `--${option}: given ${times} times; expected once`
  if (value === "") return `--${option}: a value is required`
  const own = expectations.find(([start]) => expected.startsWith(start))?.[1]
  return `--${option}: expected ${own ?? expected.replace(/^Expected:? /, "")}, got ${value}`
}

/** Prints help and version to stdout; prints errors to stderr, without secrets. */
export const layer = CliOutput.layerPresenter({
  present: (event) => {
    switch (event._tag) {
      case "InvalidInvocation":
        return Effect.gen(function* () {
          for (const error of event.errors) {
            const line = lineOf(error, event.helpDoc, event.commandPath)
            yield* printMessage(oneLine(redact(line)))
          }
          yield* printMessage(`see ${event.commandPath.join(" ")} --help`)
        })
      case "Help":
        return Effect.flatMap(helpText(event.helpDoc), print)
      default:
        return CliOutput.defaultPresenter.present(event)
    }
  }
})
