/** `restream migrate-log-config`: the settings `log.*` for a configuration of Python's logging. */
import { settingsText } from "@restream/config"
import { RegularFile } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { translate } from "../migration/LogBlock.ts"
import { parse } from "../migration/LoggingConfig.ts"
import { usageFailure } from "../process/Failure.ts"
import { print, printMessage } from "../process/Output.ts"

export const migrateLogConfig = Command.make(
  "migrate-log-config",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription(
        "A configuration of Python's logging: ini (fileConfig), or YAML or JSON (dictConfig)"
      )
    )
  },
  Effect.fnUntraced(function* ({ file }) {
    const text = yield* Effect.mapError(RegularFile.readText(file), (error) =>
      usageFailure([`${file}: ${RegularFile.problemOf(error)}`])
    )
    const config = yield* Effect.mapError(Effect.fromResult(parse(file, text)), (problem) =>
      usageFailure([problem])
    )
    const { log, warnings } = translate(config)
    yield* print(settingsText({ log }).trimEnd())
    for (const warning of warnings) yield* printMessage(`warning: ${warning}`)
  })
).pipe(
  Command.withDescription(
    "Prints the block log of restream.yaml for a configuration of Python's logging, such as the restream_log.conf of the old service, with a warning for each part that has no counterpart. Exit status: 0, 2 not such a file"
  ),
  Command.withShortDescription("Translates a configuration of Python's logging")
)
