/** The tables of a cluster: those of the engine's storage, and that of refused credentials. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import { layer as reactivityLayer } from "effect/reactivity/Reactivity"
import * as Migrator from "effect/sql/Migrator"
import type { MigrationError } from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as SharedRefusals from "./SharedRefusals.ts"

export { named } from "./TableNames.ts"

const migrate = Effect.fnUntraced(function* (tablePrefix: string) {
  yield* Migrator.make({})({
    loader: SqlRunnerStorage.migrations({ prefix: tablePrefix }),
    table: `${tablePrefix}_runner_migrations`
  })
  const sql = yield* SqlClient.SqlClient
  yield* sql.unsafe(SharedRefusals.createStatement(tablePrefix))
})

/** Creates the tables that do not exist. The role needs the right to create tables. */
export const createTables = (
  tablePrefix: string
): Effect.Effect<void, MigrationError | SqlError, PgClient.PgClient> =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.provideService(migrate(tablePrefix), SqlClient.SqlClient, sql)
  )

/** The statements of `createTables` for a database without these tables, recorded without running them. */
export const tableStatements = (
  tablePrefix: string
): Effect.Effect<ReadonlyArray<string>, MigrationError | SqlError> =>
  Effect.gen(function* () {
    const statements: Array<string> = []
    const record = (sql: string, params: ReadonlyArray<unknown>) =>
      Effect.sync(() => {
        if (!/^\s*(select|lock|begin|commit)\b/i.test(sql)) statements.push(inline(sql, params))
        return []
      })
    const connection: Connection = {
      execute: record,
      executeRaw: record,
      executeValues: record,
      executeValuesUnprepared: record,
      executeUnprepared: record,
      executeStream: () => Stream.empty
    }
    const client = yield* SqlClient.make({
      acquirer: Effect.succeed(connection),
      compiler: PgClient.makeCompiler(),
      driver: "pg",
      spanAttributes: []
    })
    yield* Effect.provideService(migrate(tablePrefix), SqlClient.SqlClient, client)
    return statements
  }).pipe(Effect.provide(reactivityLayer))

/** A statement with values in place of parameters, without the engine's indentation. */
const inline = (sql: string, params: ReadonlyArray<unknown>): string => {
  const lines = sql.replaceAll(/\$(\d+)/g, (_, index: string) => {
    const value = params[Number(index) - 1]
    return typeof value === "number" ? String(value) : `'${String(value).replaceAll("'", "''")}'`
  })
  const [first = "", ...rest] = lines.trim().split("\n")
  const indent = Math.min(...rest.map((line) => line.search(/\S/)).filter((width) => width >= 0))
  return [first, ...rest.map((line) => line.slice(indent === Infinity ? 0 : indent))]
    .map((line, index, all) =>
      index === 0 || index === all.length - 1 || line.startsWith("  ") ? line : `  ${line}`
    )
    .join("\n")
}
