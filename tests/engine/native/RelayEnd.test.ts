/** What ends a native relay, and for which reason. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine, RelayEnd } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Eventually from "../../kit/Eventually.ts"
import { scripted } from "../../kit/ScriptedServer.ts"
import { job, startRelay } from "../Streams.ts"

const engine = NativeEngine.make()

const ok = (exchange: string, ...headers: ReadonlyArray<string>) =>
  ["RTSP/1.0 200 OK", `CSeq: ${exchange}`, ...headers, "", ""].join("\r\n")

/** A response as a media server gives it to a publisher. */
const accepting = (request: string, exchange: string): string =>
  request.startsWith("SETUP")
    ? ok(exchange, "Session: 1", `Transport: ${/Transport: (.*)/.exec(request)?.[1] ?? ""}`)
    : ok(exchange, "Session: 1")

describe("a native relay", () => {
  it.live("is not replaced by another publisher if the media server sends garbage", () =>
    Effect.gen(function* () {
      const source = yield* RtspServer.make()
      yield* TestPattern.publish(source, "cam", { frameRate: 25, keyframeEvery: 1 })
      const { port } = yield* scripted((request, socket, exchange) => {
        socket.write(accepting(request, exchange))
        if (request.startsWith("RECORD")) socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")
      })
      const relay = yield* startRelay(
        engine,
        job(source.url("cam"), `rtsp://127.0.0.1:${port}/out`)
      )
      const { reason } = yield* Effect.flip(relay.ended)
      assert.strictEqual(reason._tag, "ServerGone")
    })
  )

  it.live("leaves no connection of an announcement that was rejected", () =>
    Effect.gen(function* () {
      const source = yield* RtspServer.make()
      yield* TestPattern.publish(source, "cam", { frameRate: 25, keyframeEvery: 1, audio: true })
      let announcements = 0
      // it closes no connection, whatever it rejects
      const server = yield* scripted((request, socket, exchange) => {
        const isRejected = request.startsWith("ANNOUNCE") && ++announcements <= 2
        socket.write(
          isRejected
            ? `RTSP/1.0 400 Bad Request\r\nCSeq: ${exchange}\r\n\r\n`
            : accepting(request, exchange)
        )
      })
      const relay = yield* startRelay(
        engine,
        job(source.url("cam"), `rtsp://127.0.0.1:${server.port}/out`)
      )
      yield* relay.flowing
      assert.strictEqual(announcements, 3)
      const closed = () => [...server.sockets].map((socket) => socket.readableEnded)
      yield* Eventually.until(
        "only the last connection is open",
        () => String(closed()) === "true,true,false",
        () => String(closed())
      )
    })
  )
})

describe("a native relay to a media server that is too slow", () => {
  /** A relay of which nothing happens but that its server is slow for a while, and then not. */
  const watched = () => {
    const server = { isDropping: false, unsent: 0 }
    const end = RelayEnd.firstEnd({
      camera: { closed: Effect.never },
      publisher: {
        closed: Effect.never,
        uri: "rtsp://h/out",
        connection: {
          exchange: () => Effect.never,
          received: 0,
          isClosed: false,
          get unsent() {
            return server.unsent
          }
        }
      },
      forwarder: {
        silentMs: 0,
        lastVideoAt: 0,
        unannouncedType: undefined,
        get isDropping() {
          return server.isDropping
        }
      },
      stallTimeout: "10 seconds",
      firstVideoTimeout: "10 seconds",
      checkServer: Effect.succeed(true)
    })
    const slow = () => Object.assign(server, { isDropping: true, unsent: 2_000_000 })
    return { end, server, slow }
  }

  it.effect("ends when the server is too slow for 15 s", () =>
    Effect.gen(function* () {
      const { end, slow } = watched()
      const ending = yield* Effect.forkChild(end)
      slow()
      yield* TestClock.adjust("14 seconds")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepInclude(
        { ...(yield* Fiber.join(ending)) },
        {
          _tag: "Stalled",
          side: "output",
          afterMs: 15_000
        }
      )
    })
  )

  for (const [what, caughtUp] of [
    ["takes all that waits", { isDropping: false, unsent: 0 }],
    ["takes most of it, while only a keyframe is missing", { isDropping: true, unsent: 1000 }]
  ] as const) {
    it.effect(`does not add up separate slow spells: between them the server ${what}`, () =>
      Effect.gen(function* () {
        const { end, server, slow } = watched()
        const ending = yield* Effect.forkChild(end)
        for (let spell = 0; spell < 5; spell++) {
          slow()
          yield* TestClock.adjust("10 seconds")
          Object.assign(server, caughtUp)
          yield* TestClock.adjust("5 seconds")
          assert.isUndefined(ending.pollUnsafe())
        }
        slow()
        yield* TestClock.adjust("15 seconds")
        assert.isDefined(ending.pollUnsafe())
      })
    )
  }
})
