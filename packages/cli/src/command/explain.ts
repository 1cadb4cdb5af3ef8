/** `restream explain`: what a reason means and what to do about it. */
import { nearest } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import russian from "../../../../docs/ru/troubleshooting.md"
import english from "../../../../docs/troubleshooting.md"
import { entriesOf, entryText, listText } from "../explain/Entries.ts"
import { usageFailure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"

const longestLine = 100

/** The first non-empty variable decides, as in other programs. */
const isRussian = ({ LANG, LC_ALL, LC_MESSAGES }: NodeJS.ProcessEnv): boolean =>
  (LC_ALL || LC_MESSAGES || LANG || "").startsWith("ru")

export const explain = Command.make(
  "explain",
  {
    words: Argument.String("reason").pipe(
      Argument.withDescription(
        "A reason as the log, check --json and the dashboard name it, such as Unauthorized. Default: lists all"
      ),
      Argument.variadic()
    )
  },
  Effect.fnUntraced(function* ({ words }) {
    const entries = isRussian(process.env) ? entriesOf(russian, "docs/ru") : entriesOf(english)
    const width = Math.min(process.stdout.columns ?? longestLine, longestLine)
    const asked = words.join(" ").trim()
    if (asked === "") return yield* print(listText(entries, width))
    const names = entries.map(({ name }) => name)
    const entry = entries.find(({ name }) => name.toLowerCase() === asked.toLowerCase())
    if (entry !== undefined) return yield* print(entryText(entry, width))
    const close = nearest(asked, names)
    const hint = close === undefined ? "restream explain lists all" : `did you mean ${close}?`
    return yield* usageFailure([`unknown reason ${asked}; ${hint}`])
  })
).pipe(
  Command.withDescription(
    "Prints what a reason means and what to do about it; without a reason, lists all of them. In Russian if LC_ALL, LC_MESSAGES or LANG says so. Exit status: 0, 2 unknown reason"
  ),
  Command.withShortDescription("Prints what a reason means and what to do about it")
)
