import { assert, describe, it } from "@effect/vitest"
import { StallWatch } from "@restream/core"
import { Clock, Effect, type Fiber } from "effect"
import { TestClock } from "effect/testing"

const isDone = (fiber: Fiber.Fiber<unknown, unknown>) => fiber.pollUnsafe() !== undefined

describe("StallWatch", () => {
  it.effect("sees a stall after its time-out, and not a millisecond before", () =>
    Effect.gen(function* () {
      const watch = yield* StallWatch.make({ timeout: "10 seconds" })
      const stalled = yield* Effect.forkChild(watch.stalled)
      yield* TestClock.adjust("9999 millis")
      assert.isFalse(isDone(stalled))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isDone(stalled))
    })
  )

  it.effect("counts from the last advance", () =>
    Effect.gen(function* () {
      const watch = yield* StallWatch.make({ timeout: "10 seconds" })
      const stalled = yield* Effect.forkChild(watch.stalled)
      for (let second = 0; second < 60; second += 7) {
        yield* TestClock.adjust("7 seconds")
        watch.advance()
      }
      assert.strictEqual(watch.silentMs(), 0)
      yield* TestClock.adjust("9999 millis")
      assert.isFalse(isDone(stalled))
      assert.strictEqual(watch.silentMs(), 9999)
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isDone(stalled))
    })
  )

  it.effect("gives the first advance more time, and only that", () =>
    Effect.gen(function* () {
      const watch = yield* StallWatch.make({ timeout: "10 seconds", startTimeout: "30 seconds" })
      const stalled = yield* Effect.forkChild(watch.stalled)
      yield* TestClock.adjust("2 seconds")
      assert.isFalse(watch.hasAdvanced())
      watch.advance()
      assert.isTrue(watch.hasAdvanced())
      yield* TestClock.adjust("9999 millis")
      assert.isFalse(isDone(stalled))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isDone(stalled))
    })
  )

  it.effect("sees that nothing ever came", () =>
    Effect.gen(function* () {
      const watch = yield* StallWatch.make({ timeout: "10 seconds", startTimeout: "30 seconds" })
      const stalled = yield* Effect.forkChild(watch.stalled)
      yield* TestClock.adjust("29999 millis")
      assert.isFalse(isDone(stalled))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isDone(stalled))
    })
  )

  it.effect("wakes once per time-out, however often media advance", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting: Clock.Clock = {
        ...clock,
        sleep: (duration) => {
          sleeps++
          return clock.sleep(duration)
        }
      }
      const watch = yield* StallWatch.make({ timeout: "10 seconds" })
      yield* Effect.forkChild(Effect.provideService(watch.stalled, Clock.Clock, counting))
      for (let tick = 0; tick < 1000; tick++) {
        yield* TestClock.adjust("100 millis")
        watch.advance()
      }
      assert.isAbove(sleeps, 5)
      assert.isAtMost(sleeps, 11)
    })
  )
})
