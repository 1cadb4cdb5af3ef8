/** The database of a benchmark, in a process of its own, with the default table. */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { EmbeddedPostgres } from "@restream/cli/demo"
import { CameraTable } from "@restream/core"
import { Effect, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"

const table = CameraTable.parseTableName("cameras")!

Effect.gen(function* () {
  const { dsn } = yield* EmbeddedPostgres.make
  const sql = yield* PgClient.make({ url: dsn })
  for (const statement of CameraTable.initStatements(table, "restream_cameras")) {
    yield* sql.unsafe(statement)
  }
  const services = yield* Effect.context<never>()
  process.on("message", ({ query }: { query: string }) =>
    Effect.runForkWith(services)(
      Effect.andThen(
        sql.unsafe(query),
        Effect.sync(() => process.send?.({ done: true }))
      )
    )
  )
  process.send?.({ dsn: Redacted.value(dsn) })
  yield* Effect.callback<void>((resume) => {
    process.on("disconnect", () => resume(Effect.void))
    process.on("SIGTERM", () => resume(Effect.void))
  })
})
  .pipe(Effect.scoped, Effect.provide([Reactivity.layer, NodeServices.layer]), Effect.runPromise)
  .then(() => process.exit())
