/** What a camera sees of the whole supervisor tree, from unknown to live and after a stall. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import {
  type CameraId,
  type CameraState,
  MemoryCameraSource,
  Restream,
  StatusStore
} from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Duration, Effect, Layer } from "effect"
import * as RecordingProxy from "../../kit/RecordingProxy.ts"

const keepAlives = new Set(["OPTIONS", "GET_PARAMETER"])

describe("a camera under supervision", () => {
  it.live("gets one connection with one DESCRIBE, at a fresh start and after a stall", () =>
    Effect.gen(function* () {
      const camera = yield* RtspServer.make()
      yield* TestPattern.publish(camera, "cam", { frameRate: 25, keyframeEvery: 5, audio: true })
      const sink = yield* RtspServer.make()
      const proxy = yield* RecordingProxy.make("camera", camera.port)
      const tree = Restream.layer({
        ...defaultSettings,
        mediaServer: { ...defaultSettings.mediaServer, port: sink.port },
        relay: {
          ...defaultSettings.relay,
          stallTimeout: Duration.seconds(1),
          restartDelay: Duration.millis(200)
        }
      }).pipe(
        Layer.provide(
          MemoryCameraSource.layer([{ id: 1, url: `rtsp://127.0.0.1:${proxy.port}/cam` }])
        ),
        Layer.provide(NodeServices.layer)
      )
      /** The requests to the camera, each with the number of its connection. */
      const requests = () =>
        proxy
          .all(({ _tag, from }) => _tag === "Request" && from === "us")
          .flatMap((entry) =>
            entry._tag === "Request" && !keepAlives.has(entry.method)
              ? [`${entry.connection} ${entry.method}`]
              : []
          )
      const session = (connection: number) =>
        ["DESCRIBE", "SETUP", "SETUP", "PLAY"].map((method) => `${connection} ${method}`)

      yield* Effect.gen(function* () {
        const status = yield* StatusStore
        const until = (tag: CameraState.CameraState["_tag"]) =>
          Effect.gen(function* () {
            while ((yield* status.get("1" as CameraId))?.state._tag !== tag) {
              yield* Effect.sleep("20 millis")
            }
          })
        yield* until("Live")
        assert.deepStrictEqual(requests(), session(1))

        yield* camera.freeze("cam", "all")
        yield* until("Restarting")
        yield* camera.thaw("cam")
        yield* until("Live")
        assert.deepStrictEqual(requests(), [...session(1), "1 TEARDOWN", ...session(2)])
        assert.strictEqual(yield* camera.connections, 1)
      }).pipe(Effect.provide(tree))
    })
  )
})
