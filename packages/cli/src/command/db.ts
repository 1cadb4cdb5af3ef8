/** `restream db`: creates the table of cameras, or prints its SQL. */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import {
  clusterStatements,
  initCameras,
  initCluster,
  initStatus,
  inDatabase,
  printStatements,
  statementsOf
} from "../database/TableSetup.ts"
import { failOnSettings, usageFailure } from "../process/Failure.ts"
import { databaseOf, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { restream } from "./restream.ts"

const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const init = Command.make(
  "init",
  {
    status: flag(
      "status",
      "Create the table of database.statusTable instead, for the state of the cameras"
    ),
    cluster: flag(
      "cluster",
      "Create the tables of the cluster instead, for restream run --cluster, and an index on the table of cameras"
    ),
    print: flag("print", "Print the SQL instead of running it")
  },
  Effect.fnUntraced(function* (options) {
    const { settings } = yield* failOnSettings(
      loadSettings(settingFlagsOf(yield* restream), { database: !options.print })
    )
    if (options.cluster && options.status) {
      return yield* usageFailure(["--cluster and --status exclude each other"])
    }
    if (options.print) {
      return yield* printStatements(
        yield* options.cluster
          ? clusterStatements(settings)
          : statementsOf(settings, options.status)
      )
    }
    const dsn = yield* failOnSettings(databaseOf(settings))
    const initialize = options.cluster ? initCluster : options.status ? initStatus : initCameras
    yield* initialize(settings).pipe(inDatabase(dsn, settings), failOnSettings)
  })
).pipe(
  Command.withDescription(
    "Creates the table of cameras and the trigger that notifies of changes, if they do not exist"
  )
)

const sql = Command.make(
  "sql",
  {},
  Effect.fnUntraced(function* () {
    const { settings } = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
    yield* printStatements(yield* statementsOf(settings, false))
  })
).pipe(Command.withDescription("Prints the SQL of db init, as db init --print does"))

export const db = Command.make("db").pipe(
  Command.withDescription("Creates the table of cameras, or prints its SQL"),
  Command.withSubcommands([init, sql])
)
