/** A real PostgreSQL for a suite. One server is shared by a file's tests; each test gets its own database. */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { EmbeddedPostgres } from "@restream/core/testing"
import { Context, Effect, Layer, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"

export class Postgres extends Context.Service<Postgres, EmbeddedPostgres.Cluster>()(
  "tests/Postgres"
) {
  /** A server that runs as long as the layer. */
  static readonly layer = Layer.effect(Postgres, EmbeddedPostgres.make).pipe(
    Layer.provide(NodeServices.layer)
  )
}

/** The address of a database on the server. */
export const dsnOf = (cluster: EmbeddedPostgres.Cluster, database: string): Redacted.Redacted =>
  Redacted.make(Redacted.value(cluster.dsn).replace(/\/postgres$/, `/${database}`))

let databases = 0

/** Makes a new, empty database, and gives its address. */
export const freshDatabase = Effect.gen(function* () {
  const cluster = yield* Postgres
  const name = `test_${++databases}`
  const sql = yield* client(cluster.dsn)
  yield* sql.unsafe(`create database ${name}`)
  return dsnOf(cluster, name)
}).pipe(Effect.scoped)

/** A client that lives as long as the scope. */
export const client = (url: Redacted.Redacted) =>
  PgClient.make({ url, maxConnections: 5 }).pipe(Effect.provide(Reactivity.layer))
