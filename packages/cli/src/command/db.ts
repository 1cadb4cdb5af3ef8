/** `restream db`: the default table of cameras, made or printed. */
import * as PgClient from "@effect/sql-pg/PgClient"
import type { Settings } from "@restream/config"
import { CameraTable, Redaction } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { layer as databaseLayer } from "../database/Database.ts"
import { type Failure, failOnSettings, unusable } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { databaseOf, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { restream } from "./restream.ts"

const tableOf = (settings: Settings): Effect.Effect<CameraTable.TableName, Failure> => {
  const name = CameraTable.parseTableName(settings.database.table)
  return name === undefined
    ? Effect.fail(
        unusable([`database.table: ${settings.database.table} is not the name of a table`])
      )
    : Effect.succeed(name)
}

/** Every way in which the database can refuse ends the command with one line. */
const inOneLine = (error: {
  readonly message: string
  readonly reason?: { readonly cause?: unknown }
}) => {
  const cause = error.reason?.cause
  const said = cause instanceof Error ? cause.message : error.message
  return unusable([`database: ${Redaction.oneLine(Redaction.redact(said))}`])
}

/** A table of that name may have been there before, in another shape. */
const missingColumns = Effect.fnUntraced(function* (name: CameraTable.TableName) {
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
          ? `the table ${settings.database.table} and its trigger are there`
          : `the table ${settings.database.table} was there before, without ${missing.join(", ")}; ` +
              "its trigger is there now. Name its columns by the setting database.query"
      )
    }).pipe(
      Effect.catchTag("SqlError", (error) => Effect.fail(inOneLine(error))),
      Effect.provide(databaseLayer(dsn, settings.database)),
      failOnSettings
    )
  })
).pipe(
  Command.withDescription(
    "Makes the table of cameras and the trigger that tells of changes; harmless if they are there"
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
).pipe(Command.withDescription("Prints what db init would run"))

export const db = Command.make("db").pipe(
  Command.withDescription("Makes or prints the default table of cameras"),
  Command.withSubcommands([init, sql])
)
