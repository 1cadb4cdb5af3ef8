/**
 * The database session that holds the locks of this node.
 *
 * The storage of the cluster engine reserves the session, and gives the locks back one by one, with two queries
 * each. A busy node, or one that is far from its database, takes 15 ms and more for a query, so a move of 150
 * shards would take several seconds. Only the session itself can give its advisory locks back, so this module
 * learns which connection the storage reserves.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import type { ShardId } from "effect/cluster/ShardId"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { LockKind } from "./Nodes.ts"

export interface LockSession {
  /** The client for the storage of the engine. */
  readonly client: SqlClient
  /** Gives the locks of several shards back by one query. Fails where the session has ended. */
  readonly release: ReleaseLocks
}

export type ReleaseLocks = (
  self: RunnerAddress,
  shards: ReadonlyArray<ShardId>
) => Effect.Effect<void, unknown>

export interface LockSessionOptions {
  readonly locks: LockKind
  readonly tablePrefix: string
}

/** The engine's number of a lock: that of the shard in the only group. */
const lockNumber = ({ id }: ShardId): number => 1_000_000 + id

export const make = (sql: SqlClient, { locks, tablePrefix }: LockSessionOptions): LockSession => {
  let session: Connection | undefined
  const reserve = Effect.gen(function* () {
    const connection = yield* sql.reserve
    session = connection
    const scope = yield* Effect.scope
    yield* Scope.addFinalizer(
      scope,
      Effect.sync(() => {
        if (session === connection) session = undefined
      })
    )
    return connection
  })
  const client = new Proxy(sql, {
    get: (target, key) => (key === "reserve" ? reserve : Reflect.get(target, key))
  })

  /** The classes and numbers of the locks are read from the session itself. `oid` has no cast to `int4`. */
  const unlock = (numbers: ReadonlyArray<number>) =>
    `select pg_advisory_unlock(classid::bigint::bit(32)::int, objid::bigint::bit(32)::int)
      from pg_locks where locktype = 'advisory' and objsubid = 2 and granted
        and pid = pg_backend_pid() and objid in (${numbers.join(", ")})
        and database = (select oid from pg_database where datname = current_database())`

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
          : session.executeUnprepared(unlock(shards.map(lockNumber)), [], undefined)
      }).pipe(Effect.asVoid)
  }
}
