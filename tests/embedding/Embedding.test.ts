import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings, type Settings } from "@restream/config"
import {
  CameraType,
  Engines,
  MediaServers,
  MemoryCameraSource,
  Restream,
  StatusStore
} from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Context, Effect, Layer, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"

describe("embedding", () => {
  it.live("relays the rows that the program holds, by a camera type of its own", () =>
    Effect.gen(function* () {
      const camera = yield* RtspServer.make()
      yield* TestPattern.publish(camera, "live/2")
      const sink = yield* RtspServer.make()
      const settings: Settings = {
        ...defaultSettings,
        mediaServer: { ...defaultSettings.mediaServer, port: sink.port }
      }
      const acme = CameraType.of({
        name: "acme",
        toUrl: ({ channel, host }) => `rtsp://${host}/live/${channel}`
      })
      const tree = Restream.layer(settings, [acme]).pipe(
        Layer.provideMerge(MemoryCameraSource.layer([])),
        Layer.provide(NodeServices.layer)
      )
      yield* Effect.gen(function* () {
        const rows = yield* MemoryCameraSource.CameraRows
        const status = yield* StatusStore
        yield* Effect.forkScoped(
          Effect.andThen(
            Effect.sleep("1 millis"),
            SubscriptionRef.set(rows, [
              { id: 1, type: "acme", host: `127.0.0.1:${camera.port}`, channel: 2 }
            ])
          )
        )
        const live = yield* status.changes.pipe(
          Stream.filter(({ to }) => to?._tag === "Live"),
          Stream.runHead
        )
        assert.isTrue(live._tag === "Some" && live.value.id === "1")
        yield* sink.awaitPackets("cam1")
        const { health: server } = (yield* MediaServers).all()[0]!
        assert.isTrue(yield* server.checkNow)
        yield* SubscriptionRef.set(rows, [])
        yield* sink.awaitNoPublisher("cam1")
        yield* SubscriptionRef.set(rows, [{ id: 2, url: camera.url("live/2") }])
        yield* sink.awaitPublisher("cam2")
      }).pipe(Effect.provide(tree))
      // the layer has closed: nothing of it is left
      assert.isUndefined((yield* sink.path("cam2"))?.publisher)
      yield* camera.awaitConnections(0)
    })
  )

  it.effect("keeps two trees in one program apart", () => {
    const fakes = [FakeEngine.make("one"), FakeEngine.make("two")]
    class First extends Context.Service<First, StatusStore["Service"]>()("tests/First") {}
    class Second extends Context.Service<Second, StatusStore["Service"]>()("tests/Second") {}
    const treeOf = (fake: FakeEngine.FakeEngine, id: number) =>
      Restream.layer(defaultSettings).pipe(
        Layer.provide(MemoryCameraSource.layer([{ id, url: `rtsp://10.0.0.${id}/live` }])),
        // a registry in context replaces the built-in engines
        Layer.provide(Engines.layer([fake.engine])),
        Layer.provide(NodeServices.layer)
      )
    const [first, second] = [treeOf(fakes[0]!, 1), treeOf(fakes[1]!, 2)]
    // one build of both, so layers that are the same object would be shared
    const both = Layer.merge(
      Layer.effect(First, StatusStore).pipe(Layer.provide(first)),
      Layer.effect(Second, StatusStore).pipe(Layer.provide(second))
    )
    return Effect.gen(function* () {
      const idsOf = Effect.fnUntraced(function* (store: StatusStore["Service"]) {
        yield* TestClock.adjust("1 second")
        return (yield* store.all).map(({ id }) => String(id))
      })
      assert.deepStrictEqual(yield* idsOf(yield* First), ["1"])
      assert.deepStrictEqual(yield* idsOf(yield* Second), ["2"])
    }).pipe(Effect.provide(both))
  })
})
