/** `restream db`: creates the table of cameras, or prints its SQL. */
import * as PgClient from "@effect/sql-pg/PgClient"
import { oneLine, parseTableName, redact, type Settings, type TableName } from "@restream/config"
import { CameraTable, StatusTable } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { layer as databaseLayer } from "../database/Database.ts"
import { type Failure, failOnSettings, usageFailure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { databaseOf, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { restream } from "./restream.ts"

const tableOf = (settings: Settings): Effect.Effect<TableName, Failure> => {
  const name = parseTableName(settings.database.table)
  return name === undefined
    ? Effect.fail(usageFailure([`database.table: ${settings.database.table} is not a table name`]))
    : Effect.succeed(name)
}

/** Turns an error of the database into a failure with one line. */
const databaseFailure = (error: {
  readonly message: string
  readonly reason?: { readonly cause?: unknown }
}) => {
  const cause = error.reason?.cause
  const message = cause instanceof Error ? cause.message : error.message
  return usageFailure([`database: ${oneLine(redact(message))}`])
}

const columns = CameraTable.columns.map(([column]) => column)

/** Those of the columns that an existing table of that name lacks; none if there is no such table. */
const missingColumns = Effect.fnUntraced(function* (
  name: TableName,
  columns: ReadonlyArray<string>
) {
  const sql = yield* PgClient.PgClient
  const found = yield* sql<{ readonly name: string }>`select attname as name from pg_attribute
    where attrelid = to_regclass(${CameraTable.tableSql(name)}) and attnum > 0 and not attisdropped`
  const names = new Set(found.map((column) => column.name))
  return names.size === 0 ? [] : columns.filter((column) => !names.has(column))
})

/** Whether a camera's address may depend on columns that the default table does not have. */
const hasOtherColumns = ({ cameraTypes, database, plugins }: Settings): boolean => {
  const named = Object.values(cameraTypes).flatMap((template) =>
    [...template.matchAll(/\{(\w+)/g)].map(([, column]) => column)
  )
  const isOther = (column: string | undefined) => !columns.some((each) => each === column)
  return database.query !== undefined || plugins.length > 0 || named.some(isOther)
}

/** All columns where it is not known which of them matter. */
const statementsFor = (
  settings: Settings,
  name: TableName,
  missing: ReadonlyArray<string> = []
): ReadonlyArray<string> =>
  CameraTable.initStatements(
    name,
    settings.database.channel,
    hasOtherColumns(settings) || missing.length > 0 ? "all" : columns
  )

/** Runs the statements in one transaction. */
const execute = Effect.fnUntraced(function* (statements: ReadonlyArray<string>) {
  const sql = yield* PgClient.PgClient
  yield* sql.withTransaction(
    Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
  )
})

const initCameras = Effect.fnUntraced(function* (settings: Settings) {
  const name = yield* tableOf(settings)
  const missing = yield* missingColumns(name, columns)
  yield* execute(statementsFor(settings, name, missing))
  yield* print(
    missing.length === 0
      ? `table ${settings.database.table} and its trigger exist`
      : `table ${settings.database.table} already existed, without the columns ${missing.join(", ")}; ` +
          "its trigger has been created. Map its columns with the setting database.query"
  )
})

const statusTableOf = ({
  database: { statusTable }
}: Settings): Effect.Effect<{ readonly text: string; readonly name: TableName }, Failure> => {
  const name = statusTable === undefined ? undefined : parseTableName(statusTable)
  return statusTable === undefined || name === undefined
    ? Effect.fail(
        usageFailure([
          "database.statusTable is not set; set it to the name of the table, for instance camera_status"
        ])
      )
    : Effect.succeed({ text: statusTable, name })
}

const initStatus = Effect.fnUntraced(function* (settings: Settings) {
  const { name, text } = yield* statusTableOf(settings)
  const missing = yield* missingColumns(
    name,
    StatusTable.columns.map(([column]) => column)
  )
  if (missing.length > 0) {
    return yield* usageFailure([
      `table ${text} already exists, without the columns ${missing.join(", ")}; choose another name for database.statusTable`
    ])
  }
  yield* execute(StatusTable.initStatements(name))
  yield* print(`status table ${text} exists`)
})

const statementsOf = Effect.fnUntraced(function* (settings: Settings, isStatus: boolean) {
  if (!isStatus) return statementsFor(settings, yield* tableOf(settings))
  const { name } = yield* statusTableOf(settings)
  return [
    ...StatusTable.initStatements(name),
    // only somebody else's role needs it
    `-- ${StatusTable.grantStatement(name, "restream")}`
  ]
})

const printStatements = (statements: ReadonlyArray<string>) =>
  Effect.forEach(statements, (statement) => print(`${statement};\n`), { discard: true })

const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const init = Command.make(
  "init",
  {
    status: flag(
      "status",
      "Create the table of database.statusTable instead, for the state of the cameras"
    ),
    print: flag("print", "Print the SQL instead of running it")
  },
  Effect.fnUntraced(function* (options) {
    const { settings } = yield* failOnSettings(
      loadSettings(settingFlagsOf(yield* restream), { database: !options.print })
    )
    if (options.print) {
      return yield* printStatements(yield* statementsOf(settings, options.status))
    }
    const dsn = yield* failOnSettings(databaseOf(settings))
    yield* (options.status ? initStatus(settings) : initCameras(settings)).pipe(
      Effect.catchTag("SqlError", (error) => Effect.fail(databaseFailure(error))),
      Effect.provide(databaseLayer(dsn, settings.database)),
      failOnSettings
    )
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
