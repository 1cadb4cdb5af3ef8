/**
 * A node of a cluster with an engine that does nothing: its cameras go live at once and stay so. All else is the
 * tree of `restream run --cluster`, with a real database. Settings come from the environment.
 */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Dsn, load } from "@restream/config"
import { Cluster, Engines, Restream, StatusStore } from "@restream/core"
import { Effect, Layer, Logger, Redacted, Result } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as IdleEngine from "./IdleEngine.ts"

export interface NodeReport {
  readonly live: number
  readonly shards: number
  /** Of this process so far, in milliseconds. */
  readonly cpuMs: number
  /** How late the event loop was since the last report that was asked to reset it, in milliseconds. */
  readonly loopDelay: { readonly p50: number; readonly p99: number; readonly max: number }
}

const { settings } = Result.getOrThrow(load({ env: process.env }))

const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const milliseconds = (nanoseconds: number) => Math.round(nanoseconds / 1e4) / 100

const report = Effect.gen(function* () {
  const { Live: live = 0 } = yield* (yield* StatusStore).countByState
  const shards = yield* (yield* Cluster.Cluster).shardCount
  const { system, user } = process.cpuUsage()
  const loopDelay = {
    p50: milliseconds(delay.percentile(50)),
    p99: milliseconds(delay.percentile(99)),
    max: milliseconds(delay.max)
  }
  process.send?.({ live, shards, cpuMs: (system + user) / 1000, loopDelay } satisfies NodeReport)
})

const program = Effect.gen(function* () {
  const services = yield* Effect.context<Cluster.Cluster | StatusStore>()
  process.on("message", ({ reset }: { readonly reset?: boolean }) => {
    Effect.runForkWith(services)(
      Effect.tap(report, () =>
        Effect.sync(() => {
          if (reset === true) delay.reset()
        })
      )
    )
  })
  process.send?.({ ready: true })
  return yield* Effect.never
})

const client = (applicationName: string) =>
  PgClient.layer({
    url: Redacted.make(Dsn.reveal(settings.database.dsn!)),
    applicationName,
    maxConnections: 3
  })

program.pipe(
  Effect.provide(
    Restream.layer(settings).pipe(
      Layer.provide(Engines.layer([IdleEngine.make()])),
      Layer.provideMerge(
        Restream.cameraTable(settings, []).pipe(
          Layer.provideMerge(
            Restream.cluster(settings).pipe(
              Layer.provide(Layer.fresh(client(`restream@${Restream.nodeNameOf(settings)}`)))
            )
          ),
          Layer.provide(Layer.fresh(client("restream")))
        )
      ),
      Layer.provide([
        NodeServices.layer,
        Logger.layer([Logger.withConsoleLog(Logger.formatLogFmt)])
      ])
    )
  ),
  Effect.runFork
)
for (const end of ["disconnect", "SIGTERM"]) process.on(end, () => process.exit())
