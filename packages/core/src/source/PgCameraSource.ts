/**
 * The camera source over PostgreSQL.
 *
 * It polls, and where a trigger sends notifications it hears of changes at once. It needs the right to
 * SELECT and no other. Any table works, by a query whose columns are named as the camera types expect.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import {
  type CameraRow,
  CameraSource,
  CameraSourceError,
  AccessDenied,
  InvalidQuery,
  Unavailable
} from "./CameraSource.ts"
import * as Notifications from "./Notifications.ts"
import * as Polling from "./Polling.ts"
import * as RowQuery from "./RowQuery.ts"
import { codeOf, describe, refusedParameter } from "./SqlProblem.ts"

export interface PgCameraSourceOptions {
  /** The SELECT that gives all rows. */
  readonly query: string
  /** The channel on which the table's trigger notifies; `undefined` to poll only. */
  readonly channel?: string | undefined
  /** Default: polls every 10 s, with a timeout of 10 s. */
  readonly timing?: Effect.Effect<Polling.PollTiming> | undefined
  readonly listenTiming?: Notifications.ListenTiming | undefined
}

/**
 * All rows, once. Unprepared: a prepared `select *` fails for ever after the table gained a column.
 *
 * A session that ends under the query is replaced once: an administrator, a pooler or a firewall may have
 * ended it while it was idle. If the database is away, the new one says so, and why.
 *
 * The transaction is read-only: a function in the query may write otherwise. A pooler in statement mode allows
 * no transaction, and gets the query alone.
 *
 * A query that gives no rows because it asks for none, such as a DELETE or a comment, fails as `InvalidQuery`:
 * an empty list would stop all relays.
 */
export const fetchRows = (
  query: string
): Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError, PgClient.PgClient> =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    selectReadOnly(sql, RowQuery.asRows(query)).pipe(
      Effect.catch((error) =>
        isAboutForm(error)
          ? Effect.andThen(inItsOwnWords(sql, query), Effect.fail(noSelect))
          : Effect.fail(toSourceError(error))
      ),
      Effect.map((rows) => rows.map(({ row }) => RowQuery.read(row as string))),
      Effect.filterOrFail(
        ([first]) => first === undefined || Object.keys(first).length > 0,
        () => noSelect
      ),
      Effect.withSpan("PgCameraSource.fetchRows")
    )
  )

/** Not by `withTransaction`, to which a session that ends is a defect. */
const selectReadOnly = (sql: PgClient.PgClient, query: string) =>
  Effect.suspend(() => {
    let refusals = 0
    return Effect.gen(function* () {
      const session = yield* sql.reserve
      const run = (statement: string) => session.executeUnprepared(statement, [], undefined)
      yield* Effect.tapError(run("begin read only"), (error) =>
        Effect.sync(() => {
          if (isSessionLost(error)) refusals++
        })
      )
      yield* Effect.addFinalizer(() => Effect.ignore(run("rollback")))
      return yield* run(query)
    }).pipe(
      Effect.scoped,
      Effect.retry({ times: 1, while: isSessionLost }),
      // a pooler in statement mode ends a session that begins a transaction
      Effect.catchIf(
        (error) => isSessionLost(error) && refusals === 2,
        () => sql.unsafe(query).unprepared
      )
    )
  })

/** 57P01, 57P02 and 57P05: the server ended the session between two statements. */
const isSessionLost = (error: SqlError): boolean =>
  (error.reason._tag === "ConnectionError" && error.reason.operation === "query") ||
  ["57P01", "57P02", "57P05"].includes(codeOf(error) ?? "")

/** 42601: the query can't stand in ours; 0A000: it writes. Either is told in words about ours. */
const isAboutForm = (error: SqlError): boolean => {
  const code = codeOf(error)
  return code === "42601" || code === "0A000"
}

/** Fails with what the server says about the query as it stands, if it finds fault with it. */
const inItsOwnWords = (sql: PgClient.PgClient, query: string) =>
  Effect.mapError(sql.unsafe(RowQuery.asExplained(query)).unprepared, toSourceError)

const noSelect = new CameraSourceError({
  reason: new InvalidQuery({ detail: "the query is not one SELECT of columns that only reads" })
})

/**
 * Takes snapshots with the `PgClient` in context, which must allow two connections at least. LISTEN has
 * another one, with the client's configuration.
 */
export const make = Effect.fnUntraced(function* (options: PgCameraSourceOptions) {
  const sql = yield* PgClient.PgClient

  return yield* Polling.make({
    label: "database",
    fetchRows: Effect.provideService(fetchRows(options.query), PgClient.PgClient, sql),
    hints:
      options.channel === undefined
        ? undefined
        : yield* Notifications.make(options.channel, options.listenTiming),
    timing: options.timing
  })
})

/** Provides the camera source over the `PgClient` in context. */
export const layer = (
  options: PgCameraSourceOptions
): Layer.Layer<CameraSource, never, PgClient.PgClient> => Layer.effect(CameraSource, make(options))

/** SQLSTATE 28… and AuthenticationError: who we are. 42501: what we may see. */
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
