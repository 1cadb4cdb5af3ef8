/**
 * The daemon of a benchmark: the very tree of `restream run`, which tells besides how late its event loop
 * is. Settings come from the environment, as the daemon's do.
 */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Dsn, load } from "@restream/config"
import { Coalescing, Restream, StatusBoard } from "@restream/core"
import { Effect, Layer, Redacted, Result } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"

const { settings } = Result.getOrThrow(load({ env: process.env }))
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()

export interface DaemonReport {
  readonly tally: Readonly<Record<string, number>>
  /** How late the event loop was since the last report, in milliseconds. */
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

const report = Effect.gen(function* () {
  const board = yield* StatusBoard
  const tally = (yield* board.tally) as Record<string, number>
  const ms = (nanoseconds: number) => Math.round(nanoseconds / 1e4) / 100
  const loopDelayMs = {
    p50: ms(delay.percentile(50)),
    p99: ms(delay.percentile(99)),
    max: ms(delay.max)
  }
  delay.reset()
  process.send?.({ tally, loopDelayMs } satisfies DaemonReport)
})

const program = Effect.gen(function* () {
  const services = yield* Effect.context<StatusBoard>()
  process.on("message", () => Effect.runForkWith(services)(report))
  process.send?.({ ready: true })
  return yield* Effect.never
})

program.pipe(
  Effect.provide(
    Restream.layer(settings).pipe(
      Layer.provide(Restream.cameraTable(settings)),
      Layer.provide(
        PgClient.layer({
          url: Redacted.make(Dsn.reveal(settings.database.dsn!)),
          maxConnections: 3
        })
      ),
      Layer.provide(NodeServices.layer),
      Layer.merge(Coalescing.layer(settings.relay.coalescing))
    )
  ),
  Effect.runFork
)
process.on("disconnect", () => process.exit())
