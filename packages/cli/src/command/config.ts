/** `restream config`: the settings in force, and where each came from. */
import { settingRows } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { resolve } from "node:path"
import { failOnSettings } from "../process/Failure.ts"
import { print, tell } from "../process/Output.ts"
import { defaultFile, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { table } from "../text/Table.ts"
import { restream } from "./restream.ts"

export const config = Command.make(
  "config",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print one JSON document"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ json }) {
    const loaded = yield* failOnSettings(
      loadSettings(settingFlagsOf(yield* restream), { templates: true, plugins: true })
    )
    const rows = settingRows(loaded)
    const file = loaded.file === undefined ? undefined : resolve(loaded.file)
    if (json) {
      const settings = rows.map(({ key, origin, value }) => ({ key, value, origin }))
      return yield* print(JSON.stringify({ file: file ?? null, settings }, undefined, 2))
    }
    const cells = rows.map(({ key, origin, value }) => [key, value === "" ? "-" : value, origin])
    // whoever reads it by a program or from a file wants all of it
    const limits = process.stdout.isTTY === true ? { widest: 60 } : {}
    yield* print(table([["SETTING", "VALUE", "FROM"], ...cells], limits))
    yield* tell(
      file === undefined
        ? `no settings file was read: there is no ${resolve(defaultFile)}`
        : `the settings file is ${file}`
    )
    if (loaded.settings.database.dsn === undefined) {
      yield* tell("database.dsn is not set: run, check and db init need it")
    }
  })
).pipe(
  Command.withDescription(
    "Shows the settings in force and where each came from; secrets are hidden"
  )
)
