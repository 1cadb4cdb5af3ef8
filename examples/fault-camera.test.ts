// Tests a program of yours against a camera that freezes: no hardware, real sockets.
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import { MemoryCameraSource, Restream, StatusStore } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Duration, Effect, Layer, Option, Stream } from "effect"

it.live("a frozen camera is noticed", () =>
  Effect.gen(function* () {
    const camera = yield* RtspServer.make()
    yield* TestPattern.publish(camera, "gate")
    yield* camera.configure("gate", {
      quirks: { freeze: { tracks: "video", after: "1 second" } }
    })
    const mediaServer = yield* RtspServer.make()
    const settings = {
      ...defaultSettings,
      mediaServer: { ...defaultSettings.mediaServer, port: mediaServer.port },
      relay: { ...defaultSettings.relay, stallTimeout: Duration.seconds(1) }
    }
    const tree = Restream.layer(settings).pipe(
      Layer.provide(MemoryCameraSource.layer([{ id: 1, url: camera.url("gate") }])),
      Layer.provide(NodeServices.layer)
    )
    const stalled = yield* Effect.gen(function* () {
      const status = yield* StatusStore
      return yield* status.changes.pipe(
        Stream.filter(({ to }) => to?._tag === "Restarting" && to.reason._tag === "Stalled"),
        Stream.runHead
      )
    }).pipe(Effect.provide(tree))
    assert.isTrue(Option.isSome(stalled))
  }).pipe(Effect.scoped)
)
