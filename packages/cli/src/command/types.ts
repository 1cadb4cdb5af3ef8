/** `restream types`: lists the camera types, the columns that they read and the addresses that they make. */
import { CameraTypes } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { failOnSettings } from "../process/Failure.ts"
import { print, printMessage } from "../process/Output.ts"
import { loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { table } from "../text/Table.ts"
import { restream } from "./restream.ts"

export const types = Command.make(
  "types",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print a JSON document"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ json }) {
    const { settings, types: plugins } = yield* failOnSettings(
      loadSettings(settingFlagsOf(yield* restream), { templates: true, plugins: true })
    )
    const all = [...CameraTypes.withTemplates(settings.cameraTypes, plugins).all.values()]
    if (json) {
      const documents = all.map(({ columns = [], description, name }) => ({
        name,
        description,
        columns: columns.map(({ isRequired, name }) => ({ name, required: isRequired }))
      }))
      return yield* print(JSON.stringify({ types: documents }, undefined, 2))
    }
    const cells = all.map(({ columns = [], description, name }) => [
      name,
      columns.map(({ isRequired, name }) => (isRequired ? name : `[${name}]`)).join(" "),
      description
    ])
    const width = process.stdout.isTTY === true ? { width: process.stdout.columns } : {}
    yield* print(table([["TYPE", "COLUMNS", "ADDRESS"], ...cells], width))
    yield* printMessage(
      "columns in brackets are optional; main, sub and third in the column stream select the stream"
    )
  })
).pipe(Command.withDescription("Lists the camera types with their columns and addresses"))
