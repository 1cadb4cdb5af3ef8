/** Creates the tables of restream, or prints their SQL. */
import * as PgClient from "@effect/sql-pg/PgClient"
import {
  type Dsn,
  oneLine,
  parseTableName,
  redact,
  type Settings,
  type TableName
} from "@restream/config"
import {
  CameraTable,
  ClusterRights,
  ClusterTables,
  Shard,
  SqlProblem,
  StatusTable
} from "@restream/core"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { type Failure, usageFailure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { layer as databaseLayer } from "./Database.ts"

const tableOf = (settings: Settings): Effect.Effect<TableName, Failure> => {
  const name = parseTableName(settings.database.table)
  return name === undefined
    ? Effect.fail(usageFailure([`database.table: ${settings.database.table} is not a table name`]))
    : Effect.succeed(name)
}

/** Turns an error of the database into a failure with one line. */
const databaseFailure = (error: SqlError) =>
  usageFailure([`database: ${SqlProblem.describe(error)}`])

const columns = CameraTable.columns.map(([column]) => column)

/** The columns of a table; none if there is no table of that name. */
const existingColumns = Effect.fnUntraced(function* (name: TableName) {
  const sql = yield* PgClient.PgClient
  const found = yield* sql<{ readonly name: string }>`select attname as name from pg_attribute
    where attrelid = to_regclass(${CameraTable.tableSql(name)}) and attnum > 0 and not attisdropped`
  return new Set(found.map((column) => column.name))
})

/** The columns that an existing table of that name lacks; none if there is no such table. */
const missingColumns = Effect.fnUntraced(function* (
  name: TableName,
  columns: ReadonlyArray<string>
) {
  const names = yield* existingColumns(name)
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

/** The statements for the table of cameras. The trigger watches all columns if it is unknown which of them matter. */
const statementsFor = (
  settings: Settings,
  name: TableName,
  missing: ReadonlyArray<string> = []
): ReadonlyArray<string> =>
  CameraTable.initStatements(name, settings.database.channel, {
    watched: hasOtherColumns(settings) || missing.length > 0 ? "all" : columns,
    hasId: !missing.includes("id")
  })

/** Runs the statements in one transaction. */
const execute = Effect.fnUntraced(function* (statements: ReadonlyArray<string>) {
  const sql = yield* PgClient.PgClient
  yield* sql.withTransaction(
    Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
  )
})

/** Creates the table of cameras and its trigger, if they do not exist. */
export const initCameras = Effect.fnUntraced(function* (settings: Settings) {
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

/** Creates the table of states, if it does not exist. */
export const initStatus = Effect.fnUntraced(function* (settings: Settings) {
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

/** The statements that create the table of states or the table of cameras. */
export const statementsOf = Effect.fnUntraced(function* (settings: Settings, isStatus: boolean) {
  if (!isStatus) return statementsFor(settings, yield* tableOf(settings))
  const { name } = yield* statusTableOf(settings)
  return [
    ...StatusTable.initStatements(name),
    // needed only by a role that does not own the table
    `-- ${StatusTable.grantStatement(name, "restream")}`
  ]
})

/** The statements that create the tables of the cluster, and the index on the table of cameras. */
export const clusterStatements = Effect.fnUntraced(function* (settings: Settings) {
  const { shards, tablePrefix } = settings.cluster
  return [
    ...(yield* Effect.orDie(ClusterTables.tableStatements(tablePrefix))),
    settings.database.query === undefined
      ? CameraTable.shardIndex(yield* tableOf(settings), shards)
      : `-- create index on … ((${Shard.shardSql("id", shards)}))`,
    // needed only by roles that do not own the tables
    ...ClusterRights.grantStatements(tablePrefix, "restream").map((statement) => `-- ${statement}`)
  ]
})

/** Prints statements as psql reads them. */
export const printStatements = (statements: ReadonlyArray<string>) =>
  Effect.forEach(statements, (statement) => print(`${statement};\n`), { discard: true })

/**
 * Creates the tables of the cluster, and the index by which each node reads the rows of its shards. If the cameras
 * come from a query, the index is printed instead, because the table with the ids is unknown.
 */
export const initCluster = Effect.fnUntraced(function* (settings: Settings) {
  const { shards, tablePrefix } = settings.cluster
  const named = (table: Parameters<typeof ClusterTables.named>[1]) =>
    ClusterTables.named(tablePrefix, table)
  yield* ClusterTables.createTables(tablePrefix).pipe(
    Effect.catchTag("MigrationError", ({ message }) =>
      Effect.fail(usageFailure([`database: ${oneLine(redact(message))}`]))
    )
  )
  yield* print(
    `tables ${named("runners")} (with the sequence ${named("runners_machine_id_seq")}), ${named("locks")}, ${named("refusals")} and ${named("runner_migrations")} exist`
  )
  yield* print("nodes that connect with another role need these rights:")
  for (const statement of ClusterRights.grantStatements(tablePrefix, "ROLE")) {
    yield* print(`  ${statement};`)
  }
  if (settings.database.query !== undefined) {
    return yield* print(
      `create an index on the table of the ids, by which each node finds the rows of its shards: create index on … ((${Shard.shardSql("id", shards)}))`
    )
  }
  const name = yield* tableOf(settings)
  const names = yield* existingColumns(name)
  if (names.size === 0) {
    return yield* print(
      `table ${settings.database.table} does not exist: run restream db init, then restream db init --cluster again for its index`
    )
  }
  yield* execute([CameraTable.shardIndex(name, shards)]).pipe(
    Effect.matchEffect({
      onSuccess: () =>
        print(`table ${settings.database.table} has an index on the shard of each camera`),
      // for example an id whose text depends on session settings, or no column id
      onFailure: (error) =>
        print(
          `table ${settings.database.table} gets no index on the shard of each camera: ${oneLine(redact(SqlProblem.describe(error)))}`
        )
    })
  )
})

/** Runs an effect with a client of the database; an error of the database fails the command in one line. */
export const inDatabase =
  (dsn: Dsn.Dsn, settings: Settings) =>
  <A, E, R>(effect: Effect.Effect<A, E | SqlError, R | PgClient.PgClient>) =>
    effect.pipe(
      Effect.catchTag("SqlError", (error) => Effect.fail(databaseFailure(error as SqlError))),
      Effect.provide(databaseLayer(dsn, settings.database))
    )

/** Whether the table of the settings does not exist. False if a query is set, or if the database does not respond. */
export const isMissing = (dsn: Dsn.Dsn, settings: Settings) =>
  settings.database.query !== undefined
    ? Effect.succeed(false)
    : tableOf(settings).pipe(
        Effect.flatMap((name) =>
          Effect.flatMap(
            PgClient.PgClient,
            (sql) =>
              sql<{
                readonly missing: boolean
              }>`select to_regclass(${CameraTable.tableSql(name)}) is null as missing`
          )
        ),
        Effect.map((rows) => rows[0]?.missing === true),
        Effect.timeout(settings.database.queryTimeout),
        Effect.orElseSucceed(() => false),
        Effect.provide(databaseLayer(dsn, settings.database))
      )
