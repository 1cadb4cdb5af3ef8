/** The nodes of a cluster by the tables of the database, for an operator. Contacts no node. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import { isShardLock } from "./LockSession.ts"
import { named } from "./TableNames.ts"

/** One row of the table of nodes. */
export interface NodeRow {
  readonly name: string
  readonly weight: number
  /** Whether the node takes shards. */
  readonly active: boolean
  /** The time since the node's last heartbeat. A node that has been silent for longer than the lease is gone. */
  readonly heartbeatAgeMs: number
  /** How many shards the node holds. */
  readonly shards: number
}

/** The error message if the tables of the cluster do not exist. */
export const missingTables = (tablePrefix: string): string =>
  `the tables of the cluster (${named(tablePrefix, "runners")}, ${named(tablePrefix, "locks")}) do not exist; create them with restream db init --cluster`

/** All nodes that have a row, by name. */
export const list = Effect.fnUntraced(function* (tablePrefix: string) {
  const sql = yield* PgClient.PgClient
  const rows = yield* sql<{
    readonly runner: string
    readonly healthy: boolean
    readonly age: number
    readonly shards: number
  }>`select r.runner, r.healthy,
      (extract(epoch from now()::timestamp - r.last_heartbeat) * 1000)::float8 as age,
      (select count(*) from pg_locks l join pg_stat_activity a using (pid)
        where ${sql.literal(isShardLock(tablePrefix))}
          and a.application_name = left('restream@' || (r.runner::json -> 'address' ->> 'host'), 63)
      )::int + (select count(*) from ${sql(`${tablePrefix}_locks`)} k where k.address = r.address)::int
      as shards
    from ${sql(`${tablePrefix}_runners`)} r order by r.address`
  return rows.map(({ age, healthy, runner, shards }): NodeRow => {
    const { address, weight } = JSON.parse(runner) as {
      readonly address: { readonly host: string }
      readonly weight: number
    }
    return {
      name: address.host,
      weight,
      active: healthy,
      heartbeatAgeMs: Math.max(0, Math.round(age)),
      shards
    }
  })
})

/** Activates a node, or drains it: a node that is not active releases all shards. The row must exist. */
export const setActive = Effect.fnUntraced(function* (
  tablePrefix: string,
  name: string,
  active: boolean
) {
  const sql = yield* PgClient.PgClient
  yield* sql`update ${sql(`${tablePrefix}_runners`)} set healthy = ${active}
    where runner::json -> 'address' ->> 'host' = ${name}`
})
