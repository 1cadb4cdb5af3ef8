/**
 * The database session that holds the locks of this node.
 *
 * The storage of the cluster engine reserves the session, and releases the locks one by one, with two queries
 * each. A busy node, or a node far from its database, takes 15 ms and more for a query, so a move of 150 shards
 * would take several seconds. Only the session itself can release its advisory locks, so this module keeps the
 * connection that the storage reserves.
 */
import * as Effect from "effect/Effect"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import type { ShardId } from "effect/cluster/ShardId"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Connection } from "effect/sql/SqlConnection"
import * as SqlProblem from "../source/SqlProblem.ts"
import type { LockKind } from "./Nodes.ts"

export interface LockSession {
  /** The client for the storage of the engine. */
  readonly client: SqlClient
  /** Releases the locks of several shards by one query. Fails if the session has ended. */
  readonly release: ReleaseLocks
  /**
   * Whether earlier sessions of this node still hold locks, because the server has not noticed that they are gone.
   * They are ended if the role may do so; otherwise the server ends them when they have been idle for a lease.
   *
   * @param name includes the sessions of an earlier process, which had this `application_name`.
   */
  readonly endEarlier: (name?: string) => Effect.Effect<boolean, SqlError>
}

export type ReleaseLocks = (
  self: RunnerAddress,
  shards: ReadonlyArray<ShardId>
) => Effect.Effect<void, unknown>

export interface LockSessionOptions {
  readonly locks: LockKind
  readonly tablePrefix: string
}

/**
 * The class of the engine's advisory locks: FNV-1a of this text. Part of the engine's format, which does not change.
 */
const lockClassOf = (tablePrefix: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(`effect-cluster:${tablePrefix}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  return hash | 0
}

/** The condition that finds the locks of the shards of one cluster in `pg_locks`. */
export const isShardLock = (tablePrefix: string): string =>
  `locktype = 'advisory' and objsubid = 2 and granted and classid = ${lockClassOf(tablePrefix) >>> 0}
    and database = (select oid from pg_database where datname = current_database())`

/** The engine's number of a shard's lock in the only group. */
const lockNumber = ({ id }: ShardId): number => 1_000_000 + id

export const make = (sql: SqlClient, { locks, tablePrefix }: LockSessionOptions): LockSession => {
  let session: { readonly id: string; readonly connection: Connection } | undefined
  /** The last sessions, including the current one. */
  let known: ReadonlyArray<string> = []
  const reserve = Effect.gen(function* () {
    const connection = yield* sql.reserve
    const [[id] = []] = yield* connection.executeValuesUnprepared(ownSession, [])
    const own = { id: String(id), connection }
    session = own
    known = [...known, own.id].slice(-mostKnown)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (session === own) session = undefined
      })
    )
    return connection
  })
  const client = new Proxy(sql, {
    get: (target, key) => (key === "reserve" ? reserve : Reflect.get(target, key))
  })

  const lockClass = lockClassOf(tablePrefix)
  const isLock = isShardLock(tablePrefix)
  const unlock = (numbers: ReadonlyArray<number>) =>
    `select pg_advisory_unlock(${lockClass}, number) from unnest(array[${numbers.join(", ")}]) number`

  return {
    client,
    release: (self, shards) =>
      Effect.suspend((): Effect.Effect<unknown, unknown> => {
        if (locks === "rows") {
          return sql`delete from ${sql(`${tablePrefix}_locks`)}
            where address = ${`${self.host}:${self.port}`} and ${sql.in("shard_id", shards.map(String))}`
        }
        return session === undefined
          ? Effect.fail("the session has ended")
          : session.connection.executeUnprepared(unlock(shards.map(lockNumber)), [], undefined)
      }).pipe(Effect.asVoid),
    endEarlier: Effect.fnUntraced(function* (name) {
      const found = yield* sql<{ readonly pid: number }>`select pid from pg_stat_activity a
        where pid in (select pid from pg_locks where ${sql.literal(isLock)})
          and ${sql.literal(sessionId)} <> ${session?.id ?? ""}
          and (${sql.literal(sessionId)} in ${sql.in(["", ...known])}
            or application_name = ${name ?? ""})`
      if (found.length === 0) return false
      const pids = found.map(({ pid }) => pid).join(", ")
      yield* sql.unsafe(`select pg_terminate_backend(pid) from unnest(array[${pids}]) pid`).pipe(
        Effect.matchEffect({
          onSuccess: () => Effect.logDebug("ended an earlier session of this node"),
          onFailure: (error) =>
            Effect.logWarning(
              `an earlier session of this node still holds locks and cannot be ended (${SqlProblem.describe(error)}); waiting until the database ends it`
            )
        })
      )
      return true
    })
  }
}

/** How many sessions are remembered. An earlier session usually holds its locks for at most a lease. */
const mostKnown = 8

/** Identifies a session, even among sessions with the same process id. */
const sessionId = "(a.pid || ' ' || extract(epoch from a.backend_start))"
const ownSession = `select ${sessionId} from pg_stat_activity a where a.pid = pg_backend_pid()`
