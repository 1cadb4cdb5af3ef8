/** What the native engine leaves to another one, and what it never even asks a camera for. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraOptions, NativeEngine } from "@restream/core"
import { type Quirks, RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { camera as cameraOf, job, probe, startRelay, urlOf } from "../Streams.ts"
import * as RecordingProxy from "../../kit/RecordingProxy.ts"

const native = NativeEngine.make()

const peers = Effect.fnUntraced(function* (quirks: Quirks = {}) {
  const camera = yield* RtspServer.make({ settings: () => ({ quirks }) })
  yield* TestPattern.publish(camera, "cam", { frameRate: 25, keyframeEvery: 1, audio: true })
  return { camera, sink: yield* RtspServer.make() }
})

describe("the native engine", () => {
  const options: ReadonlyArray<[string, Partial<CameraOptions>, string]> = [
    ["by UDP", { transport: "udp" }, "UDP"]
  ]
  it.live.each(options)("does not support a camera with the option %s", ([, chosen, what]) =>
    Effect.gen(function* () {
      const { camera, sink } = yield* peers()
      const from = camera.url("cam")
      const target = cameraOf(from, chosen)
      const probed = yield* Effect.flip(probe(native, target))
      const started = yield* Effect.flip(startRelay(native, job(from, sink.url("out"), chosen)))
      for (const { reason } of [probed, started]) {
        assert.deepInclude({ ...reason }, { _tag: "Unsupported", what })
      }
      assert.strictEqual(yield* camera.connections, 0)
    })
  )

  it.live.each(["http", "https", "rtmp"])("does not support %s", (scheme) =>
    Effect.gen(function* () {
      const target = cameraOf(`${scheme}://127.0.0.1:9/live`)
      const probed = yield* Effect.flip(probe(native, target))
      assert.deepInclude({ ...probed.reason }, { _tag: "Unsupported", what: `${scheme} cameras` })
    })
  )

  it.live("leaves a camera that sends only by UDP to another engine", () =>
    Effect.gen(function* () {
      const { camera, sink } = yield* peers({ udpOnly: true })
      const { reason } = yield* Effect.flip(
        Effect.scoped(startRelay(native, job(camera.url("cam"), sink.url("out"))))
      )
      assert.strictEqual(reason._tag, "Unsupported")
      // the server was not troubled
      assert.isUndefined(yield* sink.path("out"))
    })
  )

  const videos: ReadonlyArray<[string, (sdp: string) => string, object]> = [
    [
      "that is encrypted",
      (sdp) => sdp.replace("m=video 0 RTP/AVP", "m=video 0 RTP/SAVP"),
      { _tag: "Unsupported", what: "h264 video: the protocol is RTP/SAVP, not RTP/AVP" }
    ],
    [
      "in interleaved mode",
      (sdp) => sdp.replace("packetization-mode=1", "packetization-mode=2"),
      {
        _tag: "Unsupported",
        what: "h264 video: packetization-mode=2 (interleaved) is not supported"
      }
    ]
  ]
  it.live.each(videos)("reports video %s", ([, sdp, expected]) =>
    Effect.gen(function* () {
      const { camera } = yield* peers({ sdp })
      const { reason } = yield* Effect.flip(
        probe(native, {
          url: urlOf(camera.url("cam")),
          options: cameraOf(camera.url("cam")).options
        })
      )
      assert.deepInclude({ ...reason }, expected)
    })
  )

  it.live("announces again without parameter sets where the server rejects the camera's", () =>
    Effect.gen(function* () {
      const { camera } = yield* peers()
      let announced = 0
      const sink = yield* RtspServer.make({
        // the first announcement is refused, whatever it says
        settings: () => ({ quirks: announced++ === 0 ? { rejectWith: { ANNOUNCE: 400 } } : {} })
      })
      const proxy = yield* RecordingProxy.make("sink", sink.port)
      const to = `rtsp://127.0.0.1:${proxy.port}/out`
      const running = yield* startRelay(native, job(camera.url("cam"), to))
      yield* running.flowing
      assert.deepStrictEqual(
        proxy
          .all(RecordingProxy.request("ANNOUNCE"))
          .map((one) => one._tag === "Request" && one.body.includes("sprop-parameter-sets")),
        [true, false]
      )
      assert.isDefined((yield* sink.path("out"))?.publisher)
    })
  )
})
