import { assert, describe, it } from "@effect/vitest"
import { ProbeLimits } from "@restream/core"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

const second = Duration.seconds(1)

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
      const all = [...hosts(10), ...hosts(10)].map((host) => withPlace(host, second)(probe(500)))
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
      const before = hosts(16).map((host) => withPlace(host, second)(silent.probe(10_000)))
      yield* Effect.forkChild(Effect.all(before, { concurrency: "unbounded" }))
      yield* TestClock.adjust(0)
      const fiber = yield* Effect.forkChild(withPlace("10.0.1.1:554", second)(good.probe(10)))
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
      const slow = hosts(100).map((host) => withPlace(host, second)(probe(60_000)))
      const fiber = yield* Effect.forkChild(Effect.all(slow, { concurrency: "unbounded" }))
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(counts.most, most)
      yield* TestClock.adjust("10 minutes")
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(counts.most, most)
      counts.most = 0
      const quick = hosts(100).map((host) => withPlace(host, second)(probe(100)))
      yield* Effect.forkChild(Effect.all(quick, { concurrency: "unbounded" }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(counts.most, 2)
    })
  )

  it.effect("gives its place back when it is interrupted, also while it waits", () =>
    Effect.gen(function* () {
      const { withPlace } = ProbeLimits.make({ concurrency: 1 })
      const { counts, probe } = counting()
      const first = yield* Effect.forkChild(withPlace("a", second)(probe(5000)))
      const other = yield* Effect.forkChild(withPlace("b", second)(probe(500)))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(other)
      yield* Fiber.interrupt(first)
      assert.strictEqual(counts.running, 0)
      const third = yield* Effect.forkChild(withPlace("a", second)(probe(10)))
      yield* TestClock.adjust("10 millis")
      assert.isDefined(third.pollUnsafe())
    })
  )
})
