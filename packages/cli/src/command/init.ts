/** `restream init`: writes the first settings file, after testing its database and media server. */
import { load } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { failOnSettings, usageFailure } from "../process/Failure.ts"
import { defaultFile, otherVariables } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { restream } from "./restream.ts"

const flags = {
  yes: Flag.Boolean("yes").pipe(
    Flag.withAlias("y"),
    Flag.withDescription("Ask nothing: take the settings from flags and the environment"),
    Flag.withDefault(false)
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withDescription("Overwrite an existing settings file"),
    Flag.withDefault(false)
  ),
  untested: Flag.Boolean("untested").pipe(
    Flag.withDescription("Write the file without connecting to the database and the media server"),
    Flag.withDefault(false)
  ),
  unit: Flag.String("unit").pipe(
    Flag.withDescription("Write a systemd unit for this installation to the file, too"),
    Flag.withMetavar("FILE"),
    Flag.optional
  )
}

export const init = Command.make(
  "init",
  flags,
  Effect.fnUntraced(function* ({ force, unit, untested, yes }) {
    const { config, flags: settingFlags } = settingFlagsOf(yield* restream)
    const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true
    if (!yes && !isTerminal) {
      return yield* usageFailure([
        "init asks questions, and this is not a terminal; pass --yes, with the settings as flags or in the environment"
      ])
    }
    const { origins, settings } = yield* failOnSettings(
      Effect.fromResult(load({ flags: settingFlags, env: process.env, otherVariables }))
    )
    const { initialize } = yield* Effect.promise(() => import("../init/Initialize.ts"))
    return yield* initialize({
      file:
        (process.env["RESTREAM_CONFIG"] || undefined) ??
        Option.getOrElse(config, () => defaultFile),
      settings,
      isGiven: (key) => origins.get(key)?._tag !== "Default",
      isInteractive: !yes,
      isForced: force,
      isTested: !untested,
      unit: Option.getOrUndefined(unit)
    })
  })
).pipe(
  Command.withDescription(
    "Asks for the database (or a file of cameras) and the media server, tests both, and writes the settings file with mode 0600. Exit status: 0 written, 1 a test failed and nothing was written, 2 invalid settings, or the file exists"
  ),
  Command.withShortDescription("Asks for the most important settings and writes the settings file")
)
