import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, PubSub, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  ReaderSession,
  InterleavedFrame,
  type Message,
  ReceptionStats,
  Rtp
} from "@restream/core/rtsp"
import { type Quirks, RtspServer, type ServerEvent, TestPattern } from "@restream/core/testing"
import { next, nextRequest } from "./Events.ts"
import { cameraWith, play, url, watch, publishable } from "./LiveCamera.ts"

const headerOf = (event: { readonly headers: Message.Headers }, name: string) =>
  event.headers.find(([key]) => key.toLowerCase() === name)?.[1]

/** Plays a camera with these quirks until its first video packet. */
const plays = (quirks: Quirks, path = "cam") =>
  Effect.gen(function* () {
    const server = yield* cameraWith(quirks)
    const events = yield* server.events
    const { session, watched } = yield* play({ url: url(server.url(path)) })
    yield* watched.first(0)
    yield* watched.first(2)
    return { server, events, session, watched }
  })

/** The reason with which a session with these quirks fails. */
const failsWith = (quirks: Quirks) =>
  Effect.gen(function* () {
    const server = yield* cameraWith(quirks)
    const error = yield* Effect.flip(Effect.scoped(play({ url: url(server.url("cam")) })))
    yield* server.awaitConnections(0)
    return error.reason
  })

const isKeepAlive = ({ method }: { readonly method: string }) =>
  method === "OPTIONS" || method === "GET_PARAMETER"

describe("ReaderSession", () => {
  it.live("sends DESCRIBE, SETUP and PLAY in order, and TEARDOWN at the end", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      const events = yield* server.events
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { session, watched } = yield* play({ url: url(server.url("cam")) })
          assert.deepStrictEqual(
            publishable(session).map(({ codec, height, width }) => [codec, width, height]),
            [
              ["h264", 64, 64],
              ["pcm_mulaw", undefined, undefined]
            ]
          )
          assert.deepStrictEqual(
            session.tracks.map(({ channels }) => channels),
            [
              [0, 1],
              [2, 3]
            ]
          )
          yield* watched.first(0)
          yield* watched.first(2)
        })
      )
      const seen: Array<readonly [string, number | undefined]> = []
      let ended = false
      while (!ended) {
        const event: ServerEvent = yield* PubSub.take(events)
        if (event._tag === "Request") seen.push([event.method, event.status])
        ended = event._tag === "Request" && event.method === "TEARDOWN"
      }
      assert.deepStrictEqual(seen, [
        ["DESCRIBE", 200],
        ["SETUP", 200],
        ["SETUP", 200],
        ["PLAY", 200],
        ["TEARDOWN", 200]
      ])
      yield* server.awaitConnections(0)
    })
  )

  it.live("sends User-Agent and Range, and no mode", () =>
    Effect.gen(function* () {
      const { events } = yield* plays({})
      const setup = yield* nextRequest(events, "SETUP")
      assert.strictEqual(headerOf(setup, "transport"), "RTP/AVP/TCP;unicast;interleaved=0-1")
      assert.strictEqual(setup.userAgent, "restream")
      const started = yield* nextRequest(events, "PLAY")
      assert.strictEqual(headerOf(started, "range"), "npt=0.000-")
      assert.isString(headerOf(started, "session"))
    })
  )

  const livingQuirks: ReadonlyArray<readonly [what: string, quirks: Quirks]> = [
    ["requires OPTIONS first", { requiresOptions: true }],
    ["requires User-Agent", { requiresUserAgent: true }],
    ["requires Range", { requiresRange: true }],
    ["rejects a mode", { rejectsMode: true }],
    ["chooses other channels", { channelOffset: 10 }],
    ["names only the first channel", { interleaved: "first" }],
    ["names no channels", { interleaved: "missing" }],
    ["sends RTP/AVP although the transport is TCP", { claimsUdp: true }],
    [
      "sends RTP/AVP, other channels, and only the first channel",
      { claimsUdp: true, channelOffset: 4, interleaved: "first" }
    ],
    ["sends cseq in lower case", { cseq: "lowerCase" }],
    ["sends no CSeq", { cseq: "missing" }],
    ["sends no Content-Base", { contentBase: "missing" }],
    ["sends a Content-Base with only a path", { contentBase: "pathOnly" }],
    ["sends a Content-Base without scheme", { contentBase: "withoutScheme" }],
    ["sends a doubled Content-Base", { contentBase: "doubled" }],
    ["sends a Content-Base with an unreachable host", { contentBase: "wrongHost" }],
    ["sends no Content-Type", { contentType: "missing" }],
    ["sends a Content-Type with a charset", { contentType: "withCharset" }],
    ["sends packets of an ended session before every response", { strayFrames: true }],
    ["sends OPTIONS to the client", { sendsOptions: true }],
    ["sends garbage between frames", { garbageEvery: 3 }],
    [
      "sends absolute controls with an unreachable host",
      {
        sdp: (sdp) =>
          sdp.replaceAll("a=control:trackID", "a=control:rtsp://192.168.1.64:554/cam/trackID")
      }
    ],
    [
      "sends an absolute session-level control",
      {
        sdp: (sdp) => sdp.replace("a=control:*", "a=control:rtsp://192.168.1.64:554/cam/"),
        contentBase: { text: "rtsp://h/wrong/" }
      }
    ],
    [
      "sends invalid first lines in its description",
      { sdp: (sdp) => sdp.replace(/o=.*\r\n/, "o=\r\ns=\r\ns=x\r\nc=\r\nt=now-\r\n") }
    ]
  ]
  for (const [what, quirks] of livingQuirks) {
    it.live(`plays a camera that ${what}`, () => plays(quirks))
  }

  it.live("plays a camera whose path has a query, with controls after the query", () =>
    Effect.gen(function* () {
      const { events } = yield* plays({ contentBase: "missing" }, "cam?channel=1&subtype=0")
      const described = yield* nextRequest(events, "DESCRIBE")
      assert.strictEqual(described.path, "cam?channel=1&subtype=0")
    })
  )

  const refusals: ReadonlyArray<readonly [what: string, quirks: Quirks, reason: object]> = [
    [
      "DESCRIBE with 404",
      { rejectWith: { DESCRIBE: 404 } },
      { _tag: "Rejected", status: 404, request: "DESCRIBE", detail: "Not Found" }
    ],
    [
      "DESCRIBE with 503",
      { rejectWith: { DESCRIBE: 503 } },
      { _tag: "Rejected", status: 503, request: "DESCRIBE" }
    ],
    [
      "SETUP with 453",
      { rejectWith: { SETUP: 453 } },
      { _tag: "Rejected", status: 453, request: "SETUP" }
    ],
    [
      "PLAY with 503",
      { rejectWith: { PLAY: 503 } },
      { _tag: "Rejected", status: 503, request: "PLAY" }
    ],
    ["TCP", { udpOnly: true }, { _tag: "Unsupported" }]
  ]
  for (const [what, quirks, reason] of refusals) {
    it.live(`fails with Rejected if the camera rejects ${what}`, () =>
      Effect.gen(function* () {
        assert.deepInclude(yield* failsWith(quirks), reason)
      })
    )
  }

  it.live("leaves out audio if the camera rejects its SETUP", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ rejectsAudio: true })
      const { session, watched } = yield* play({ url: url(server.url("cam")) })
      yield* watched.first(0)
      assert.deepStrictEqual(
        session.tracks.map(({ track }) => track.kind),
        ["video"]
      )
    })
  )

  it.live("fails if the camera rejects audio and there is no video before it", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ rejectsAudio: true })
      const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
      const audio = publishable(session).filter(({ kind }) => kind === "audio")
      const { reason } = yield* Effect.flip(session.setup(audio))
      assert.deepInclude(reason, { _tag: "Rejected", request: "SETUP" })
    })
  )

  it.live("never assigns a channel to two tracks", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ channelOffset: 2, interleaved: "repeated" })
      const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
      yield* session.setup(publishable(session))
      assert.deepStrictEqual(
        session.tracks.map(({ channels }) => channels),
        [
          [2, 3],
          [4, 5]
        ]
      )
    })
  )

  it.live("sends one request at a time, so that no request uses up another's nonce", () =>
    Effect.gen(function* () {
      const authentication = { username: "admin", password: Redacted.make("right") }
      const server = yield* RtspServer.make({
        authentication,
        settings: () => ({ quirks: { freshNonces: true, authenticatesOptions: true } })
      })
      yield* TestPattern.publish(server, "cam", { audio: true })
      const camera = server.url("cam").replace("rtsp://", "rtsp://admin:right@")
      const { session, watched } = yield* play({ url: url(camera) })
      yield* watched.first(0)
      for (let round = 0; round < 3; round++) {
        yield* Effect.all([session.keepAlive, session.keepAlive], { concurrency: 2 })
      }
      assert.strictEqual(yield* server.authenticationFailures, 0)
      // no rejection was final: the session ends in order, with the password
      const events = yield* server.events
      yield* session.teardown
      assert.strictEqual((yield* nextRequest(events, "TEARDOWN")).status, 401)
      assert.strictEqual((yield* nextRequest(events, "TEARDOWN")).status, 200)
    })
  )

  it.live("repeats PLAY without Range if the camera rejects Range", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ rejectWith: { PLAY: 457 } })
      const events = yield* server.events
      yield* Effect.flip(play({ url: url(server.url("cam")) }))
      assert.isDefined(headerOf(yield* nextRequest(events, "PLAY"), "range"))
      assert.isUndefined(headerOf(yield* nextRequest(events, "PLAY"), "range"))
    })
  )

  for (const method of ["DESCRIBE", "SETUP", "PLAY"] as const) {
    it.effect(`times out on a camera that never responds to ${method}`, () =>
      Effect.gen(function* () {
        const server = yield* cameraWith({ silentAt: method })
        const events = yield* server.events
        const fiber = yield* Effect.forkChild(
          Effect.flip(Effect.scoped(play({ url: url(server.url("cam")) })))
        )
        const request = yield* nextRequest(events, method)
        assert.isUndefined(request.status)
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const { reason } = yield* Fiber.join(fiber)
        assert.deepInclude(reason, { _tag: "TimedOut", request: method, afterMs: 5000 })
        yield* server.awaitConnections(0)
      })
    )

    it.live(`fails with Closed if the camera closes the connection at ${method}`, () =>
      Effect.gen(function* () {
        assert.deepInclude(yield* failsWith({ closeAt: method }), {
          _tag: "Closed",
          request: method
        })
      })
    )
  }

  it.live("fails with ProtocolError if the response is not RTSP", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failsWith({ garbageAt: "DESCRIBE" }))._tag, "ProtocolError")
    })
  )

  it.effect("fails with ProtocolError on garbage instead of a response", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ garbageAt: "DESCRIBE" })
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(play({ url: url(server.url("cam")) })))
      )
      yield* nextRequest(events, "DESCRIBE")
      // the garbage must arrive before the timeout
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "ProtocolError")
    })
  )

  it.effect("limits the time of the whole opening, even if each step is in time", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ silentAt: "DESCRIBE" })
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.flip(
          Effect.scoped(
            ReaderSession.open({ url: url(server.url("cam")), openTimeout: "3 seconds" })
          )
        )
      )
      yield* nextRequest(events, "DESCRIBE")
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude((yield* Fiber.join(fiber)).reason, { _tag: "TimedOut", afterMs: 3000 })
      yield* server.awaitConnections(0)
    })
  )

  it.live("fails with ProtocolError on a description without media", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failsWith({ sdp: () => "v=0\r\n" }))._tag, "ProtocolError")
    })
  )

  it.live("fails with Closed if the camera closes the connection after SETUP", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failsWith({ closeAfterSetup: true }))._tag, "Closed")
    })
  )

  it.live("fails with Closed if the camera closes the connection within a frame", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ closeMidFrame: 8 })
      const { session, watched } = yield* play({ url: url(server.url("cam")) })
      const { reason } = yield* Effect.flip(session.closed)
      assert.deepInclude(reason, { _tag: "Closed", phase: "streaming" })
      assert.strictEqual(
        [...watched.counts.values()].reduce((sum, count) => sum + count, 0),
        8
      )
      assert.strictEqual(session.connection.garbage, 0)
    })
  )

  it.live("counts garbage between frames, and loses no frame", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ garbageEvery: 2 })
      const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
      yield* session.setup(publishable(session))
      const reception = new ReceptionStats.ReceptionStats()
      const many = yield* Deferred.make<void>()
      yield* session.play({
        frames: (bytes, start, end) => {
          for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
            const packet = InterleavedFrame.packetStart(at)
            if (session.trackByChannel[InterleavedFrame.channel(bytes, at)] !== 0) continue
            reception.take(Rtp.sequence(bytes, packet), Rtp.ssrc(bytes, packet))
          }
          if (reception.packets > 40) Deferred.doneUnsafe(many, Effect.void)
        }
      })
      yield* Deferred.await(many)
      assert.isAbove(session.connection.garbage, 100)
      assert.strictEqual(reception.lost, 0)
    })
  )

  it.live("responds to OPTIONS from the camera", () =>
    Effect.gen(function* () {
      const { events } = yield* plays({ sendsOptions: true })
      assert.deepInclude(yield* next(events, "ResponseReceived"), { status: 200 })
    })
  )

  it.live("separates packets of ended sessions from its tracks", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ strayFrames: true })
      const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
      const [video] = publishable(session)
      yield* session.setup(video === undefined ? [] : [video])
      const watched = watch(session.trackByChannel)
      yield* session.play(watched.handler)
      yield* watched.first(0)
      // two packets, on channel 0 and on an unassigned channel, arrived before the response to PLAY
      assert.strictEqual(watched.counts.get(255), 1)
    })
  )

  it.live("ignores frames after TEARDOWN", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ goesOnAfterTeardown: true })
      const { session, watched } = yield* play({ url: url(server.url("cam")) })
      yield* watched.first(0)
      yield* session.teardown
      const other = watch(session.trackByChannel)
      session.connection.setFrameHandler(other.handler)
      yield* other.first(255)
      assert.isUndefined(other.counts.get(0))
    })
  )

  it.live("sees only missing packets of a frozen track", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      const { session, watched } = yield* play({ url: url(server.url("cam")) })
      yield* watched.first(0)
      yield* server.freeze("cam", "video")
      // frames that were under way have arrived once later audio arrives
      const sound = watch(session.trackByChannel)
      session.connection.setFrameHandler(sound.handler)
      yield* sound.first(2)
      const later = watch(session.trackByChannel)
      session.connection.setFrameHandler(later.handler)
      yield* later.first(2)
      assert.isUndefined(later.counts.get(0))
      yield* server.thaw("cam")
      yield* later.first(0)
    })
  )

  it.effect("plays a camera that freezes after some time", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ freeze: { tracks: "all", after: "10 seconds" } })
      const { watched } = yield* play({ url: url(server.url("cam")) })
      yield* TestClock.adjust("1 second")
      yield* watched.first(0)
      const before = () =>
        Effect.map(server.path("cam"), (status) => status?.readers[0]?.packets ?? 0)
      yield* TestClock.adjust("8 seconds")
      const living = yield* before()
      assert.isAbove(living, 9)
      yield* TestClock.adjust("1 second")
      const frozen = yield* before()
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* before(), frozen)
      assert.isAbove((yield* server.path("cam"))?.packets ?? 0, frozen)
    })
  )

  it.live("receives the camera's sender reports", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const publisher = yield* server.publish("cam", TestPattern.description())
      const { watched } = yield* play({ url: url(server.url("cam")) })
      publisher.writeRtp(0, Buffer.from("8060000000000000000000016588", "hex"))
      publisher.writeRtcp(0, Buffer.from("80c8000600000001", "hex"))
      yield* watched.first(1)
    })
  )

  it.live("sends TEARDOWN on interruption", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.scoped(Effect.andThen(play({ url: url(server.url("cam")) }), Effect.never))
      )
      yield* server.awaitReaders("cam", 1)
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* nextRequest(events, "TEARDOWN"), { status: 200 })
      yield* server.awaitConnections(0)
    })
  )

  it.effect("reads buffered frames before the response to TEARDOWN", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      const events = yield* server.events
      // the clock does not move: an unread response would block this test forever
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { session, watched } = yield* play({ url: url(server.url("cam")) })
          yield* TestClock.adjust("1 second")
          yield* watched.first(0)
          session.connection.pause()
          yield* TestClock.adjust("1 second")
        })
      )
      assert.deepInclude(yield* nextRequest(events, "TEARDOWN"), { status: 200 })
    })
  )

  it.effect("stops waiting for the response to TEARDOWN on interruption", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ silentAt: "TEARDOWN" })
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
            yield* session.setup(publishable(session))
            return yield* Effect.never
          })
        )
      )
      yield* nextRequest(events, "SETUP")
      yield* nextRequest(events, "SETUP")
      const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* nextRequest(events, "TEARDOWN")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interruption)
      yield* server.awaitConnections(0)
    })
  )

  it.effect("waits at most a second for the response to TEARDOWN", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ silentAt: "TEARDOWN" })
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
            yield* session.setup(publishable(session))
          })
        )
      )
      yield* nextRequest(events, "TEARDOWN")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      yield* server.awaitConnections(0)
    })
  )

  it.effect(
    "waits for the response to TEARDOWN for teardownTimeout, and reports sessions that are left",
    () =>
      Effect.gen(function* () {
        const server = yield* cameraWith({ silentAt: "TEARDOWN", sessionTimeoutSeconds: 20 })
        const events = yield* server.events
        const session = yield* ReaderSession.open({
          url: url(server.url("cam")),
          teardownTimeout: "3 seconds"
        })
        const left = () => session.left
        assert.isUndefined(left())
        yield* session.setup(publishable(session))
        const teardown = yield* Effect.forkChild(session.teardown)
        yield* nextRequest(events, "TEARDOWN")
        yield* TestClock.adjust(2999)
        assert.isUndefined(teardown.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(teardown)
        assert.deepInclude({ ...left() }, { timeoutSeconds: 20, uri: `${server.url("cam")}/` })
      })
  )

  it.live("leaves no session where the camera responds to TEARDOWN", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
      yield* session.setup(publishable(session))
      const left = () => session.left
      assert.isDefined(left())
      yield* session.teardown
      assert.isUndefined(left())
    })
  )

  it.live("closes the connection if opening is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ silentAt: "DESCRIBE" })
      const events = yield* server.events
      const fiber = yield* Effect.forkChild(
        Effect.scoped(ReaderSession.open({ url: url(server.url("cam")) }))
      )
      yield* nextRequest(events, "DESCRIBE")
      yield* Fiber.interrupt(fiber)
      yield* server.awaitConnections(0)
    })
  )

  const intervals: ReadonlyArray<readonly [timeout: number | undefined, interval: string]> = [
    [5, "2500 millis"],
    [30, "15 seconds"],
    [60, "25 seconds"],
    [undefined, "25 seconds"],
    [3600, "25 seconds"]
  ]
  for (const [sessionTimeoutSeconds, interval] of intervals) {
    it.live(
      `sends a keep-alive every ${interval} for a session timeout of ${sessionTimeoutSeconds} s`,
      () =>
        Effect.gen(function* () {
          const server = yield* cameraWith({ sessionTimeoutSeconds })
          const session = yield* ReaderSession.open({ url: url(server.url("cam")) })
          yield* session.setup(publishable(session))
          assert.strictEqual(
            Duration.toMillis(session.keepAliveInterval),
            Duration.toMillis(Duration.fromInputUnsafe(interval as Duration.Input))
          )
        })
    )
  }

  it.live("sends keep-alives with GET_PARAMETER and the session id if supported", () =>
    Effect.gen(function* () {
      const { events, session } = yield* plays({})
      yield* session.keepAlive
      yield* nextRequest(events, "OPTIONS")
      yield* session.keepAlive
      const request = yield* nextRequest(events, "GET_PARAMETER")
      assert.deepInclude(request, { status: 200, path: "cam" })
      assert.isString(headerOf(request, "session"))
    })
  )

  it.live("sends keep-alives with OPTIONS if GET_PARAMETER is not supported", () =>
    Effect.gen(function* () {
      const { events, session } = yield* plays({ publicMethods: ["OPTIONS", "DESCRIBE"] })
      yield* session.keepAlive
      yield* nextRequest(events, "OPTIONS")
      yield* session.keepAlive
      yield* nextRequest(events, "OPTIONS")
    })
  )

  it.live.each([404, 405, 501])(
    "sends keep-alives with OPTIONS even if the response is %i",
    (status) =>
      Effect.gen(function* () {
        const { events, session, watched } = yield* plays({ rejectWith: { OPTIONS: status } })
        for (let i = 0; i < 2; i++) {
          yield* session.keepAlive
          assert.strictEqual((yield* nextRequest(events, "OPTIONS")).status, status)
        }
        yield* watched.first(0)
      })
  )

  it.live("sends keep-alives with OPTIONS after GET_PARAMETER is rejected", () =>
    Effect.gen(function* () {
      const { events, session } = yield* plays({ rejectWith: { GET_PARAMETER: 501 } })
      for (const method of ["OPTIONS", "GET_PARAMETER", "OPTIONS", "OPTIONS"] as const) {
        yield* session.keepAlive
        const sent = yield* next(events, "Request", isKeepAlive)
        assert.strictEqual(sent.method, method)
      }
    })
  )

  it.effect("continues after a keep-alive without a response", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ silentAt: "GET_PARAMETER" })
      const events = yield* server.events
      const { session, watched } = yield* play({ url: url(server.url("cam")) })
      yield* session.keepAlive
      const fiber = yield* Effect.forkChild(session.keepAlive)
      yield* nextRequest(events, "GET_PARAMETER")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      yield* watched.first(0)
      assert.isFalse(session.connection.isClosed)
    })
  )

  it.effect("keeps a session with a timeout of five seconds alive", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ sessionTimeoutSeconds: 5, enforcesTimeout: true })
      const events = yield* server.events
      const { session } = yield* play({ url: url(server.url("cam")) })
      yield* session.keepAlive
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust(session.keepAliveInterval)
        yield* session.keepAlive
        yield* nextRequest(events, "GET_PARAMETER")
      }
      assert.isFalse(session.connection.isClosed)
      yield* TestClock.adjust("5 seconds")
      yield* Effect.flip(session.closed)
    })
  )

  it.live("contains no password in any error", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: { username: "admin", password: Redacted.make("geheim%40") }
      })
      const open = (address: string) =>
        Effect.flip(Effect.scoped(ReaderSession.open({ url: url(address) })))
      const errors = yield* Effect.all([
        open(`rtsp://admin:gehXeim@127.0.0.1:${server.port}/user=admin_password=geheim_`),
        open("rtsp://admin:geheim@127.0.0.1:1/?password=geheim"),
        open(`rtsp://admin:geheim%2540@127.0.0.1:${server.port}/cam?password=geheim`)
      ])
      assert.deepStrictEqual(
        errors.map(({ reason }) => reason._tag),
        ["Unauthorized", "Refused", "Rejected"]
      )
      for (const error of errors) {
        assert.notInclude(`${error.message}${JSON.stringify(error)}${String(error)}`, "geheim")
      }
    })
  )
})
