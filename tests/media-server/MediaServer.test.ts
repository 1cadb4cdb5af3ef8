import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import {
  MediaPath,
  MediaServer,
  MediaServerError,
  pathAddress,
  serverAddress,
  StreamUrl
} from "@restream/core"
import { Effect, Fiber, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { throwing, withLog } from "../kit/Log.ts"
import { blockEventLoop } from "../kit/EventLoop.ts"

const address = new StreamUrl({
  scheme: "rtsp",
  host: "127.0.0.1",
  port: 8554,
  username: "publisher",
  password: "TopSecret1"
})

/** A server that answers as the test says, and counts how often it was asked. */
const make = Effect.gen(function* () {
  const fake = {
    checks: 0,
    answer: Effect.void as Effect.Effect<void, MediaServerError>
  }
  const check = Effect.suspend(() => {
    fake.checks++
    return fake.answer
  })
  return { fake, server: yield* MediaServer.make({ address, check }) }
})

const refused = Effect.fail(new MediaServerError({ detail: "connection refused" }))

describe("MediaServer", () => {
  it.effect("keeps callers waiting until the server is reachable, then releases all", () =>
    Effect.gen(function* () {
      const { fake, server } = yield* make
      fake.answer = refused
      yield* TestClock.adjust("1 minute")
      const waiting = yield* Effect.forkChild(
        Effect.all([server.awaitUp, server.awaitUp], { concurrency: 2 })
      )
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(waiting.pollUnsafe())
      fake.answer = Effect.void
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(waiting)
    })
  )

  it.effect("treats a server that accepts and never answers as unreachable", () =>
    Effect.gen(function* () {
      const { fake, server } = yield* make
      fake.answer = Effect.never
      yield* TestClock.adjust("2 seconds")
      const status = yield* server.status
      assert.strictEqual(status._tag === "Down" && status.detail, "no response within 2 s")
    })
  )

  it.live("reports no outage after a suspension of the process", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const check = Effect.sleep("20 millis").pipe(
          Effect.andThen(blockEventLoop(1000)),
          Effect.andThen(Effect.sleep("20 millis"))
        )
        const server = yield* MediaServer.make({
          address,
          check,
          timing: Effect.succeed({ checkTimeout: "400 millis" })
        })
        yield* server.awaitUp
        assert.deepStrictEqual(lines, ["Info media server 127.0.0.1:8554 is reachable"])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("logs once that it is unreachable, and once that it is back", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { fake } = yield* make
        yield* TestClock.adjust("1 minute")
        fake.answer = refused
        yield* TestClock.adjust("10 minutes")
        fake.answer = Effect.void
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(lines.slice(0, 2), [
          "Info media server 127.0.0.1:8554 is reachable",
          "Error media server 127.0.0.1:8554 is unreachable: connection refused; cameras that are not live wait for it"
        ])
        assert.match(
          lines[2]!,
          /^Info media server 127\.0\.0\.1:8554 is reachable again after (10 min|9 min 5\d s)/
        )
        assert.strictEqual(lines.length, 3)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("continues to check with a logger that throws", () =>
    Effect.gen(function* () {
      const { fake, server } = yield* make
      for (let n = 0; n < 3; n++) {
        fake.answer = refused
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* server.status)._tag, "Down")
        fake.answer = Effect.void
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* server.status)._tag, "Up")
        yield* server.awaitUp
      }
    }).pipe(Effect.scoped, Effect.provide(throwing))
  )

  it.effect("reports each kind of outage once, in any order", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { fake } = yield* make
        yield* TestClock.adjust("1 second")
        for (let n = 0; n < 100; n++) {
          fake.answer = refused
          yield* TestClock.adjust("3 seconds")
          const detail = `connection refused by 10.0.0.${n}`
          fake.answer = Effect.fail(new MediaServerError({ detail, kind: "other" }))
          yield* TestClock.adjust("3 seconds")
        }
        assert.strictEqual(lines.filter((line) => line.startsWith("Error")).length, 2)
        // the next time that it is away is another
        fake.answer = Effect.void
        yield* TestClock.adjust("3 seconds")
        fake.answer = refused
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(lines.filter((line) => line.startsWith("Error")).length, 3)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("reports flapping once, and when the server is stable again", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { fake } = yield* make
        yield* TestClock.adjust("1 second")
        for (let n = 0; n < 5; n++) {
          fake.answer = refused
          yield* TestClock.adjust("10 seconds")
          fake.answer = Effect.void
          yield* TestClock.adjust("10 seconds")
        }
        const flapping = lines.filter((line) => line.includes("flapping"))
        assert.deepStrictEqual(flapping, [
          "Error media server 127.0.0.1:8554 is unreachable: connection refused; cameras that are not live wait for it; flapping; further messages suppressed until it is stable"
        ])
        const before = lines.length
        assert.strictEqual(lines.at(-1), flapping[0])
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(lines.slice(before), ["Info media server 127.0.0.1:8554 is stable"])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("gives the time since when it is up, and since when it is not", () =>
    Effect.gen(function* () {
      const { fake, server } = yield* make
      assert.deepStrictEqual(yield* server.status, { _tag: "Unknown" })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* server.status, { _tag: "Up", since: 0 })
      fake.answer = refused
      yield* server.reportFailure
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* server.status, {
        _tag: "Down",
        since: 60_000,
        detail: "connection refused"
      })
    })
  )

  it("has the address that the settings name", () => {
    const settings = { ...defaultSettings.mediaServer, host: "10.0.0.9", port: 8555 }
    assert.strictEqual(StreamUrl.reveal(serverAddress(settings)), "rtsp://10.0.0.9:8555/")
    const password = Redacted.make("p@s")
    const revealed = StreamUrl.reveal(
      serverAddress({ ...settings, scheme: "rtsps", username: "relay", password })
    )
    assert.strictEqual(revealed, "rtsps://relay:p%40s@10.0.0.9:8555/")
  })

  it("appends the query of the settings to each path, percent-encoded where it has to be", () => {
    const settings = { ...defaultSettings.mediaServer, host: "10.0.0.9" }
    const path = Result.getOrThrow(MediaPath.parse("site/cam1"))
    const addressed = (query?: string) =>
      StreamUrl.reveal(
        pathAddress({ ...settings, query: query === undefined ? undefined : Redacted.make(query) })(
          path
        )
      )
    assert.strictEqual(addressed(), "rtsp://10.0.0.9:8554/site/cam1")
    assert.strictEqual(addressed(""), "rtsp://10.0.0.9:8554/site/cam1")
    for (const query of ["user=a&pass=b?c", "?user=a&pass=b?c"]) {
      assert.strictEqual(addressed(query), "rtsp://10.0.0.9:8554/site/cam1?user=a&pass=b?c")
    }
    assert.strictEqual(addressed("a=ü b"), "rtsp://10.0.0.9:8554/site/cam1?a=%C3%BC%20b")
  })

  it("has an error with its detail as the message", () => {
    assert.strictEqual(new MediaServerError({ detail: "no response" }).message, "no response")
  })

  it.effect("checks at most twice for a thousand suspicions at once", () =>
    Effect.gen(function* () {
      const { fake, server } = yield* make
      yield* TestClock.adjust("1 second")
      const before = fake.checks
      yield* Effect.repeat(server.reportFailure, { times: 999 })
      yield* TestClock.adjust("1 second")
      // one that they came upon, and one after the last of them
      assert.isAtMost(fake.checks, before + 2)
    })
  )

  it.effect("reports whether the server responds now, not an earlier result", () =>
    Effect.gen(function* () {
      const { fake, server } = yield* make
      yield* TestClock.adjust("1 second")
      fake.answer = refused
      const answering = yield* Effect.forkChild(server.checkNow)
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* Fiber.join(answering))
    })
  )

  it.effect("survives a check that breaks down", () =>
    Effect.gen(function* () {
      const { fake, server } = yield* make
      fake.answer = Effect.die(new Error("boom"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* server.status)._tag, "Down")
      fake.answer = Effect.void
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* server.status)._tag, "Up")
    })
  )

  it.effect("sends each camera to its path, with the server's credentials", () =>
    Effect.gen(function* () {
      const { server } = yield* make
      const destination = server.destination(Result.getOrThrow(MediaPath.parse("site/cam1")))
      assert.strictEqual(
        StreamUrl.reveal(destination),
        "rtsp://publisher:TopSecret1@127.0.0.1:8554/site/cam1"
      )
      assert.strictEqual(String(destination), "rtsp://***@127.0.0.1:8554/site/cam1")
    })
  )

  /** What happens around a media server, in order. */
  const anyEvent = fc.oneof(
    fc.record({
      _tag: fc.constant("Answers"),
      how: fc.constantFrom("up", "refused", "never", "die")
    }),
    fc.record({ _tag: fc.constant("Waits") }),
    fc.record({ _tag: fc.constant("Leaves"), who: fc.nat() }),
    fc.record({ _tag: fc.constant("Reports"), times: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ _tag: fc.constant("Passes"), ms: fc.constantFrom(0, 1, 60, 1000, 2500, 7000) })
  )

  const answers: Record<string, Effect.Effect<void, MediaServerError>> = {
    up: Effect.void,
    refused,
    never: Effect.never,
    die: Effect.die(new Error("by a test"))
  }

  it("releases every waiting camera when the server is reachable, with one check at a time, in any order of events", () =>
    fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { maxLength: 40 }), (events) =>
        Effect.gen(function* () {
          const checks = { running: 0, most: 0 }
          let answer = answers["up"]!
          const check = Effect.acquireUseRelease(
            Effect.sync(() => {
              checks.most = Math.max(checks.most, ++checks.running)
            }),
            () => Effect.suspend(() => answer),
            () => Effect.sync(() => checks.running--)
          )
          const server = yield* MediaServer.make({ address, check })
          const waiting = new Set<Fiber.Fiber<void>>()
          const look = Effect.gen(function* () {
            const before = yield* server.status
            // who was let go has its turn
            yield* TestClock.adjust(0)
            const after = yield* server.status
            for (const fiber of waiting) {
              if (fiber.pollUnsafe() !== undefined) waiting.delete(fiber)
            }
            // whoever waits does so because the server is not up
            if (before._tag === "Up" && after._tag === "Up") assert.strictEqual(waiting.size, 0)
            assert.isAtMost(checks.most, 1)
          })
          for (const event of events) {
            switch (event._tag) {
              case "Answers":
                answer = answers[event.how]!
                break
              case "Waits": {
                const wasUp = (yield* server.status)._tag === "Up"
                const fiber = yield* Effect.forkScoped(server.awaitUp)
                yield* TestClock.adjust(0)
                assert.isTrue(
                  wasUp || (yield* server.status)._tag === "Up" || fiber.pollUnsafe() === undefined
                )
                waiting.add(fiber)
                break
              }
              case "Leaves": {
                const fiber = [...waiting][event.who % waiting.size]
                if (fiber !== undefined) yield* Fiber.interrupt(fiber)
                break
              }
              case "Reports":
                yield* Effect.repeat(server.reportFailure, { times: event.times })
                break
              case "Passes":
                yield* TestClock.adjust(event.ms)
            }
            yield* look
          }
          answer = Effect.void
          // what hangs is given up, and the next check is at most a second behind it
          yield* TestClock.adjust("10 seconds")
          yield* look
          assert.strictEqual((yield* server.status)._tag, "Up")
          assert.strictEqual(waiting.size, 0)
          // and it still notices that it is gone
          answer = refused
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual((yield* server.status)._tag, "Down")
        }).pipe(
          Effect.scoped,
          (test) => withLog(() => test),
          Effect.provide(TestClock.layer()),
          Effect.runPromise
        )
      ),
      { numRuns: Number(process.env["INTERLEAVINGS"] ?? 200) }
    ))
})
