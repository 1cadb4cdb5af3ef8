/**
 * The daemon of the page's benchmark: cameras in memory, with an engine that does nothing but end relays, so that
 * states change all the time. The supervisor, the status store and the HTTP server are those of `restream run`.
 */
import { start } from "@restream/cli/http"
import {
  type Camera,
  CameraLog,
  type Engine,
  Rates,
  Reason,
  RelayError,
  StatusStore
} from "@restream/core"
import { Deferred, Duration, Effect, Layer, SubscriptionRef } from "effect"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { layer as treeLayer, row, settings } from "../kit/Tree.ts"

const [cameras = 1000, changes = 100, port = 0] = process.argv.slice(2).map(Number)

/** A relay that ends goes on as restarting, probing, starting and live. */
const changesPerEnd = 4

const ends: Array<Deferred.Deferred<never, RelayError>> = []

const restless: Engine = {
  name: "native",
  slowAfter: Duration.seconds(1),
  concurrency: 32,
  open: (source) =>
    Effect.sync(() => {
      const { id } = source as Camera
      const since = Date.now()
      const bytesPerMs = 250 + (Number(id) % 500)
      const info = { video: { codec: "h264", width: 1920, height: 1080 }, audio: undefined }
      return {
        info,
        publish: () =>
          Effect.sync(() => {
            const ended = Deferred.makeUnsafe<never, RelayError>()
            ends.push(ended)
            return {
              flowing: Effect.void,
              ended: Deferred.await(ended),
              counters: () => ({
                bytes: (Date.now() - since) * bytesPerMs,
                packets: Date.now() - since,
                lost: 0,
                dropped: 0,
                lastVideoAt: Date.now()
              }),
              published: info,
              notices: []
            }
          })
      }
    })
}

const program = Effect.gen(function* () {
  const live = yield* SubscriptionRef.make({
    ...settings,
    http: { ...settings.http, port }
  })
  yield* start(live)
  const store = yield* StatusStore
  yield* store.countByState.pipe(
    Effect.delay("100 millis"),
    Effect.repeat({ until: ({ Live = 0 }) => Live === cameras })
  )
  process.send?.({ event: "live" })
  if (changes === 0) return yield* Effect.never
  const end = Effect.suspend(() => {
    const oldest = ends.shift()
    return oldest === undefined
      ? Effect.void
      : Deferred.fail(
          oldest,
          new RelayError({ reason: new Reason.Stalled({ side: "input", afterMs: 10_000 }) })
        )
  })
  return yield* Effect.forever(
    Effect.andThen(end, Effect.sleep(Duration.millis((1000 * changesPerEnd) / changes)))
  )
})

program.pipe(
  Effect.provide(
    Layer.mergeAll(Rates.layer, CameraLog.layer).pipe(
      Layer.provideMerge(
        treeLayer(
          [{ ...FakeEngine.make(), engine: restless }],
          Array.from({ length: cameras }, (_, index) => row(index + 1, { url: url(index + 1) }))
        )
      )
    )
  ),
  Effect.scoped,
  Effect.runFork
)

function url(id: number): string {
  return `rtsp://10.${id >> 16}.${(id >> 8) & 255}.${id & 255}/live`
}
