/**
 * Ownership by one advisory lock: the daemon that holds the lock relays every camera, all others are standbys.
 *
 * The lock belongs to a dedicated session, so PostgreSQL releases the lock even when the daemon crashes. A standby
 * requests the lock every 250 ms. The holder confirms it every second. A daemon that is suspended for `lease` loses
 * its session by `idle_session_timeout` (PostgreSQL 14 or later), and the lock with it.
 *
 * The loss of a session stops no relay: while the database is unreachable no daemon can take over, and the media
 * server accepts only one publisher per path. The daemon requests the lock again, and stops its relays only when
 * another daemon has the lock. Until then, if there was a standby, the daemon does not restart a camera whose
 * publisher was replaced at the media server, because the standby may have taken over. After a suspension the daemon
 * restarts no camera before it has requested the lock again.
 *
 * The nodes of a cluster hold the same lock in shared mode: a daemon outside the cluster is a standby beside them,
 * and they wait for such a daemon if it holds the lock first.
 *
 * With several media servers there is one lock for each, and a daemon relays when it holds all of them. The locks are
 * acquired in the order of their keys, so that two daemons never wait for each other.
 *
 * If no lock is available, that is logged once and every camera is ours.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { createHash } from "node:crypto"
import * as SqlProblem from "../source/SqlProblem.ts"
import * as Deadline from "../time/Deadline.ts"
import { Ownership, type OwnershipService } from "./Ownership.ts"

export interface OneHolderOptions {
  /** What the lock protects: one table, or one query. */
  readonly cameras: { readonly table: string } | { readonly query: string }
  /** Where the cameras are published. Two daemons without a common media server do not exclude each other. */
  readonly mediaServers: ReadonlyArray<string>
  /** The name of this machine, shown to the standbys as part of `application_name`. */
  readonly hostname: string
  /** Whether the lock is held together with the other nodes of a cluster. Default: no. */
  readonly isNode?: boolean
}

/** Who holds the lock, as far as the database role may see it. */
interface Holder {
  /** Identifies the session. */
  readonly session: string
  readonly description: string
}

type LockState =
  /** The lock was not requested yet, or the database did not respond. */
  | { readonly _tag: "Unknown" }
  /**
   * We hold the lock, and no other daemon can have it before `until`, in milliseconds of `performance.now()`.
   * Without a standby, no other daemon is waiting to take the lock later.
   */
  | {
      readonly _tag: "Active"
      readonly until: number
      readonly hasStandby: boolean
      /** Consecutive failures: one is the end of the session, more are an unreachable database. */
      readonly failures: number
    }
  | { readonly _tag: "Standby"; readonly holder: Holder }
  /** No lock is available. */
  | { readonly _tag: "Unguarded" }

/** How often a standby requests the lock. */
const askInterval = "250 millis"
/** How often the holder confirms that it has the lock. */
const confirmInterval = "1 second"
/** How long the server keeps the lock for a daemon that sends nothing. */
const lease = Duration.seconds(10)
/** The timeout of one statement. */
const statementTimeout = "3 seconds"
/** After a restart of the database the daemon that held the lock requests it first. */
const standbyDelay = "5 seconds"
/** How often a daemon without a lock requests one again. */
const unguardedInterval = "1 minute"
/** How many consecutive failures of the lock are allowed at the start, while the rows can be read. */
const maxFailures = 3

/** The lock was lost, or cannot be requested. */
class LockFailed {
  readonly _tag = "LockFailed"
  readonly detail: string
  /** Whether no lock is available at all, so that retrying is pointless. */
  readonly isFinal: boolean
  constructor(detail: string, isFinal = false) {
    this.detail = detail
    this.isFinal = isFinal
  }
}

const toFailure = (error: SqlError): LockFailed => new LockFailed(SqlProblem.describe(error))

/** A lock by its key, and the condition that finds it in `pg_locks`. */
interface Lock {
  readonly key: bigint
  readonly isLocked: string
}

/** The lock of a text: its key is the first 64 bits of the text's SHA-256 digest. */
const lockOf = (text: string): Lock => {
  const digest = createHash("sha256").update(`restream guard\n${text}`).digest()
  return {
    key: digest.readBigInt64BE(0),
    isLocked: `locktype = 'advisory' and granted and objsubid = 1
      and classid = '${digest.readUInt32BE(0)}'::oid and objid = '${digest.readUInt32BE(4)}'::oid
      and database = (select oid from pg_database where datname = current_database())`
  }
}

/** `application_name` holds 63 bytes, and only ASCII is shown. */
const nameOf = (application: string, hostname: string): string =>
  `${application}@${hostname}`.replaceAll(/[^\x21-\x7e]/g, "?").slice(0, 63)

export interface OneHolder extends OwnershipService {
  /** Done as soon as the cameras are ours. */
  readonly permitted: Effect.Effect<void>
}

/** Holds or requests the lock as long as the scope lives. Never fails. */
export const make = Effect.fnUntraced(function* (options: OneHolderOptions) {
  const sql = yield* PgClient.PgClient
  const { isNode = false } = options
  const application = sql.config.applicationName ?? "restream"
  const config = {
    ...sql.config,
    // the application name of a node already names the node
    applicationName: isNode ? application : nameOf(application, options.hostname)
  }
  const tryLock = isNode ? "pg_try_advisory_lock_shared" : "pg_try_advisory_lock"
  /** From the lock's key, so that the next holder recognizes the publishers of this holder. */
  let instance: string | undefined
  const lockState = yield* SubscriptionRef.make<LockState>({ _tag: "Unknown" })
  const current = () => SubscriptionRef.getUnsafe(lockState)
  /** Our session that held the lock last. After it broke, the server may keep its lock for a while. */
  let ownSession: string | undefined
  let cameras: string | undefined
  let failures = 0
  let isReplicaReported = false

  const onActive = Effect.fnUntraced(function* (sentAt: number, hasStandby: boolean) {
    const before = current()
    yield* SubscriptionRef.set(lockState, {
      _tag: "Active",
      until: sentAt + Duration.toMillis(lease),
      hasStandby,
      failures: 0
    })
    if (before._tag === "Standby") {
      yield* Effect.logInfo(
        `the database lock is free: ${isNode ? "joining the cluster" : "taking over the cameras"}`
      )
    } else if (before._tag === "Unknown") yield* Effect.logDebug("database lock acquired")
  })

  const onHeldByOther = Effect.fnUntraced(function* (holder: Holder) {
    // the server has not noticed the end of our last session yet
    if (holder.session === ownSession) return
    const before = current()
    yield* SubscriptionRef.set(lockState, { _tag: "Standby", holder })
    if (before._tag === "Active" || before._tag === "Unguarded") {
      yield* Effect.logWarning(
        `another daemon has taken over the cameras: ${holder.description}; stopping the relays, now a standby`
      )
    } else if (before._tag === "Unknown" || before.holder.session !== holder.session) {
      yield* Effect.logInfo(
        isNode
          ? `the cameras are relayed by ${holder.description}, a daemon that runs without --cluster; joining the cluster when that daemon ends`
          : `standby: the cameras are relayed by ${holder.description}; taking over when that daemon ends`
      )
    }
  })

  /** Fails if the database does not respond to the client that reads the rows. */
  const isReachable = Effect.mapError(sql.unsafe("select 1").unprepared, toFailure)

  /** One session: acquires the lock, and holds it until the session ends. */
  const session = Effect.gen(function* () {
    const wasStandby = current()._tag === "Standby"
    // the role may have few connections, and reading the rows has priority
    if (current()._tag === "Unknown") yield* isReachable
    // Closed after the connection: a query on a connection that a proxy has dropped is not interrupted at once.
    const queries = yield* Scope.fork(yield* Effect.scope)
    const connection = yield* Effect.mapError(PgConnection.make(config), toFailure)

    /** A statement with a timeout; a timeout ends the session. */
    const query = Effect.fnUntraced(function* (text: string) {
      const fiber = yield* Effect.forkIn(connection.query(text, [], false), queries)
      const { rows } = yield* Effect.mapError(Fiber.join(fiber), toFailure).pipe(
        Deadline.within(statementTimeout, () =>
          Effect.fail(new LockFailed(`no response within ${statementTimeout}`))
        )
      )
      return rows
    })
    const one = Effect.fnUntraced(function* (text: string) {
      const [row] = yield* query(text)
      return row ?? {}
    })

    const { is_replica, pid, started, version } = yield* one(
      `select pg_backend_pid() as pid, pg_is_in_recovery() as is_replica,
        current_setting('server_version_num')::int as version,
        (select ${startOf} from pg_stat_activity a where a.pid = pg_backend_pid()) as started`
    )
    if (connection.processId !== pid) yield* rejectTransactionPooler(sql, Number(pid))
    else yield* limitIdleTime(query, Number(version))
    if (is_replica === true && !isReplicaReported) {
      isReplicaReported = true
      yield* Effect.logWarning(
        "the database is a read replica: the protection against a second daemon covers only daemons that use this replica"
      )
    }
    while (cameras === undefined) {
      const found = yield* "query" in options.cameras
        ? Effect.succeed(options.cameras.query)
        : Effect.map(one(qualifiedName(options.cameras.table)), ({ name }) => name)
      // no daemon relays a camera as long as the table does not exist
      if (typeof found === "string") cameras = found
      else yield* Effect.sleep("1 second")
    }
    const locks = options.mediaServers
      .map((server) => lockOf(`${cameras}\n${server}`))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
    const [first] = locks
    if (first === undefined) return yield* Effect.fail(new LockFailed("no media server", true))
    instance = BigInt.asUintN(64, first.key).toString(16).padStart(16, "0").slice(0, 12)
    /** Shared by the holder and all standbys. */
    const memberships = options.mediaServers.map((server) =>
      lockOf(`members\n${cameras}\n${server}`)
    )
    for (const { key } of memberships) yield* one(`select pg_advisory_lock_shared(${key})`)
    if (wasStandby) yield* Effect.sleep(standbyDelay)

    let held = 0
    for (;;) {
      const lock = locks[held]!
      const sentAt = performance.now()
      const { acquired } = yield* one(`select ${tryLock}(${lock.key}) as acquired`)
      if (acquired === true) {
        held++
        if (held < locks.length) continue
        ownSession = sessionOf(pid, started)
        yield* onActive(sentAt, true)
        break
      }
      const holder = yield* one(
        `select l.pid, ${startOf} as started, a.application_name as name, host(a.client_addr) as address,
          to_char(a.backend_start at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
          from pg_locks l left join pg_stat_activity a on a.pid = l.pid where ${lock.isLocked}
          order by a.backend_start limit 1`
      )
      // the lock may have been released in between
      if (holder["pid"] !== undefined) yield* onHeldByOther(holderOf(holder))
      yield* Effect.sleep(askInterval)
    }
    for (;;) {
      const sentAt = performance.now()
      const {
        has_standby,
        is_held,
        pid: pidNow
      } = yield* one(
        `select pg_backend_pid() as pid,
          ${locks.map(({ isLocked }) => `exists (select from pg_locks where pid = pg_backend_pid() and ${isLocked})`).join(" and ")} as is_held,
          ${memberships.map(({ isLocked }) => `exists (select from pg_locks where pid <> pg_backend_pid() and ${isLocked})`).join(" or ")} as has_standby`
      )
      if (pidNow !== pid) return yield* Effect.fail(transactionPooler)
      if (is_held !== true) return yield* Effect.fail(new LockFailed("the lock was released"))
      yield* onActive(sentAt, has_standby === true)
      yield* Effect.sleep(confirmInterval)
    }
  }).pipe(Effect.scoped)

  /**
   * Decides what follows a failure, and returns the delay before the next session. The lock never prevents the
   * relaying of all cameras: if the rows can be read and no lock is available, the daemon relays without one. A
   * daemon that has held the lock continues, and a standby stays a standby.
   */
  const onFailed = Effect.fnUntraced(function* ({ detail, isFinal }: LockFailed) {
    yield* Effect.logDebug(`database lock: ${detail}; asking again`)
    const state = current()
    const { _tag } = state
    if (_tag === "Active") {
      yield* SubscriptionRef.set(lockState, { ...state, failures: state.failures + 1 })
    }
    if (_tag === "Standby" || (_tag === "Active" && !isFinal)) return askInterval
    if (_tag === "Unguarded") return unguardedInterval
    if (!isFinal && (++failures < maxFailures || (yield* Effect.isFailure(isReachable)))) {
      return askInterval
    }
    yield* SubscriptionRef.set(lockState, { _tag: "Unguarded" })
    yield* Effect.logWarning(
      `no protection against a second daemon: ${detail}; ${isNode ? "run no daemon without --cluster" : "run only one daemon"} for these cameras, or set database.guard to no to silence this message`
    )
    return unguardedInterval
  })

  yield* session.pipe(
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
      const failure = Cause.findErrorOption(cause)
      return failure._tag === "Some"
        ? onFailed(failure.value)
        : Effect.andThen(
            Effect.logError("database lock: internal error", cause),
            onFailed(new LockFailed("internal error; see the log"))
          )
    }),
    Effect.flatMap(Effect.sleep),
    Effect.forever,
    Effect.annotateLogs("module", "daemon"),
    Effect.forkScoped
  )

  const mayStart = (state: LockState, lastEnd: Parameters<OwnershipService["mayStart"]>[1]) =>
    state._tag === "Unguarded" ||
    (state._tag === "Active" &&
      (performance.now() < state.until ||
        // the database is unreachable; otherwise we were suspended, and the next session finds the holder
        (state.failures > 1 && (!state.hasStandby || lastEnd?._tag !== "PublisherReplaced"))))

  const isOurs = ({ _tag }: LockState) => _tag === "Active" || _tag === "Unguarded"

  const oneHolder: OneHolder = {
    permitted: SubscriptionRef.changes(lockState).pipe(
      Stream.filter(isOurs),
      Stream.take(1),
      Stream.runDrain
    ),
    isOurs: () => isOurs(current()),
    changes: SubscriptionRef.changes(lockState).pipe(
      Stream.filter(({ _tag }) => _tag !== "Unknown"),
      Stream.map(isOurs),
      Stream.changes,
      Stream.map(() => ({}))
    ),
    mayStart: (_, lastEnd) => mayStart(current(), lastEnd),
    permit: (_, lastEnd) =>
      SubscriptionRef.changes(lockState).pipe(
        Stream.filter((state) => mayStart(state, lastEnd)),
        Stream.take(1),
        Stream.runDrain
      ),
    publisher: () => {
      const state = current()
      return state._tag === "Active" && instance !== undefined
        ? { instance, isExclusive: performance.now() < state.until }
        : undefined
    },
    activeDaemon: Effect.sync(() => {
      const state = current()
      return state._tag === "Standby" ? state.holder.description : undefined
    })
  }
  return oneHolder
})

/** Holds or requests the lock in the layer's scope; closing the scope releases the lock. Never fails. */
export const layer = (options: OneHolderOptions): Layer.Layer<never, never, PgClient.PgClient> =>
  Layer.effect(Ownership, make(options))

/** When a session began, as text: distinguishes two sessions with the same process id. */
const startOf = "extract(epoch from a.backend_start)::text"

const sessionOf = (pid: unknown, started: unknown): string => `${String(pid)} ${String(started)}`

const holderOf = (row: PgConnection.Row): Holder => {
  const { address, name, pid, since, started } = row
  const details = [
    // null if the role may not see them
    typeof address === "string" ? address : undefined,
    typeof since === "string" ? `since ${since}` : undefined
  ].filter((detail) => detail !== undefined)
  const suffix = details.length === 0 ? "" : ` (${details.join(", ")})`
  return {
    session: sessionOf(pid, started),
    description: `${typeof name === "string" && name !== "" ? name : "another session"}${suffix}`
  }
}

/** Selects the table's name with its schema; null if the table does not exist. */
const qualifiedName = (table: string): string =>
  `select (select n.nspname || '.' || c.relname from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.oid = to_regclass('${table.replaceAll("'", "''")}')) as name`

const transactionPooler = new LockFailed(
  "a connection pooler in transaction mode gives each statement another session, and the lock belongs to one",
  true
)

/**
 * A pooler reports a process id that is not the server's. In transaction mode our idle session is not reserved: a
 * transaction of another client may get it.
 */
const rejectTransactionPooler = (sql: PgClient.PgClient, pid: number) =>
  Effect.flatMap(Effect.mapError(isShared(sql, pid), toFailure), (shared) =>
    shared ? Effect.fail(transactionPooler) : Effect.void
  )

/** Whether a transaction of another client gets the session with this process id. */
const isShared = (sql: PgClient.PgClient, pid: number) =>
  Effect.map(
    sql.withTransaction(
      sql.unsafe<{ readonly pid: number }>("select pg_backend_pid() as pid").unprepared
    ),
    ([row]) => row?.pid === pid
  )

/** Whether the database is behind a pooler in transaction mode, where no session and no lock belongs to one client. */
export const hasTransactionPooler = Effect.fnUntraced(function* (sql: PgClient.PgClient) {
  const connection = yield* PgConnection.make(sql.config)
  const { rows } = yield* connection.query("select pg_backend_pid() as pid", [], false)
  const pid = Number(rows[0]?.["pid"])
  return connection.processId !== pid && (yield* isShared(sql, pid))
}, Effect.scoped)

/** Makes the server end the session of a daemon that is suspended or whose machine has lost power. */
const limitIdleTime = <E>(
  query: (text: string) => Effect.Effect<unknown, E>,
  version: number
): Effect.Effect<void, E> => {
  const leaseMs = Duration.toMillis(lease)
  const limits = {
    tcp_keepalives_idle: "3",
    tcp_keepalives_interval: "2",
    tcp_keepalives_count: "3",
    ...(version >= 120_000 ? { tcp_user_timeout: `${leaseMs}` } : {}),
    ...(version >= 140_000 ? { idle_session_timeout: `${leaseMs}` } : {})
  }
  return Effect.asVoid(
    query(
      `select ${Object.entries(limits)
        .map(([name, value]) => `set_config('${name}', '${value}', false)`)
        .join(", ")}`
    )
  )
}
