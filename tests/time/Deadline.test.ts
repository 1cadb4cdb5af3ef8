import { assert, describe, it } from "@effect/vitest"
import { Deadline } from "@restream/core"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { blockEventLoop } from "../kit/EventLoop.ts"

const onTimeout = (afterMs: number) => Effect.succeed(`timed out after ${afterMs} ms`)

/** An effect that never ends, with a deadline of one second; records whether the effect was interrupted. */
const neverEnds = Effect.gen(function* () {
  const seen = { wasInterrupted: false }
  const waiting = yield* Effect.never.pipe(
    Effect.onInterrupt(() => Effect.sync(() => (seen.wasInterrupted = true))),
    Deadline.within("1 second", onTimeout),
    Effect.forkChild
  )
  return { seen, waiting }
})

/** Waits for a callback by the deadline's clock. */
const callBackAfter = (deadline: Deadline.Deadline, afterMs: number) =>
  Deadline.callback(
    deadline,
    (resume: (answer: Effect.Effect<string>) => void) => {
      const fiber = Effect.runFork(
        Effect.provideService(Effect.sleep(afterMs), Clock.Clock, deadline.clock)
      )
      fiber.addObserver((exit) => Exit.isSuccess(exit) && resume(Effect.succeed("in time")))
      return Effect.asVoid(Fiber.interrupt(fiber))
    },
    onTimeout
  )

/** Asserts that a wait times out after a time, and not before. */
const assertTimesOutAfter = (waiting: Fiber.Fiber<string>, ms: number) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(ms - 1)
    assert.isUndefined(waiting.pollUnsafe())
    yield* TestClock.adjust(1)
    assert.strictEqual(yield* Fiber.join(waiting), "timed out after 1000 ms")
  })

describe("Deadline", () => {
  it.effect("succeeds with a result that arrives in time", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.as(Effect.sleep(999), "in time").pipe(
        Deadline.within("1 second", onTimeout),
        Effect.forkChild
      )
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* Fiber.join(waiting), "in time")
    })
  )

  it.effect("interrupts the effect at the deadline, and not before", () =>
    Effect.gen(function* () {
      const { seen, waiting } = yield* neverEnds
      yield* assertTimesOutAfter(waiting, 1000)
      assert.isTrue(seen.wasInterrupted)
    })
  )

  it.effect("keeps many concurrent deadlines apart", () =>
    Effect.gen(function* () {
      const startedAt = [0, 0, 100, 100, 350, 800, 2_500, 2_500, 9_000, 40_000]
      const times = [1_000, 400, 10_000, 30, 30_000, 200, 1_000, 5, 1_000, 3]
      const ended: Array<readonly [index: number, at: number, what: string]> = []
      yield* Effect.forEach(
        times,
        (time, index) =>
          Effect.gen(function* () {
            yield* Effect.sleep(startedAt[index]!)
            // every third responds after half of its time
            const answer = index % 3 === 0 ? Effect.sleep(time / 2) : Effect.never
            const what = yield* Effect.as(answer, "in time").pipe(Deadline.within(time, onTimeout))
            ended.push([index, yield* Clock.currentTimeMillis, what])
          }),
        { concurrency: "unbounded", discard: true }
      ).pipe(Effect.forkChild)
      for (let step = 0; step < 1_000; step++) yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(
        ended.sort(([a], [b]) => a - b),
        times.map((time, index) => {
          const begun = startedAt[index]!
          return index % 3 === 0
            ? [index, begun + time / 2, "in time"]
            : [index, begun + time, `timed out after ${time} ms`]
        })
      )
    })
  )

  it.effect("watches again after the last wait timed out", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 3; round++) {
        const waiting = yield* Effect.never.pipe(
          Deadline.within("1 second", onTimeout),
          Effect.forkChild
        )
        yield* TestClock.adjust(1000)
        assert.strictEqual(yield* Fiber.join(waiting), "timed out after 1000 ms")
        yield* TestClock.adjust("1 minute")
      }
    })
  )

  it.effect("interrupts the effect when it is interrupted itself", () =>
    Effect.gen(function* () {
      const { seen, waiting } = yield* neverEnds
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(waiting)
      assert.isTrue(seen.wasInterrupted)
    })
  )

  it.effect("never times out if the time is infinite", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.never.pipe(
        Deadline.within(Duration.infinity, onTimeout),
        Effect.forkChild
      )
      yield* TestClock.adjust("1000 days")
      assert.isUndefined(waiting.pollUnsafe())
    })
  )

  it.effect("covers several waits, one after the other, and reports the whole time", () =>
    Effect.gen(function* () {
      const deadline = yield* Deadline.make("1 second")
      const waiting = yield* callBackAfter(deadline, 600).pipe(
        Effect.andThen(callBackAfter(deadline, 600)),
        Effect.forkChild
      )
      yield* assertTimesOutAfter(waiting, 1000)
    })
  )

  it.live("times out wherever the waiting fiber yields to others", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      // a fiber yields after 2048 steps: one of these yields at each step of the wait
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, index) => 1960 + index),
        (steps) =>
          Effect.gen(function* () {
            for (let step = 0; step < steps; step++) yield* Effect.sync(() => {})
            return yield* Deadline.use("50 millis", (deadline) =>
              Deadline.callback(deadline, () => {}, onTimeout)
            )
          }).pipe(
            // a clock of its own, so that no other wait keeps the watcher running
            Effect.provideService(Clock.Clock, Object.create(clock) as Clock.Clock),
            Effect.timeoutOption("2 seconds"),
            Effect.map((outcome) => ({ steps, isStuck: outcome._tag === "None" }))
          ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        outcomes.filter(({ isStuck }) => isStuck),
        []
      )
    })
  )

  it.effect("has no time left after its end, and all of its time before the first wait", () =>
    Effect.gen(function* () {
      const deadline = yield* Deadline.make("1 second")
      yield* TestClock.adjust("1 minute")
      for (const waitMs of [1000, 0]) {
        const waiting = yield* Effect.forkChild(callBackAfter(deadline, 5000))
        yield* assertTimesOutAfter(waiting, waitMs)
      }
    })
  )

  it.effect("charges an outer deadline, which may end first", () =>
    Effect.gen(function* () {
      const outer = yield* Deadline.make("1 second")
      const inner = Deadline.use("700 millis", (deadline) => callBackAfter(deadline, 600), outer)
      const waiting = yield* Effect.forkChild(Effect.all([inner, inner, callBackAfter(outer, 1)]))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), [
        "in time",
        "timed out after 1000 ms",
        "timed out after 1000 ms"
      ])
      const infinite = Deadline.use(
        Duration.infinity,
        (deadline) => callBackAfter(deadline, 1500),
        yield* Deadline.make("1 second")
      )
      const last = yield* Effect.forkChild(infinite)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(last), "timed out after 1000 ms")
    })
  )

  for (const [end, how] of [
    ["times out", TestClock.adjust("1 second")],
    ["is interrupted", Effect.void]
  ] as const) {
    it.effect(`runs the finalizer of a callback that ${end}, once`, () =>
      Effect.gen(function* () {
        let finalized = 0
        const waiting = yield* Effect.forkChild(
          Deadline.callback(
            yield* Deadline.make("1 second"),
            () => Effect.sync(() => finalized++),
            onTimeout
          )
        )
        yield* TestClock.adjust(0)
        assert.strictEqual(finalized, 0)
        yield* how
        yield* Fiber.interrupt(waiting)
        assert.strictEqual(finalized, 1)
      })
    )
  }

  it.live("ignores a suspension during a callback and between two callbacks", () =>
    Effect.gen(function* () {
      const deadline = yield* Deadline.make("480 millis")
      const suspension = yield* Effect.forkChild(Effect.delay(blockEventLoop(1500), 20))
      assert.strictEqual(yield* callBackAfter(deadline, 100), "in time")
      yield* Fiber.join(suspension)
      yield* blockEventLoop(1000)
      assert.strictEqual(yield* callBackAfter(deadline, 100), "in time")
    })
  )

  for (const beforeMs of [20, 1500]) {
    it.live(`ignores a suspension that begins after ${beforeMs} of 2000 ms`, () =>
      Effect.gen(function* () {
        const answer = Effect.sleep(beforeMs).pipe(
          Effect.andThen(blockEventLoop(2500)),
          // two more sleeps: one turn of the event loop would not be enough
          Effect.andThen(Effect.sleep(30)),
          Effect.andThen(Effect.sleep(30)),
          Effect.as("in time")
        )
        assert.strictEqual(yield* Deadline.within("2 seconds", onTimeout)(answer), "in time")
      })
    )
  }

  it.live("times out in a process that is suspended again and again", () =>
    Effect.gen(function* () {
      const waiting = Effect.forever(Effect.delay(blockEventLoop(200), 1))
      assert.strictEqual(
        yield* Deadline.within("40 millis", onTimeout)(waiting),
        "timed out after 40 ms"
      )
    })
  )
})
