import { assert, describe, it } from "@effect/vitest"
import { ProbeLimits } from "@restream/core"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const prober = { slowAfter: Duration.seconds(1), concurrency: 32 }

/** Probes that count how many of them run. */
const counting = () => {
  const counts = { running: 0, most: 0 }
  const probe = (takes: number) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        counts.most = Math.max(counts.most, ++counts.running)
      }),
      () => Effect.sleep(takes),
      () => Effect.sync(() => counts.running--)
    )
  return { counts, probe }
}

const hosts = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.${index}:554`)

describe("ProbeLimits", () => {
  it.effect("lets so many run at a time, and one against a host", () =>
    Effect.gen(function* () {
      const { withPlace } = ProbeLimits.make({ concurrency: 4 })
      const { counts, probe } = counting()
      const all = [...hosts(10), ...hosts(10)].map((host) => withPlace(host, prober)(probe(500)))
      const fiber = yield* Effect.forkChild(Effect.all(all, { concurrency: "unbounded" }))
      yield* TestClock.adjust("2499 millis")
      assert.strictEqual(counts.most, 4)
      yield* TestClock.adjust("1 millis")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("lets a slow probe keep nobody from theirs", () =>
    Effect.gen(function* () {
      const { withPlace } = ProbeLimits.make({ concurrency: 4 })
      const silent = counting()
      const good = counting()
      // four times as many silent cameras as there are places, in front of a good one
      const before = hosts(16).map((host) => withPlace(host, prober)(silent.probe(10_000)))
      yield* Effect.forkChild(Effect.all(before, { concurrency: "unbounded" }))
      yield* TestClock.adjust(0)
      const fiber = yield* Effect.forkChild(withPlace("10.0.1.1:554", prober)(good.probe(10)))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(silent.counts.running, 16)
      yield* TestClock.adjust("10 millis")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("bounds the slow ones, and takes their room back", () =>
    Effect.gen(function* () {
      const { withPlace } = ProbeLimits.make({ concurrency: 2 })
      const { counts, probe } = counting()
      const most = 2 + 2 * ProbeLimits.slowShare
      const slow = hosts(100).map((host) => withPlace(host, prober)(probe(60_000)))
      const fiber = yield* Effect.forkChild(Effect.all(slow, { concurrency: "unbounded" }))
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(counts.most, most)
      yield* TestClock.adjust("10 minutes")
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(counts.most, most)
      counts.most = 0
      const quick = hosts(100).map((host) => withPlace(host, prober)(probe(100)))
      yield* Effect.forkChild(Effect.all(quick, { concurrency: "unbounded" }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(counts.most, 2)
    })
  )

  it.effect("lets each prober run as many as it says, where nothing is set", () =>
    Effect.gen(function* () {
      const { withPlace } = ProbeLimits.make()
      const light = counting()
      const heavy = counting()
      const all = hosts(40).flatMap((host) => [
        withPlace(host, { ...prober, concurrency: 30 })(light.probe(100)),
        withPlace(`heavy-${host}`, { ...prober, concurrency: 4 })(heavy.probe(100))
      ])
      const fiber = yield* Effect.forkChild(Effect.all(all, { concurrency: "unbounded" }))
      yield* TestClock.adjust("20 seconds")
      assert.isDefined(fiber.pollUnsafe())
      assert.isAtMost(heavy.counts.most, 4)
      const fibers = yield* Effect.forkChild(
        Effect.all(
          hosts(40).map((host) => withPlace(host, { ...prober, concurrency: 30 })(light.probe(1))),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("2 millis")
      assert.isDefined(fibers.pollUnsafe())
      assert.strictEqual(light.counts.most, 30)
    })
  )

  it.effect("takes thousands that end as they begin, and keeps their order", () =>
    Effect.gen(function* () {
      const { withPlace } = ProbeLimits.make({ concurrency: 1 })
      const order: Array<number> = []
      const first = yield* Effect.forkChild(withPlace("first", prober)(Effect.sleep(10)))
      yield* TestClock.adjust(0)
      const others = Array.from({ length: 20_000 }, (_, index) =>
        withPlace(`host-${index}`, prober)(Effect.sync(() => order.push(index)))
      )
      const fiber = yield* Effect.forkChild(Effect.all(others, { concurrency: "unbounded" }))
      yield* TestClock.adjust("9 millis")
      assert.deepStrictEqual(order, [])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      yield* Fiber.join(first)
      assert.deepStrictEqual(
        order,
        others.map((_, index) => index)
      )
    })
  )

  it.effect("gives its place back when it is interrupted, also while it waits", () =>
    Effect.gen(function* () {
      const { withPlace } = ProbeLimits.make({ concurrency: 1 })
      const { counts, probe } = counting()
      const first = yield* Effect.forkChild(withPlace("a", prober)(probe(5000)))
      const other = yield* Effect.forkChild(withPlace("b", prober)(probe(500)))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(other)
      yield* Fiber.interrupt(first)
      assert.strictEqual(counts.running, 0)
      const third = yield* Effect.forkChild(withPlace("a", prober)(probe(10)))
      yield* TestClock.adjust("10 millis")
      assert.isDefined(third.pollUnsafe())
    })
  )
})
