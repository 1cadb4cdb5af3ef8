/** `restream config`: shows the settings and their origins. */
import { hasNamedServers, settingRows } from "@restream/config"
import { viewerUrls } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { resolve } from "node:path"
import { failOnSettings } from "../process/Failure.ts"
import { print, printMessage } from "../process/Output.ts"
import { defaultFile, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { table } from "../text/Table.ts"
import { restream } from "./restream.ts"

export const config = Command.make(
  "config",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print a JSON document"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ json }) {
    const loaded = yield* failOnSettings(
      loadSettings(settingFlagsOf(yield* restream), { templates: true, plugins: true })
    )
    const { hls, rtsp, webrtc } = viewerUrls(loaded.settings.mediaServer)
    const hasOneServer = !hasNamedServers(loaded.settings)
    const derived = new Map(
      hasOneServer
        ? [
            ["mediaServer.webrtcUrl", webrtc],
            ["mediaServer.hlsUrl", hls],
            ["mediaServer.rtspUrl", rtsp]
          ]
        : []
    )
    const rows = settingRows(loaded).map((row) => ({
      ...row,
      value: row.value === "" ? (derived.get(row.key) ?? "") : row.value
    }))
    const file = loaded.file === undefined ? undefined : resolve(loaded.file)
    if (json) {
      const settings = rows.map(({ key, origin, value }) => ({ key, value, origin }))
      return yield* print(JSON.stringify({ file: file ?? null, settings }, undefined, 2))
    }
    const cells = rows.map(({ key, origin, value }) => [key, value === "" ? "-" : value, origin])
    // only a terminal needs narrow columns
    const limits = process.stdout.isTTY === true ? { maxCellWidth: 60 } : {}
    yield* print(table([["SETTING", "VALUE", "ORIGIN"], ...cells], limits))
    yield* printMessage(
      file === undefined
        ? `no settings file: ${resolve(defaultFile)} does not exist`
        : `settings file: ${file}`
    )
    const { database, source } = loaded.settings
    if (database.dsn === undefined && source.file === undefined) {
      yield* printMessage(
        "neither database.dsn nor source.file is set; run and check require one of them"
      )
    }
  })
).pipe(Command.withDescription("Shows all settings with their origins, without secrets"))
