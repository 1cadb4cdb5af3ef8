import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Announcement } from "@restream/core"
import {
  ReaderSession,
  ChannelMap,
  InterleavedFrame,
  PublisherSession,
  StreamUrl
} from "@restream/core/rtsp"
import { type Quirks, RtspServer, TestPattern } from "@restream/core/testing"
import { scripted } from "../kit/ScriptedServer.ts"
import { next, nextRequest } from "./Events.ts"
import { cameraWith, url, watch, publishable } from "./LiveCamera.ts"

const pattern = TestPattern.description({ audio: true })

const controls = ["trackID=0", "trackID=1"]

const publish = (
  address: string,
  options: Partial<PublisherSession.PublisherSessionOptions> = {}
) =>
  PublisherSession.open({
    url: url(address),
    announcement: { sdp: pattern, controls },
    ...options
  })

const failsWith = (quirks: Quirks) =>
  Effect.gen(function* () {
    const server = yield* RtspServer.make({ settings: () => ({ quirks }) })
    const error = yield* Effect.flip(Effect.scoped(publish(server.url("a"))))
    yield* server.awaitConnections(0)
    return error.reason
  })

/** A minimal relay: a camera's frames on the server's channels. */
const relay = (
  from: StreamUrl,
  to: StreamUrl
): Effect.Effect<
  ReaderSession.ReaderSession,
  import("@restream/core/rtsp").RtspError.RtspError,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const camera = yield* ReaderSession.open({ url: from, sharedBuffer: true })
    yield* camera.setup(publishable(camera))
    const publisher = yield* PublisherSession.open({
      url: to,
      announcement: Announcement.announcement(publishable(camera))
    })
    const channels = publisher.channels.flat()
    const { trackByChannel } = camera
    yield* camera.play({
      frames: (bytes, start, end, reused) => {
        let from = start
        const pass = (to: number) => {
          if (from >= to) return
          const run = bytes.subarray(from, to)
          publisher.connection.write(reused ? Buffer.from(run) : run)
        }
        for (let at = start; at < end;) {
          const following = InterleavedFrame.end(bytes, at)
          const trackSlot =
            trackByChannel[InterleavedFrame.channel(bytes, at)] ?? ChannelMap.unassigned
          if (trackSlot === ChannelMap.unassigned) {
            pass(at)
            from = following
          } else
            InterleavedFrame.setChannel(bytes, at, channels[trackSlot] ?? ChannelMap.unassigned)
          at = following
        }
        pass(end)
      }
    })
    return camera
  })

describe("PublisherSession", () => {
  it.live("sends ANNOUNCE, SETUP and RECORD in order, and TEARDOWN at the end", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const events = yield* server.events
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* publish(server.url("a"))
          assert.deepStrictEqual(session.channels, [
            [0, 1],
            [2, 3]
          ])
          assert.deepStrictEqual(
            (yield* server.path("a"))?.publisher?.tracks.map(({ codec }) => codec),
            ["h264", "pcm_mulaw"]
          )
        })
      )
      for (const method of ["ANNOUNCE", "SETUP", "SETUP", "RECORD", "TEARDOWN"]) {
        const request = yield* next(events, "Request")
        assert.strictEqual(request.method, method)
        assert.strictEqual(request.status, 200)
      }
      assert.deepInclude(yield* server.path("a"), { publisher: undefined, publishers: 1 })
    })
  )

  it.live("sends content type, mode and channels as a media server requires", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const events = yield* server.events
      yield* publish(`${server.url("a")}/`)
      const headers = (request: { readonly headers: ReadonlyArray<readonly [string, string]> }) =>
        Object.fromEntries(request.headers)
      assert.deepInclude(headers(yield* nextRequest(events, "ANNOUNCE")), {
        "Content-Type": "application/sdp"
      })
      assert.deepInclude(headers(yield* nextRequest(events, "SETUP")), {
        Transport: "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
      })
      const second = headers(yield* nextRequest(events, "SETUP"))
      assert.strictEqual(second["Transport"], "RTP/AVP/TCP;unicast;interleaved=2-3;mode=record")
      assert.isString(second["Session"])
      assert.isString(headers(yield* nextRequest(events, "RECORD"))["Session"])
    })
  )

  it.live("publishes under a path with a query", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* publish(server.url("a?user=x"))
      yield* server.awaitPublisher("a")
    })
  )

  it.live("authenticates with a password, and tries a wrong one only once", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: { username: "u", password: Redacted.make("p"), schemes: ["sha256", "md5"] }
      })
      yield* publish(server.url("a").replace("rtsp://", "rtsp://u:p@"))
      assert.strictEqual(yield* server.authenticationFailures, 0)
      const { reason } = yield* Effect.flip(
        publish(server.url("b").replace("rtsp://", "rtsp://u:x@"))
      )
      assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "wrong" })
      assert.strictEqual(yield* server.authenticationFailures, 1)
    })
  )

  it.live("fails with Rejected if the server rejects the description", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const { reason } = yield* Effect.flip(
        publish(server.url("a"), {
          announcement: { sdp: pattern.replace("packetization-mode=1", ""), controls }
        })
      )
      assert.deepInclude(reason, { _tag: "Rejected", status: 400, request: "ANNOUNCE" })
    })
  )

  it.live("fails with Rejected if another publisher keeps the path", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ overridePublisher: "reject" })
      yield* publish(server.url("a"))
      const { reason } = yield* Effect.flip(publish(server.url("a")))
      assert.deepInclude(reason, { _tag: "Rejected", status: 400, request: "RECORD" })
    })
  )

  it.live("fails with Closed when another publisher replaces it", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const old = yield* publish(server.url("a"))
      yield* publish(server.url("a"))
      const { reason } = yield* Effect.flip(old.closed)
      assert.deepInclude(reason, { _tag: "Closed", phase: "streaming" })
    })
  )

  for (const method of ["ANNOUNCE", "SETUP", "RECORD"] as const) {
    it.live(`fails if the server rejects ${method}, or closes the connection`, () =>
      Effect.gen(function* () {
        assert.deepInclude(yield* failsWith({ rejectWith: { [method]: 503 } }), {
          _tag: "Rejected",
          status: 503,
          request: method
        })
        assert.deepInclude(yield* failsWith({ closeAt: method }), {
          _tag: "Closed",
          request: method
        })
      })
    )

    it.effect(`times out on a server that never responds to ${method}`, () =>
      Effect.gen(function* () {
        const server = yield* RtspServer.make({
          settings: () => ({ quirks: { silentAt: method } })
        })
        const events = yield* server.events
        const fiber = yield* Effect.forkChild(Effect.flip(Effect.scoped(publish(server.url("a")))))
        yield* nextRequest(events, method)
        yield* TestClock.adjust("5 seconds")
        assert.deepInclude((yield* Fiber.join(fiber)).reason, { _tag: "TimedOut", request: method })
        yield* server.awaitConnections(0)
      })
    )
  }

  it.effect("limits the time of the whole opening", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        settings: () => ({ quirks: { silentAt: "RECORD" } })
      })
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(publish(server.url("a"), { openTimeout: "2 seconds" })))
      )
      yield* nextRequest(events, "RECORD")
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude((yield* Fiber.join(fiber)).reason, { _tag: "TimedOut", afterMs: 2000 })
    })
  )

  it.effect("waits for the response to TEARDOWN for teardownTimeout", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        settings: () => ({ quirks: { silentAt: "TEARDOWN" } })
      })
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.scoped(publish(server.url("a"), { teardownTimeout: "3 seconds" }))
      )
      yield* nextRequest(events, "TEARDOWN")
      yield* TestClock.adjust(2999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(fiber)
      yield* server.awaitConnections(0)
    })
  )

  it.live("sends a camera's frames to the server, and reads the server's reports", () =>
    Effect.gen(function* () {
      const source = yield* cameraWith({ channelOffset: 6, strayFrames: true })
      const sink = yield* RtspServer.make()
      const events = yield* sink.events
      const camera = yield* relay(url(source.url("cam")), url(sink.url("out")))
      const reader = yield* ReaderSession.open({ url: url(sink.url("out")) })
      yield* reader.setup(publishable(reader))
      const watched = watch(reader.trackByChannel)
      yield* reader.play(watched.handler)
      yield* watched.first(0)
      yield* watched.first(2)
      assert.isFalse(camera.connection.isClosed)
      // the server took no frame for a response, which would have closed the connection
      assert.strictEqual((yield* sink.path("out"))?.publishers, 1)
      assert.deepInclude(yield* next(events, "Publishing"), { path: "out" })
    })
  )

  it.live("does not respond to requests of the server", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        settings: () => ({ quirks: { sendsOptions: true } })
      })
      const events = yield* server.events
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* publish(server.url("a"))
          // the response to this follows the server's request
          yield* session.connection.exchange({ method: "OPTIONS", uri: server.url("a") })
        })
      )
      const ended = yield* next(events, "Ended")
      assert.deepInclude(ended, { was: "publisher", why: "torn down" })
    })
  )

  it.live("sends TEARDOWN if the server rejects RECORD", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        settings: () => ({ quirks: { rejectWith: { RECORD: 503 } } })
      })
      const events = yield* server.events
      yield* Effect.flip(Effect.scoped(publish(server.url("a"))))
      assert.deepInclude(yield* nextRequest(events, "TEARDOWN"), { status: 200 })
    })
  )

  it.live("sends TEARDOWN on interruption", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.scoped(Effect.andThen(publish(server.url("a")), Effect.never))
      )
      yield* nextRequest(events, "RECORD")
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* nextRequest(events, "TEARDOWN"), { status: 200 })
      yield* server.awaitConnections(0)
    })
  )

  it.live("fails with Unsupported if the server takes UDP only", () =>
    Effect.gen(function* () {
      const { port } = yield* scripted((request, socket, exchange) => {
        const isSetup = request.startsWith("SETUP")
        const transport = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n"
        socket.write(
          `RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\nSession: 1\r\n${isSetup ? transport : ""}\r\n`
        )
      })
      const { reason } = yield* Effect.flip(Effect.scoped(publish(`rtsp://127.0.0.1:${port}/out`)))
      assert.deepInclude(reason, { _tag: "Unsupported" })
    })
  )
})
