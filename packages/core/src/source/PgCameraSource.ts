/**
 * The camera source over PostgreSQL.
 *
 * It polls, and where a trigger sends notifications it hears of changes at once. It needs the right to
 * SELECT and no other. Any table works, by a query whose columns are named as the camera types expect.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { oneLine, redact } from "@restream/config"
import {
  type CameraRow,
  CameraSource,
  CameraSourceError,
  AccessDenied,
  InvalidQuery,
  Unavailable
} from "./CameraSource.ts"
import { Incidents } from "../status/Incidents.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as Polling from "./Polling.ts"
import * as RowQuery from "./RowQuery.ts"
import { describeSystemError } from "./SystemError.ts"

export interface PgCameraSourceOptions {
  /** The SELECT that gives all rows. */
  readonly query: string
  /** The channel on which the table's trigger notifies; `undefined` to poll only. */
  readonly channel?: string | undefined
  /** Default: polls every 10 s, with a timeout of 10 s. */
  readonly timing?: Effect.Effect<Polling.PollTiming> | undefined
  /** How long LISTEN must work before its problem is reported as resolved. Default 1 minute. */
  readonly stableAfter?: Duration.Input | undefined
}

/** A LISTEN that broke is tried again on this schedule: 0.5, 1, 2, 4, then every 5 s, for ever. */
const listenAgain = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("5 seconds")])

/**
 * All rows, once. Unprepared: a prepared `select *` fails for ever after the table gained a column.
 *
 * A session that ends under the query is replaced once: an administrator, a pooler or a firewall may have
 * ended it while it was idle. If the database is away, the new one says so, and why.
 *
 * A query that gives no rows because it asks for none, such as a DELETE or a comment, fails as `InvalidQuery`:
 * an empty list would stop all relays.
 */
export const fetchRows = (
  query: string
): Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError, PgClient.PgClient> =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    sql.unsafe<{ readonly row: string }>(RowQuery.asRows(query)).unprepared.pipe(
      Effect.retry({ times: 1, while: isSessionLost }),
      Effect.catch((error) =>
        isAboutForm(error)
          ? Effect.andThen(inItsOwnWords(sql, query), Effect.fail(noSelect))
          : Effect.fail(toSourceError(error))
      ),
      Effect.map((rows) => rows.map(({ row }) => RowQuery.read(row))),
      Effect.filterOrFail(
        ([first]) => first === undefined || Object.keys(first).length > 0,
        () => noSelect
      ),
      Effect.withSpan("PgCameraSource.fetchRows")
    )
  )

const isSessionLost = ({ reason }: SqlError): boolean =>
  reason._tag === "ConnectionError" && reason.operation === "query"

/** The SQLSTATE of what the server refused. */
const codeOf = ({ reason: { cause } }: SqlError): string | undefined =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined

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
 * Takes snapshots with the `PgClient` in context, which must allow three connections at least: LISTEN
 * keeps one of them.
 */
export const make = Effect.fnUntraced(function* (options: PgCameraSourceOptions) {
  const sql = yield* PgClient.PgClient

  const stableAfter = Duration.fromInputUnsafe(options.stableAfter ?? "1 minute")
  // A pooler or a timeout may end the session every few seconds.
  const incidents = new Incidents<"listen">(Duration.toMillis(stableAfter), {
    resolvesWhenStable: true
  })
  let isListening = false

  const onStable = Effect.suspend(() =>
    incidents.markStable("listen") === "resolved"
      ? Effect.logInfo("database: notifications resumed")
      : Effect.void
  )

  /** In the scope of the LISTEN, which ends with its session. */
  const onListening = Effect.gen(function* () {
    isListening = true
    if (incidents.has("listen")) yield* Effect.forkScoped(Effect.delay(onStable, stableAfter))
  }).pipe(annotated)

  /** Without notifications changes are found by polling: at once, and then at each interval. */
  const onListenFailed = Effect.fnUntraced(function* (error: SqlError) {
    const line = `database: notifications unavailable: ${toSourceError(error).message}`
    const notice = incidents.failed("listen", "listen", yield* Monotonic.now)
    yield* notice === undefined
      ? Effect.logDebug(line)
      : Effect.logWarning(`${line}; changes are found by polling until they resume`)
    const wasListening = isListening
    isListening = false
    return wasListening ? Stream.make<[Polling.Hint]>("changed") : Stream.empty
  }, annotated)

  // What was sent while nobody listened is lost, so each LISTEN begins with a hint; and it shows that the
  // database answers.
  const notifications = (channel: string) =>
    Stream.unwrap(
      Effect.map(Effect.tap(sql.listen(channel), onListening), (queue) =>
        Stream.concat(
          Stream.make<[Polling.Hint]>("back"),
          Stream.map(Stream.fromQueue(queue), (): Polling.Hint => "changed")
        )
      )
    ).pipe(
      Stream.catch((error) =>
        Stream.concat(Stream.unwrap(onListenFailed(error)), Stream.fail(error))
      ),
      Stream.retry(listenAgain),
      Stream.ignore
    )

  return yield* Polling.make({
    label: "database",
    fetchRows: Effect.provideService(fetchRows(options.query), PgClient.PgClient, sql),
    hints: options.channel === undefined ? undefined : notifications(options.channel),
    timing: options.timing
  })
})

const annotated = Effect.annotateLogs("module", "source")

/** Provides the camera source over the `PgClient` in context. */
export const layer = (
  options: PgCameraSourceOptions
): Layer.Layer<CameraSource, never, PgClient.PgClient> => Layer.effect(CameraSource, make(options))

/** SQLSTATE 28… and AuthenticationError: who we are. 42501: what we may see. */
const toSourceError = (error: SqlError): CameraSourceError => {
  const detail = describe(error)
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

/** The server's message, or what the socket's error means; on one line, without secrets. */
const describe = (error: SqlError): string => {
  const cause = error.reason.cause
  const system = describeSystemError(cause)
  if (system !== undefined) return system
  const own = cause instanceof Error && cause.message !== "" ? cause.message : error.reason.message
  return oneLine(redact(own ?? error.message)).slice(0, 300)
}
