/**
 * The camera source that reads PostgreSQL.
 *
 * The source polls, and reads changes at once if a trigger sends notifications. It needs only the right to SELECT.
 * Any table works, by a query whose columns are named as the camera types expect.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import type { OwnedShards } from "../cluster/Ownership.ts"
import {
  type CameraRow,
  CameraSource,
  CameraSourceError,
  AccessDenied,
  InvalidQuery,
  Unavailable
} from "./CameraSource.ts"
import * as Notifications from "./Notifications.ts"
import * as Deadline from "../time/Deadline.ts"
import * as ReadChecks from "./ReadChecks.ts"
import { missingId, type ReadResult } from "./ResultShape.ts"
import * as Polling from "./Polling.ts"
import * as RowQuery from "./RowQuery.ts"
import { codeOf, describe, refusedParameter } from "./SqlProblem.ts"
import * as TableRows from "./TableRows.ts"

export interface PgCameraSourceOptions extends ReadChecks.ReadCheckOptions {
  /** The SELECT of all rows. */
  readonly query: string
  /**
   * Whether the query is a plain table: then a row depends on no other row, and has the id by which a trigger
   * names it. Default false: after the rows that a notification names, all rows are read, too.
   */
  readonly isTable?: boolean | undefined
  /** In a cluster, the shards of this node: from 20,000 rows on, only their rows are read. Default: all rows. */
  readonly shards?: OwnedShards | undefined
  /** The channel on which the table's trigger notifies; `undefined` to poll only. */
  readonly channel?: string | undefined
  /** Default: polls every 10 s, with a timeout of 10 s. */
  readonly timing?: Effect.Effect<Polling.PollTiming> | undefined
  readonly listenTiming?: Notifications.ListenTiming | undefined
}

/** The result of a statement that reads rows, and the names of all columns. */
interface Result<A> {
  readonly columns: ReadonlyArray<string>
  readonly value: A
}

/**
 * Sends statements that read the rows to the server, with only the known columns; `undefined`: with all columns.
 *
 * Unprepared: a prepared `select *` fails for ever after a column was added to the table.
 *
 * A session that ends during the query is replaced once: an administrator, a pooler or a firewall may have
 * ended it while it was idle. If the database is unreachable, the new session fails with the reason.
 *
 * The transaction is read-only, because a function in the query could write. A pooler in statement mode allows
 * no transactions, and gets the query without one.
 *
 * A query without a result set, such as a DELETE or a comment, fails as `InvalidQuery`: an empty list would stop all
 * relays.
 */
const read = <A>(
  sql: PgClient.PgClient,
  query: string,
  known: ReadonlySet<string> | undefined,
  fetch: (
    run: TableRows.Run,
    statement: string,
    columns: ReadonlyArray<RowQuery.Column>
  ) => Effect.Effect<A, SqlError>
): Effect.Effect<Result<A>, CameraSourceError> =>
  readOnly(sql, (run) =>
    Effect.gen(function* () {
      const { fields } = yield* run(RowQuery.asDescribed(query))
      if (fields.length === 0) return undefined
      const isRead = (name: string) => known === undefined || known.has(name)
      const columns = fields.filter(({ name }) => isRead(name))
      const value = yield* fetch(run, RowQuery.asRows(query, fields, isRead), columns)
      return { columns: [...new Set(fields.map(({ name }) => name))], value }
    })
  ).pipe(
    Effect.catch((error) =>
      isAboutForm(error)
        ? Effect.andThen(failWithServerMessage(sql, query), Effect.fail(noSelect))
        : Effect.fail(toSourceError(error))
    ),
    Effect.filterOrFail(
      (read) => read !== undefined,
      () => noSelect
    ),
    Effect.withSpan("PgCameraSource.fetchRows")
  )

/** All rows, once, with only the known columns; `undefined`: with all columns. */
export const fetchResult = (
  query: string,
  known?: ReadonlySet<string>
): Effect.Effect<ReadResult, CameraSourceError, PgClient.PgClient> =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.map(
      read(sql, query, known, (run, statement) => run(statement)),
      ({ columns, value }) => ({
        columns,
        rows: value.rows.map(({ row }) => RowQuery.read(String(row)))
      })
    )
  )

/** Like {@link fetchResult}, but a result without a column `id` fails as `InvalidQuery`: no row makes a camera. */
export const fetchRows = (
  query: string,
  known?: ReadonlySet<string>
): Effect.Effect<ReadResult, CameraSourceError, PgClient.PgClient> =>
  Effect.tap(fetchResult(query, known), (result) => failOn(missingId(result)))

const failOn = (problem: string | undefined): Effect.Effect<void, CameraSourceError> =>
  problem === undefined
    ? Effect.void
    : Effect.fail(new CameraSourceError({ reason: new InvalidQuery({ detail: problem }) }))

/**
 * Runs statements in a read-only transaction.
 *
 * Not by `withTransaction`, which dies with a defect when the session ends.
 */
const readOnly = <A>(
  sql: PgClient.PgClient,
  statements: (run: TableRows.Run) => Effect.Effect<A, SqlError>
): Effect.Effect<A, SqlError> =>
  Effect.suspend(() => {
    let refusals = 0
    const reserve = Effect.map(sql.reserve, (session): TableRows.Run => {
      // the client's statements do not return the types of the columns
      const { connection } = session as unknown as {
        readonly connection: PgConnection.PgConnection
      }
      return (statement) => connection.query(statement, [], false)
    })
    return Effect.gen(function* () {
      const run = yield* reserve
      yield* Effect.tapError(run("begin read only"), (error) =>
        Effect.sync(() => {
          if (isSessionLost(error)) refusals++
        })
      )
      yield* Effect.addFinalizer(() => rollBack(run))
      return yield* statements(run)
    }).pipe(
      Effect.scoped,
      Effect.retry({ times: 1, while: isSessionLost }),
      // a pooler in statement mode closes a session that starts a transaction
      Effect.catchIf(
        (error) => isSessionLost(error) && refusals === 2,
        () => Effect.scoped(Effect.flatMap(reserve, statements))
      )
    )
  })

/** With a timeout, because a finalizer has none: a session that a proxy dropped would block all further reads. */
const rollBack = (run: TableRows.Run): Effect.Effect<void> =>
  Effect.ignore(
    Deadline.within(rollbackTimeout, () => Effect.void)(Effect.interruptible(run("rollback")))
  )

/** A read-only transaction has nothing to undo. A session that takes longer is closed. */
const rollbackTimeout = Duration.seconds(2)

/** 57P01, 57P02 and 57P05: the server ended the session between two statements. */
const isSessionLost = (error: SqlError): boolean =>
  (error.reason._tag === "ConnectionError" && error.reason.operation === "query") ||
  ["57P01", "57P02", "57P05"].includes(codeOf(error) ?? "")

/** 42601: the query cannot be our subquery; 0A000: it writes. The server's message is about our statement. */
const isAboutForm = (error: SqlError): boolean => {
  const code = codeOf(error)
  return code === "42601" || code === "0A000"
}

/** Fails with the server's message about the unmodified query, if the server rejects the query. */
const failWithServerMessage = (sql: PgClient.PgClient, query: string) =>
  Effect.mapError(sql.unsafe(RowQuery.asExplained(query)).unprepared, toSourceError)

const noSelect = new CameraSourceError({
  reason: new InvalidQuery({ detail: "the query is not one SELECT of columns that only reads" })
})

/** Interrupts all fibers of the scope at once, so that the end of one fiber is no failure of another. */
const interruptTogether = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.scope.pipe(
    Effect.flatMap((scope) => Scope.fork(scope, "parallel")),
    Effect.flatMap((scope) => Scope.provide(effect, scope))
  )

/**
 * Takes snapshots with the `PgClient` in context, which must allow at least two connections. LISTEN uses a further
 * connection, with the client's configuration.
 */
export const make = Effect.fnUntraced(function* (options: PgCameraSourceOptions) {
  const sql = yield* PgClient.PgClient

  const check = ReadChecks.make("database", options, failOn)
  const rows = yield* TableRows.make({
    isTable: options.isTable === true,
    shards: options.shards,
    notifications:
      options.channel === undefined
        ? Stream.empty
        : yield* Notifications.make(options.channel, options.listenTiming),
    read: Effect.fnUntraced(function* (fetch) {
      const known = yield* options.known ?? Effect.succeed(undefined)
      const { columns, value } = yield* read(sql, options.query, known, fetch)
      return {
        value,
        check: (rows: ReadonlyArray<CameraRow>) =>
          Effect.andThen(failOn(missingId({ columns })), check({ columns, rows }, known))
      }
    })
  })

  return yield* Polling.make({ label: "database", ...rows, timing: options.timing })
}, interruptTogether)

/** Provides the camera source that uses the `PgClient` in context. */
export const layer = (
  options: PgCameraSourceOptions
): Layer.Layer<CameraSource, never, PgClient.PgClient> => Layer.effect(CameraSource, make(options))

/** SQLSTATE 28…: authentication failed. 42501: a right is missing. */
const toSourceError = (error: SqlError): CameraSourceError => {
  const detail = describe(error)
  if (refusedParameter(error) !== undefined) {
    return new CameraSourceError({ reason: new AccessDenied({ detail }) })
  }
  if (codeOf(error) === "25006") {
    return new CameraSourceError({
      reason: new InvalidQuery({ detail: `${detail}; the query must only read` })
    })
  }
  switch (error.reason._tag) {
    case "AuthenticationError":
    case "AuthorizationError":
      return new CameraSourceError({ reason: new AccessDenied({ detail }) })
    case "SqlSyntaxError":
      return new CameraSourceError({
        reason: new InvalidQuery({
          detail: codeOf(error) === "42P01" ? `${detail}: ${noTable}` : detail
        })
      })
    default:
      return new CameraSourceError({ reason: new Unavailable({ detail }) })
  }
}

const noTable = "`restream db init` creates it; or set database.table or database.query"
