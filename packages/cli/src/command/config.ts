/** `restream config`: the settings in force, and where each came from. */
import { settingRows } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { failOnSettings } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { loadSettings } from "../settings/LoadSettings.ts"
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
    const loaded = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
    const rows = settingRows(loaded)
    if (json) {
      const settings = rows.map(({ key, origin, value }) => ({ key, value, origin }))
      return yield* print(JSON.stringify({ settings }, undefined, 2))
    }
    const cells = rows.map(({ key, origin, value }) => [key, value === "" ? "-" : value, origin])
    yield* print(table([["SETTING", "VALUE", "FROM"], ...cells], 60))
  })
).pipe(
  Command.withDescription(
    "Shows the settings in force and where each came from; secrets are hidden"
  )
)
