/** What the command line says when it was called wrongly: one line for each fault, instead of the whole help. */
import { nearest } from "@restream/config"
import { Redaction } from "@restream/core"
import * as Effect from "effect/Effect"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { helpText } from "./Help.ts"
import { print, tell } from "./Output.ts"

/** What may have been meant: the runner itself looks at a command's own flags only. */
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
  if (error._tag === "InvalidValue" && error.kind === "flag") return inOurWords(error)
  const meant = suggestion(error, help)
  if (error._tag === "UnrecognizedOption" && meant === error.option) {
    return `${meant}: stands behind its command: ${command.join(" ")} ${meant}`
  }
  const [what] = error.message.split("\n\n  Did you mean")
  return `${what}${meant === undefined ? "" : `; did you mean ${meant}?`}`
}

/** The runner's words for what a value should have been, and ours. */
const expectations: ReadonlyArray<readonly [begin: string, words: string]> = [
  ["Expected a string representing a finite number", "a whole number"],
  ["Expected an integer", "a whole number"],
  ['Expected "true"', "true or false"]
]

const inOurWords = ({ expected, option, value }: CliError.InvalidValue): string => {
  const [, times] = /^(\d+) occurrences$/.exec(value) ?? []
  if (times !== undefined) return `--${option}: is given ${times} times; once is enough`
  if (value === "") return `--${option}: its value is missing`
  const words = expectations.find(([begin]) => expected.startsWith(begin))?.[1]
  return `--${option}: expected ${words ?? expected.replace(/^Expected:? /, "")}, not ${value}`
}

/** Help and version go to stdout as ever; faults go to stderr, with secrets hidden. */
export const layer = CliOutput.layerPresenter({
  present: (event) => {
    switch (event._tag) {
      case "InvalidInvocation":
        return Effect.gen(function* () {
          for (const error of event.errors) {
            const line = lineOf(error, event.helpDoc, event.commandPath)
            yield* tell(Redaction.oneLine(Redaction.redact(line)))
          }
          yield* tell(`See ${event.commandPath.join(" ")} --help`)
        })
      case "Help":
        return Effect.flatMap(helpText(event.helpDoc), print)
      default:
        return CliOutput.defaultPresenter.present(event)
    }
  }
})
