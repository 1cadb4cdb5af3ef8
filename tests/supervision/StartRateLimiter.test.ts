import { assert, describe, it } from "@effect/vitest"
import { StartRateLimiter } from "@restream/core"
import { Clock, Duration, Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
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

  it.effect("makes up for no more than four starts, however late a timer was", () => {
    /** When six starts came that were due every 100 ms, where the first timer is late. */
    const startsAfter = (lateMs: number) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        let sleeps = 0
        const late: Clock.Clock = Object.assign(Object.create(clock), {
          sleep: (duration: Duration.Duration) =>
            clock.sleep(sleeps++ === 0 ? Duration.sum(duration, Duration.millis(lateMs)) : duration)
        })
        const limiter = StartRateLimiter.make("100 millis")
        const starts: Array<number> = []
        yield* Effect.forkScoped(
          Effect.forEach(
            Array.from({ length: 6 }),
            () =>
              Effect.andThen(
                limiter.acquire,
                Effect.map(Clock.currentTimeMillis, (at) => starts.push(at))
              ),
            { concurrency: "unbounded" }
          ).pipe(Effect.provideService(Clock.Clock, late))
        )
        yield* TestClock.adjust("5 seconds")
        return starts
      }).pipe(
        Effect.scoped,
        Effect.provide(TestClock.layer()),
        Effect.provideService(Random.Random, {
          nextIntUnsafe: () => 0,
          nextDoubleUnsafe: () => 0.5
        })
      )
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* startsAfter(0), [0, 100, 200, 300, 400, 500])
      assert.deepStrictEqual(yield* startsAfter(250), [0, 350, 350, 350, 400, 500])
      assert.deepStrictEqual(yield* startsAfter(1000), [0, 1100, 1200, 1300, 1400, 1500])
    })
  })

  it.effect("keeps the gaps after a time in which nobody asked", () =>
    Effect.gen(function* () {
      const limiter = StartRateLimiter.make("100 millis")
      yield* limiter.acquire
      yield* TestClock.adjust("390 millis")
      const starts: Array<number> = []
      yield* Effect.forkChild(
        Effect.repeat(
          Effect.andThen(
            limiter.acquire,
            Effect.map(Clock.currentTimeMillis, (at) => starts.push(at))
          ),
          { times: 3 }
        )
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(starts[0], 390)
      const gaps = starts.slice(1).map((at, index) => at - starts[index]!)
      assert.lengthOf(gaps, 3)
      assert.isAtLeast(Math.min(...gaps), 50)
    })
  )

  it.effect("keeps the gap after a start that replaced an interrupted one", () => {
    const drawn = [0.5, 1, 0, 0, 0]
    const random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => drawn.shift() ?? 0 }
    return Effect.gen(function* () {
      const limiter = StartRateLimiter.make("100 millis")
      const starts: Array<number> = []
      const asking = yield* Effect.forEach([1, 2, 3, 4], () =>
        Effect.forkChild(
          Effect.andThen(
            limiter.acquire,
            Effect.map(Clock.currentTimeMillis, (at) => starts.push(at))
          )
        )
      )
      // the second would start at 150, and the third at 50 in its place
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(asking[1]!)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(starts, [0, 100, 150])
    }).pipe(Effect.provideService(Random.Random, random))
  })

  it.effect("reserves no time for callers that were interrupted while they waited", () =>
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

  const anyEvent = fc.oneof(
    fc.record({ _tag: fc.constant("Asks"), times: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ _tag: fc.constant("Leaves"), who: fc.nat() }),
    fc.record({ _tag: fc.constant("Passes"), ms: fc.constantFrom(0, 1, 40, 100, 260, 1000) })
  )

  it("starts all that still wait in order, one gap after another, in any order of interruptions", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(anyEvent, { maxLength: 40 }),
        fc.constantFrom(0, 100),
        (events, spacingMs) =>
          Effect.gen(function* () {
            const limiter = StartRateLimiter.make(spacingMs)
            const starts: Array<{ readonly n: number; readonly at: number }> = []
            const waiting: Array<{ readonly n: number; readonly fiber: Fiber.Fiber<unknown> }> = []
            const left = new Set<number>()
            let asked = 0
            for (const event of events) {
              switch (event._tag) {
                case "Asks":
                  for (let time = 0; time < event.times; time++) {
                    const n = asked++
                    const start = Effect.andThen(
                      limiter.acquire,
                      Effect.map(Clock.currentTimeMillis, (at) => starts.push({ n, at }))
                    )
                    waiting.push({ n, fiber: yield* Effect.forkScoped(start) })
                  }
                  // in the order in which they ask
                  yield* TestClock.adjust(0)
                  break
                case "Leaves": {
                  const one = waiting[event.who % waiting.length]
                  if (one === undefined || one.fiber.pollUnsafe() !== undefined) break
                  yield* Fiber.interrupt(one.fiber)
                  left.add(one.n)
                  break
                }
                case "Passes":
                  yield* TestClock.adjust(event.ms)
              }
            }
            yield* TestClock.adjust(1.5 * spacingMs * (asked + 1))
            const expected = Array.from({ length: asked }, (_, n) => n).filter((n) => !left.has(n))
            assert.deepStrictEqual(
              starts.map(({ n }) => n),
              expected
            )
            for (const [index, { at }] of starts.slice(1).entries()) {
              assert.isAtLeast(at - starts[index]!.at, Math.floor(spacingMs / 2))
            }
            // and after a time without any, the next one starts at once
            yield* TestClock.adjust(2 * spacingMs)
            const next = yield* Effect.forkScoped(limiter.acquire)
            yield* TestClock.adjust(0)
            assert.isDefined(next.pollUnsafe())
          }).pipe(Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise)
      ),
      { numRuns: Number(process.env["INTERLEAVINGS"] ?? 200) }
    ))
})
