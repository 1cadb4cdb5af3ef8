/**
 * The database of a benchmark or of the soak, in a process of its own, with the default table.
 *
 * `{ query }` runs a statement; `{ server: "stop" | "start" }` ends the server and starts it again on the
 * same port with the same data. `--cluster` makes the tables and the index of a
 * cluster, too.
 */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { parseTableName } from "@restream/config"
import { EmbeddedPostgres } from "@restream/core/testing"
import { CameraTable, Cluster } from "@restream/core"
import { Cause, Effect, Exit, Redacted, Schedule, Scope } from "effect"
import { Reactivity } from "effect/reactivity"

export interface DatabaseAnswer {
  readonly rows?: ReadonlyArray<Record<string, unknown>>
  /** The server's process, when it was started. */
  readonly pid?: number
  readonly error?: string
}

type Question = { readonly query: string } | { readonly server: "stop" | "start" }

const tell = (answer: DatabaseAnswer) => process.send?.(answer)
const table = parseTableName("cameras")!

Effect.gen(function* () {
  const cluster = yield* EmbeddedPostgres.makeCluster
  const whole = yield* Effect.scope
  let running = yield* Scope.fork(whole)
  const start = Effect.gen(function* () {
    running = yield* Scope.fork(whole)
    return yield* Scope.provide(cluster.start, running)
  }).pipe(Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 20 }))

  let pid = yield* start
  const sql = yield* PgClient.make({ url: cluster.dsn })
  for (const statement of CameraTable.initStatements(table, "restream_cameras")) {
    yield* sql.unsafe(statement)
  }
  if (process.argv.includes("--cluster")) {
    yield* Effect.provideService(Cluster.createTables("restream"), PgClient.PgClient, sql)
    yield* sql.unsafe(CameraTable.shardIndex(table, 300))
  }

  const answerTo = Effect.fnUntraced(function* (question: Question) {
    if ("query" in question) {
      const rows = yield* sql.unsafe<Record<string, unknown>>(question.query).unprepared
      return { rows }
    }
    if (question.server === "stop") {
      yield* Scope.close(running, Exit.void)
      return {}
    }
    pid = yield* start
    return { pid }
  })
  const services = yield* Effect.context<never>()
  process.on("message", (question: Question) =>
    Effect.runForkWith(services)(
      answerTo(question).pipe(
        Effect.map(tell),
        Effect.catchCause((cause) => Effect.sync(() => tell({ error: Cause.pretty(cause) })))
      )
    )
  )
  process.send?.({ dsn: Redacted.value(cluster.dsn), pid })
  yield* Effect.callback<void>((resume) => {
    process.on("disconnect", () => resume(Effect.void))
    process.on("SIGTERM", () => resume(Effect.void))
  })
})
  .pipe(Effect.scoped, Effect.provide([Reactivity.layer, NodeServices.layer]), Effect.runPromise)
  .then(() => process.exit())
