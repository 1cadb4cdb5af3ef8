/** What the media server's API says about the paths, and when that restarts a relay. */
import { assert, describe, it } from "@effect/vitest"
import { MediaPath, MediaServerError, type MediaMtxApi, ServerPaths } from "@restream/core"
import { Duration, Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import { withLog } from "../kit/Log.ts"

const path = Result.getOrThrow(MediaPath.parse("cam1"))
const other = Result.getOrThrow(MediaPath.parse("cam2"))

const online = (readers = 0): MediaMtxApi.PathReport => ({
  isOnline: true,
  onlineSince: 0,
  readers,
  inboundBytes: 1
})

type Answer = Effect.Effect<ReadonlyMap<string, MediaMtxApi.PathReport>, MediaServerError>

const away: Answer = Effect.fail(new MediaServerError({ detail: "connection refused" }))
const lists = (...paths: ReadonlyArray<string>): Answer =>
  Effect.succeed(new Map(paths.map((path) => [path, online()])))

/** An API that answers as the test says; polled every 5 s, with a stall timeout of 10 s. */
const make = Effect.gen(function* () {
  const fake = { answer: lists(), isServerUp: true, reads: 0 }
  const paths = yield* ServerPaths.make({
    api: {
      paths: Effect.suspend(() => fake.answer),
      publishers: Effect.sync(() => {
        fake.reads++
        return ["cam1", "cam2"].map((path) => ({
          id: path,
          isSecure: false,
          path,
          userAgent: "Lavf",
          remoteAddr: "10.0.0.7:4000"
        }))
      }),
      kick: () => Effect.succeed(false)
    },
    label: "10.0.0.9:9997",
    timing: Effect.succeed({
      interval: Duration.seconds(5),
      stallTimeout: Duration.seconds(10)
    }),
    isServerUp: Effect.sync(() => fake.isServerUp)
  })
  const answers = Effect.fnUntraced(function* (answer: Answer, time: Duration.Input = "6 seconds") {
    fake.answer = answer
    yield* TestClock.adjust(time)
  })
  return { fake, paths, answers }
})

const isDone = (fiber: Fiber.Fiber<unknown>) => fiber.pollUnsafe() !== undefined

describe("ServerPaths", () => {
  it.effect(
    "has no data before the first response of the API, and while the API is unreachable",
    () =>
      Effect.gen(function* () {
        const { answers, fake, paths } = yield* make
        assert.isUndefined(paths.get("cam1"))
        yield* answers(lists("cam1"))
        assert.deepInclude(paths.get("cam1"), { isOnline: true })
        assert.deepInclude(paths.get("cam2"), { isOnline: false, readers: 0 })
        yield* answers(away)
        assert.isUndefined(paths.get("cam1"))
        assert.strictEqual(paths.apiStatus()._tag, "Down")
        fake.isServerUp = false
        yield* answers(away)
        assert.strictEqual(paths.apiStatus()._tag, "Unknown")
      })
  )

  it.effect("restarts a live relay whose path is not online for the stall timeout", () =>
    Effect.gen(function* () {
      const { answers, paths } = yield* make
      const restart = yield* Effect.forkChild(paths.offline(path))
      yield* answers(lists("cam1"), "1 minute")
      yield* answers(lists(), "9 seconds")
      assert.isFalse(isDone(restart))
      assert.strictEqual(paths.offlinePaths().size, 0)
      yield* answers(lists(), "6 seconds")
      const reason = yield* Fiber.join(restart)
      assert.strictEqual(reason._tag, "PathOffline")
    })
  )

  it.effect("does not count what the API said before the relay was live", () =>
    Effect.gen(function* () {
      const { answers, paths } = yield* make
      const confirmed = yield* Effect.forkChild(paths.offline(other))
      yield* answers(lists("cam2"), "1 minute")
      const restart = yield* Effect.forkChild(paths.offline(path))
      yield* TestClock.adjust("9 seconds")
      assert.isFalse(isDone(restart))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(isDone(restart))
      assert.isFalse(isDone(confirmed))
    })
  )

  it.effect("restarts once, and again only after the path was online", () =>
    Effect.gen(function* () {
      const { answers, paths } = yield* make
      const first = yield* Effect.forkChild(paths.offline(path))
      yield* answers(lists("cam1"))
      yield* answers(lists(), "30 seconds")
      assert.isTrue(isDone(first))
      const second = yield* Effect.forkChild(paths.offline(path))
      yield* answers(lists(), "1 hour")
      assert.isFalse(isDone(second))
      assert.deepStrictEqual([...paths.offlinePaths()], ["cam1"])
      yield* answers(lists("cam1"))
      assert.strictEqual(paths.offlinePaths().size, 0)
      yield* answers(lists(), "30 seconds")
      assert.isTrue(isDone(second))
    })
  )

  it.effect("restarts nothing for an API that is unreachable now and then", () =>
    Effect.gen(function* () {
      const { answers, paths } = yield* make
      const restart = yield* Effect.forkChild(paths.offline(path))
      yield* answers(lists("cam1"), "1 minute")
      yield* answers(away, "1 hour")
      for (let n = 0; n < 20; n++) {
        yield* answers(lists(), "9 seconds")
        yield* answers(away, "6 seconds")
      }
      for (let n = 0; n < 20; n++) {
        yield* answers(lists(), "9 seconds")
        yield* answers(lists("cam1"), "6 seconds")
      }
      assert.isFalse(isDone(restart))
    })
  )

  it.effect("restarts nothing by the API of another server, and logs that once", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { answers, paths } = yield* make
        const relays = [
          yield* Effect.forkChild(paths.offline(path)),
          yield* Effect.forkChild(paths.offline(other))
        ]
        yield* answers(lists("somebody"), "1 hour")
        assert.isFalse(relays.some(isDone))
        assert.strictEqual(paths.offlinePaths().size, 2)
        assert.deepStrictEqual(lines, [
          "Warn media server API 10.0.0.9:9997: 2 of 2 live streams are not online at the media server; check that mediaServer.apiUrl belongs to the server of mediaServer.host"
        ])
      }).pipe(Effect.scoped)
    )
  )

  it.effect(
    "reports an unreachable API once, and nothing while the media server is unreachable",
    () =>
      withLog((lines) =>
        Effect.gen(function* () {
          const { answers, fake } = yield* make
          yield* answers(lists("cam1"))
          yield* answers(away, "1 hour")
          yield* answers(lists("cam1"), "10 minutes")
          fake.isServerUp = false
          yield* answers(away, "1 hour")
          fake.isServerUp = true
          yield* answers(lists("cam1"), "1 hour")
          assert.strictEqual(
            lines[0],
            "Warn media server API 10.0.0.9:9997 cannot be read: connection refused; relays are unaffected, readers are unknown"
          )
          assert.match(lines[1]!, /^Info media server API 10\.0\.0\.9:9997 responds again after /)
          assert.lengthOf(lines, 2)
        }).pipe(Effect.scoped)
      )
  )

  it.effect("reports since when the API is unreachable", () =>
    Effect.gen(function* () {
      const { answers, paths } = yield* make
      yield* answers(lists())
      const since = () => {
        const status = paths.apiStatus()
        return status._tag === "Down" ? status.since : undefined
      }
      yield* answers(away)
      const first = since()
      assert.isAbove(first ?? 0, 0)
      yield* answers(away, "1 minute")
      assert.strictEqual(since(), first)
    })
  )

  it.effect("forgets a relay that has ended", () =>
    Effect.gen(function* () {
      const { answers, paths } = yield* make
      const restart = yield* Effect.forkChild(paths.offline(path))
      yield* answers(lists("cam1"))
      yield* Fiber.interrupt(restart)
      yield* answers(lists(), "1 minute")
      assert.strictEqual(paths.offlinePaths().size, 0)
    })
  )

  it.effect("reads the publishers once for all paths that are refused within a second", () =>
    Effect.gen(function* () {
      const { fake, paths } = yield* make
      const who = { _tag: "Other", description: '"Lavf" at 10.0.0.7:4000' } as const
      assert.deepStrictEqual(yield* paths.clear(path, undefined), who)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(yield* paths.clear(other, undefined), who)
      assert.strictEqual(fake.reads, 1)
      yield* TestClock.adjust("1 millis")
      yield* paths.clear(other, undefined)
      assert.strictEqual(fake.reads, 2)
    })
  )

  it.effect("continues after a defect of the API's client", () =>
    Effect.gen(function* () {
      const { answers, paths } = yield* make
      yield* answers(Effect.die(new Error("boom")))
      assert.strictEqual(paths.apiStatus()._tag, "Down")
      yield* answers(lists("cam1"))
      assert.strictEqual(paths.apiStatus()._tag, "Up")
    })
  )
})
