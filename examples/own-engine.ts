// An engine of your own: the native engine, with the time that each camera took to respond in the log.
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { load } from "@restream/config"
import { type Engine, Engines, MemoryCameraSource, NativeEngine, Restream } from "@restream/core"
import { Duration, Effect, Layer, Result } from "effect"

const native = NativeEngine.make()

const timed: Engine = {
  ...native,
  name: "timed",
  open: (source) =>
    Effect.gen(function* () {
      const [time, stream] = yield* Effect.timed(native.open(source))
      yield* Effect.log(`${source.url.host} responded after ${Duration.format(time)}`)
      return stream
    })
}

const { settings } = Result.getOrThrow(load({ env: process.env }))

Restream.layer(settings).pipe(
  Layer.provide(Engines.layer([timed])),
  Layer.provide(MemoryCameraSource.layer([{ id: 1, url: process.env["CAMERA_URL"] }])),
  Layer.provide(NodeServices.layer),
  Layer.launch,
  NodeRuntime.runMain
)
