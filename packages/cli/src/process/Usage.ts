/** What the command line says when it was called wrongly: one line for each fault, instead of the whole help. */
import { nearest } from "@restream/config"
import { Redaction } from "@restream/core"
import * as Effect from "effect/Effect"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { tell } from "./Output.ts"

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

const lineOf = (error: CliError.CliError, help: HelpDoc): string => {
  const meant = suggestion(error, help)
  const [what] = error.message.split("\n\n  Did you mean")
  return `${what}${meant === undefined ? "" : `; did you mean ${meant}?`}`
}

/** Help and version go to stdout as ever; faults go to stderr, with secrets hidden. */
export const layer = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.gen(function* () {
          for (const error of event.errors) {
            yield* tell(Redaction.oneLine(Redaction.redact(lineOf(error, event.helpDoc))))
          }
          yield* tell(`See ${event.commandPath.join(" ")} --help`)
        })
      : CliOutput.defaultPresenter.present(event)
})
