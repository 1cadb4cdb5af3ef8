/**
 * The daemon of a benchmark, with an engine that does nothing: its cameras go live at once and stay so.
 * All else is the tree of `restream run`, with a real database. Settings come from the environment.
 */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Dsn, load } from "@restream/config"
import { Engines, Restream, StatusStore } from "@restream/core"
import { Effect, Layer, Redacted, Result } from "effect"
import * as IdleEngine from "./IdleEngine.ts"

/** A camera's probe was started. */
export interface ProbeEvent {
  readonly event: "probe"
  readonly path: string
  /** In milliseconds since 1970. */
  readonly at: number
}

export interface IdleReport {
  readonly live: number
  /** Of this process so far, in milliseconds. */
  readonly cpuMs: number
}

const { settings } = Result.getOrThrow(load({ env: process.env }))

const idle = IdleEngine.make(({ path }) => {
  const at = performance.timeOrigin + performance.now()
  process.send?.({ event: "probe", path, at } satisfies ProbeEvent)
})

const report = Effect.gen(function* () {
  const { Live: live = 0 } = yield* (yield* StatusStore).countByState
  const { system, user } = process.cpuUsage()
  process.send?.({ live, cpuMs: (system + user) / 1000 } satisfies IdleReport)
})

const program = Effect.gen(function* () {
  const services = yield* Effect.context<StatusStore>()
  process.on("message", ({ collect }: { readonly collect?: boolean }) => {
    if (collect === true) globalThis.gc?.()
    Effect.runForkWith(services)(report)
  })
  process.send?.({ ready: true })
  return yield* Effect.never
})

program.pipe(
  Effect.provide(
    Restream.layer(settings).pipe(
      Layer.provide(Engines.layer([idle])),
      Layer.provide(Restream.cameraTable(settings)),
      Layer.provide(
        PgClient.layer({
          url: Redacted.make(Dsn.reveal(settings.database.dsn!)),
          maxConnections: 3
        })
      ),
      Layer.provide(NodeServices.layer)
    )
  ),
  Effect.runFork
)
process.on("disconnect", () => process.exit())
