import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ReaderSession } from "@restream/core/rtsp"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { play, publishPattern, url, publishable } from "./LiveCamera.ts"
import { gstreamer, gstreamerLacks, serving, skipped } from "./Peers.ts"

const noCamera = gstreamerLacks("camera")
const noReader = gstreamerLacks("reader")
if (noCamera !== undefined) skipped("GStreamer as a camera", noCamera)
if (noReader !== undefined) skipped("GStreamer as a reader", noReader)

describe("GStreamer", () => {
  it.live.skipIf(noCamera !== undefined)("serves as a camera for ReaderSession", () =>
    Effect.gen(function* () {
      const { port } = yield* serving("camera")
      const { session, watched } = yield* play({ url: url(`rtsp://127.0.0.1:${port}/cam`) })
      assert.deepStrictEqual(
        publishable(session).map(({ codec }) => codec),
        ["h264", "pcm_mulaw"]
      )
      assert.deepInclude(publishable(session)[0], { width: 320, height: 240 })
      yield* watched.first(0)
      yield* watched.first(2)
      yield* session.keepAlive
      assert.isFalse(session.connection.isClosed)
    })
  )

  for (const method of ["digest", "basic"]) {
    it.live.skipIf(noCamera !== undefined)(`serves as a camera with ${method} authentication`, () =>
      Effect.gen(function* () {
        const { port } = yield* serving("camera", method)
        const { reason } = yield* Effect.flip(
          ReaderSession.open({ url: url(`rtsp://admin:wrong@127.0.0.1:${port}/cam`) })
        )
        assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "wrong" })
        const missing = yield* Effect.flip(
          ReaderSession.open({ url: url(`rtsp://127.0.0.1:${port}/cam`) })
        )
        assert.deepInclude(missing.reason, { _tag: "Unauthorized", credentials: "missing" })
        const { watched } = yield* play({ url: url(`rtsp://admin:secret@127.0.0.1:${port}/cam`) })
        yield* watched.first(0)
      })
    )
  }

  it.live.skipIf(noReader !== undefined)(
    "receives and decodes what PublisherSession publishes",
    () =>
      Effect.gen(function* () {
        const { port, running } = yield* serving("sink")
        yield* publishPattern(`rtsp://127.0.0.1:${port}/out`, { frameRate: 25, keyframeEvery: 1 })
        yield* running.awaitSaid(/pictures \d+/)
      })
  )

  it.live.skipIf(noReader !== undefined)("reads and decodes a stream of RtspServer", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 1 })
      const running = yield* gstreamer("read", server.url("cam"))
      yield* running.awaitSaid(/pictures \d+/)
    })
  )
})
