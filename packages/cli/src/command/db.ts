/** `restream db`: creates the table of cameras, or prints its SQL. */
import * as PgClient from "@effect/sql-pg/PgClient"
import { oneLine, parseTableName, redact, type Settings, type TableName } from "@restream/config"
import { CameraTable } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
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

/** The columns that an existing table of that name lacks. */
const missingColumns = Effect.fnUntraced(function* (name: TableName) {
  const sql = yield* PgClient.PgClient
  const found = yield* sql<{ readonly name: string }>`select attname as name from pg_attribute
    where attrelid = to_regclass(${CameraTable.tableSql(name)}) and attnum > 0 and not attisdropped`
  const names = new Set(found.map((column) => column.name))
  return CameraTable.columns.map(([column]) => column).filter((column) => !names.has(column))
})

const init = Command.make(
  "init",
  {},
  Effect.fnUntraced(function* () {
    const { settings } = yield* failOnSettings(
      loadSettings(settingFlagsOf(yield* restream), { database: true })
    )
    const dsn = yield* failOnSettings(databaseOf(settings))
    const name = yield* tableOf(settings)
    yield* Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const statements = CameraTable.initStatements(name, settings.database.channel)
      yield* sql.withTransaction(
        Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
      )
      const missing = yield* missingColumns(name)
      yield* print(
        missing.length === 0
          ? `table ${settings.database.table} and its trigger exist`
          : `table ${settings.database.table} already existed, without the columns ${missing.join(", ")}; ` +
              "its trigger has been created. Map its columns with the setting database.query"
      )
    }).pipe(
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
    const name = yield* tableOf(settings)
    for (const statement of CameraTable.initStatements(name, settings.database.channel)) {
      yield* print(`${statement};\n`)
    }
  })
).pipe(Command.withDescription("Prints the SQL of db init"))

export const db = Command.make("db").pipe(
  Command.withDescription("Creates the table of cameras, or prints its SQL"),
  Command.withSubcommands([init, sql])
)
