/** `restream run`: the daemon. */
import { Dsn } from "@restream/config"
import { Coalescing, Restream } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Command from "effect/cli/Command"
import { layer as databaseLayer } from "../database/Database.ts"
import * as Logs from "../log/Logs.ts"
import { failOnSettings } from "../process/Failure.ts"
import { mainOptions } from "../process/Main.ts"
import { checkTemplates, loadPlugins } from "../settings/LoadPlugins.ts"
import { databaseOf, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { version } from "../version.ts"
import { restream } from "./restream.ts"

export const run = Command.make(
  "run",
  {},
  Effect.fnUntraced(function* () {
    const { settings } = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
    const dsn = yield* failOnSettings(databaseOf(settings))
    yield* failOnSettings(checkTemplates(settings))
    const types = yield* failOnSettings(loadPlugins(settings))
    mainOptions.isDaemon = true

    const { mediaServer } = settings
    const announce = Effect.logInfo(
      `restream ${version}: from ${Dsn.show(dsn)} to ${mediaServer.scheme}://${mediaServer.host}:${mediaServer.port}`
    )
    const tree = Restream.layer(settings, types).pipe(
      Layer.provide(Restream.cameraTable(settings)),
      Layer.provide(databaseLayer(dsn, settings.database)),
      Layer.merge(Coalescing.layer(settings.relay.coalescing))
    )
    return yield* announce.pipe(
      Effect.annotateLogs("module", "daemon"),
      Effect.andThen(Layer.launch(tree)),
      Effect.ensuring(Effect.annotateLogs(Effect.logInfo("restream: ended"), "module", "daemon")),
      // a daemon's JSON log is data; anything else is for people
      Effect.provide(
        Logs.layer(settings.log, settings.log.format === "json" ? process.stdout : process.stderr)
      ),
      failOnSettings
    )
  })
).pipe(Command.withDescription("Runs the daemon until SIGTERM or SIGINT"))
