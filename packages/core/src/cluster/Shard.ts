/**
 * The shard of a camera: 28 bits of the MD5 of its id, modulo the number of shards. Pure, and the same in SQL.
 *
 * MD5 spreads ids evenly over any number of shards; the hash of the cluster engine does not.
 */
import { hash } from "node:crypto"

/** The version of this function. Nodes with different versions must not share a table. */
export const version = "v1"

/** The shard of a camera by the id of its row, from 1 to `shards`. */
export const shardOf = (id: string, shards: number): number =>
  (Number.parseInt(hash("md5", id).slice(0, 7), 16) % shards) + 1

/** The SQL expression of {@link shardOf}, given the SQL expression of the id. */
export const shardSql = (id: string, shards: number): string =>
  `(('x' || substr(md5((${id})::text), 1, 7))::bit(28)::int % ${shards}) + 1`
