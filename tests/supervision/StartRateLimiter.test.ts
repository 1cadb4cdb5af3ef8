import { assert, describe, it } from "@effect/vitest"
import { StartRateLimiter } from "@restream/core"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { blockEventLoop } from "../kit/EventLoop.ts"

describe("StartRateLimiter", () => {
  it.effect("lets the first start at once, and the others in order, one gap after another", () =>
    Effect.gen(function* () {
      const pacing = StartRateLimiter.make("100 millis")
      const starts: Array<{ readonly n: number; readonly at: number }> = []
      yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 20 }, (_, n) => n),
          (n) =>
            Effect.andThen(
              pacing.acquire,
              Effect.map(Clock.currentTimeMillis, (at) => starts.push({ n, at }))
            ),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(
        starts.map(({ n }) => n),
        Array.from({ length: 20 }, (_, n) => n)
      )
      assert.strictEqual(starts[0]?.at, 0)
      for (const [index, { at }] of starts.slice(1).entries()) {
        const gap = at - starts[index]!.at
        assert.isAtLeast(gap, 49)
        assert.isAtMost(gap, 151)
      }
    })
  )

  it.live("makes up for timers that come late, a few starts at a time", () =>
    Effect.gen(function* () {
      const pacing = StartRateLimiter.make("10 millis")
      let blocks = 0
      const busy = yield* blockEventLoop(30).pipe(
        Effect.andThen(Effect.sync(() => blocks++)),
        Effect.andThen(Effect.sleep("1 millis")),
        Effect.forever,
        Effect.forkChild
      )
      yield* Effect.repeat(pacing.acquire, { times: 39 })
      yield* Fiber.interrupt(busy)
      // one before each start otherwise, where three gaps fall into each
      assert.isBelow(blocks, 30)
    })
  )

  it.effect("keeps no time for those who were interrupted before their turn", () =>
    Effect.gen(function* () {
      const pacing = StartRateLimiter.make("10 millis")
      for (let round = 0; round < 10; round++) {
        const waiting = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 1000 }), () => pacing.acquire, {
            concurrency: "unbounded"
          })
        )
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(waiting)
      }
      const next = yield* Effect.forkChild(pacing.acquire)
      yield* TestClock.adjust("15 millis")
      assert.isDefined(next.pollUnsafe())
    })
  )
})
