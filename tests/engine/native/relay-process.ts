/** Native relays in a process of their own, so that their memory can be told from all other. */
import { NativeEngine, type RelayCounters } from "@restream/core"
import { Effect } from "effect"
import { job, startRelay } from "../Streams.ts"

export interface RelayOrder {
  readonly cameraPort: number
  readonly sinkPort: number
  /** The camera's path, which is the server's, too. */
  readonly paths: ReadonlyArray<string>
  readonly stallTimeoutMs: number
}

export interface RelayReport {
  readonly rssMb: number
  readonly counters: Readonly<Record<string, RelayCounters>>
  /** Why relays ended. */
  readonly ended: ReadonlyArray<string>
}

const order = JSON.parse(process.argv[2] ?? "") as RelayOrder
const counters = new Map<string, () => RelayCounters>()
const ended: Array<string> = []

const relay = (path: string) =>
  Effect.gen(function* () {
    const engine = NativeEngine.make({
      stallTimeout: order.stallTimeoutMs
    })
    const running = yield* startRelay(
      engine,
      job(
        `rtsp://127.0.0.1:${order.cameraPort}/${path}`,
        `rtsp://127.0.0.1:${order.sinkPort}/${path}`
      )
    )
    counters.set(path, running.counters)
    yield* running.flowing
    yield* Effect.forkScoped(
      Effect.catch(running.ended, ({ message }) => Effect.sync(() => ended.push(message)))
    )
  })

process.on("message", () =>
  process.send?.({
    rssMb: process.memoryUsage.rss() / 1_048_576,
    counters: Object.fromEntries([...counters].map(([path, now]) => [path, now()])),
    ended
  } satisfies RelayReport)
)
process.on("disconnect", () => process.exit())

await Effect.gen(function* () {
  yield* Effect.forEach(order.paths, relay, { concurrency: "unbounded", discard: true })
  process.send?.({ ready: true })
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.runPromise)
