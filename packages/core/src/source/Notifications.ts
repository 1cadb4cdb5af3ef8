/**
 * Hints from PostgreSQL's notifications, on a connection that is proven to deliver notifications.
 *
 * LISTEN succeeds behind a connection pooler in transaction mode, and on a connection that a proxy has
 * dropped without closing it, although no notification ever arrives. So another session sends a test
 * notification to each listening session: after LISTEN, and then at intervals.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { Incidents } from "../status/Incidents.ts"
import * as Deadline from "../time/Deadline.ts"
import { format } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import type { Hint } from "./Polling.ts"
import * as SqlProblem from "./SqlProblem.ts"

/** When notifications are tested, and when they are reported as resumed. */
export interface ListenTiming {
  /** How long they must work before a problem is reported as resolved. Default 1 minute. */
  readonly stableAfter?: Duration.Input | undefined
  /**
   * The interval between tests of the session. The tests also keep a firewall or `idle_session_timeout` from ending
   * the session. Default 30 s.
   */
  readonly proofInterval?: Duration.Input | undefined
  /** The timeout of a test notification. Default 2 s. */
  readonly proofTimeout?: Duration.Input | undefined
  /** The delay before LISTEN is retried if the server cannot send notifications. Default 1 minute. */
  readonly retryDelay?: Duration.Input | undefined
}

/** Why a listening session ended. */
class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  detail: Schema.String,
  /** Whether the next session may work at once: this session worked, or could not be opened. */
  isPassing: Schema.Boolean
}) {}

/** A hint from a table, which may name the changed rows by the text of their ids. */
export type TableHint = Hint | { readonly ids: ReadonlyArray<string> }

/** The timeout of a statement about notifications: LISTEN and NOTIFY. */
const statementTimeout = Duration.seconds(5)

/** A lost session is replaced after 0.5, 1, 2, 4, then every 5 s. */
const reconnectDelay = (failures: number): Duration.Duration =>
  Duration.millis(Math.min(500 * 2 ** (failures - 1), 5000))

/** For channel names and payloads. */
const randomName = Effect.sync(() => randomUUID().replaceAll("-", ""))

const inTime = (statement: string) =>
  Deadline.within(statementTimeout, () =>
    Effect.fail(
      new ListenError({
        detail: `no response to ${statement} within ${format(statementTimeout)}`,
        isPassing: true
      })
    )
  )

/** Translates refusals of the server that a new session does not change. */
const refused = (error: SqlError | ListenError): SqlError | ListenError => {
  if (error._tag === "ListenError") return error
  const never = (detail: string) => new ListenError({ detail, isPassing: false })
  switch (SqlProblem.codeOf(error)) {
    case "25006":
      return never("the server is a standby, which sends none")
    case "42501":
      return never(`the role may not use them: ${SqlProblem.describe(error)}`)
    case "0A000":
    case "42601":
      return never(`the server does not support them: ${SqlProblem.describe(error)}`)
    default:
      return error
  }
}

/** The hint in a notification. A trigger may send anything, and older triggers send an empty text. */
const hintOf = (payload: string): TableHint => {
  try {
    const { ids } = JSON.parse(payload) as { readonly ids?: unknown }
    const isList = Array.isArray(ids) && ids.every((id) => typeof id === "string")
    return isList ? { ids } : "changed"
  } catch {
    return "changed"
  }
}

/** The reason why a session ended. */
const listenErrorOf = (cause: Cause.Cause<SqlError | ListenError>): Effect.Effect<ListenError> => {
  const error = Cause.findErrorOption(cause)
  if (error._tag === "Some") {
    return Effect.succeed(
      error.value._tag === "ListenError"
        ? error.value
        : new ListenError({ detail: SqlProblem.describe(error.value), isPassing: true })
    )
  }
  return Effect.as(
    ignoreDefects(Effect.logError("database: internal error", cause)),
    new ListenError({ detail: "internal error; see the log", isPassing: true })
  )
}

/** A logger of an embedding program may throw. */
const ignoreDefects = Effect.catchDefect(() => Effect.void)

/**
 * Listens in the scope, and emits a hint for each notification.
 *
 * Notifications without a listening session are lost, so each session starts with a hint.
 */
export const make = Effect.fnUntraced(function* (
  channel: string,
  timing: ListenTiming = {}
): Effect.fn.Return<Stream.Stream<TableHint>, never, PgClient.PgClient | Scope.Scope> {
  const sql = yield* PgClient.PgClient
  const stableAfter = Duration.fromInputUnsafe(timing.stableAfter ?? "1 minute")
  const proofInterval = timing.proofInterval ?? "30 seconds"
  const proofTimeout = Duration.fromInputUnsafe(timing.proofTimeout ?? "2 seconds")
  const retryDelay = Duration.fromInputUnsafe(timing.retryDelay ?? "1 minute")
  // unbounded, because a hint that names rows must not be lost; the reader takes hints at once
  const hints = yield* Queue.unbounded<TableHint>()

  // resolved only when stable: a pooler or a timeout may end the session every few seconds
  const incidents = new Incidents<"listen">(Duration.toMillis(stableAfter), {
    resolvesWhenStable: true
  })
  let failures = 0
  let isListening = false

  const onStable = Effect.suspend(() =>
    incidents.markStable("listen") === "resolved"
      ? Effect.logInfo("database: notifications resumed")
      : Effect.void
  )

  const onFailed = Effect.fnUntraced(function* ({ detail, isPassing }: ListenError) {
    failures++
    // changes are found by polling: at once, and then at each interval
    if (isListening) Queue.offerUnsafe(hints, "changed")
    isListening = false
    const kind = isPassing ? "passing" : detail
    const notice = incidents.failed("listen", kind, yield* Monotonic.now)
    const consequence = isPassing
      ? "changes are found by polling until they resume"
      : `polling only; retrying in ${format(retryDelay)}`
    const line = `database: notifications unavailable: ${detail}; ${consequence}`
    yield* notice === undefined ? Effect.logDebug(line) : Effect.logWarning(line)
  })

  /** One session, which fails when it breaks or delivers no notifications. */
  const session = Effect.gen(function* () {
    // Closed after the connection: an UNLISTEN on a connection that a proxy dropped would wait for ever.
    const listening = yield* Scope.fork(yield* Effect.scope)
    const connection = yield* PgConnection.make(sql.config)
    const own = yield* Scope.provide(connection.pin, listening)
    const listen = (name: string) =>
      Scope.provide(own.listen(name), listening).pipe(inTime("LISTEN"), Effect.mapError(refused))
    const changes = yield* listen(channel)
    // a separate channel, so that a test notification is no hint for other listeners
    const proofChannel = `restream_proof_${yield* randomName}`
    const proofs = yield* listen(proofChannel)

    const prove = Effect.gen(function* () {
      const nonce = yield* randomName
      // in another session, because a pooler delivers what a session sends to itself
      yield* sql
        .unsafe(`notify ${proofChannel}, '${nonce}'`)
        .unprepared.pipe(inTime("NOTIFY"), Effect.mapError(refused))
      const received = Effect.repeat(Queue.take(proofs), {
        until: ({ payload }) => payload === nonce
      })
      yield* Deadline.within(proofTimeout, () => Effect.fail(undelivered()))(received)
    })
    const undelivered = () =>
      new ListenError({
        detail: `no response to our NOTIFY within ${format(proofTimeout)}: a connection pooler in transaction mode or a proxy drops notifications`,
        isPassing: isListening
      })
    /** Traffic of this session, which resets the timeouts of the server and of firewalls. */
    const keepAlive = Effect.forkIn(Effect.ignore(own.query("select 1", [], false)), listening)

    yield* prove
    failures = 0
    isListening = true
    Queue.offerUnsafe(hints, "back")
    if (incidents.has("listen")) yield* Effect.forkScoped(Effect.delay(onStable, stableAfter))
    const again = keepAlive.pipe(
      Effect.andThen(prove),
      // if the test notification cannot be sent, its absence proves nothing
      Effect.catchTag("SqlError", () => Effect.void),
      Effect.delay(proofInterval)
    )
    return yield* Effect.raceFirst(
      Effect.forever(again),
      Effect.forever(
        Effect.map(Queue.take(changes), ({ payload }) => Queue.offerUnsafe(hints, hintOf(payload)))
      )
    )
  })

  yield* session.pipe(
    // before the connection is closed, because that may take seconds
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause as Cause.Cause<never>)
        : Effect.tap(listenErrorOf(cause), (error) => ignoreDefects(onFailed(error)))
    ),
    Effect.scoped,
    Effect.flatMap(({ isPassing }) =>
      Effect.sleep(isPassing ? reconnectDelay(failures) : retryDelay)
    ),
    Effect.forever,
    Effect.annotateLogs("module", "source"),
    Effect.forkScoped
  )
  return Stream.fromQueue(hints)
})
