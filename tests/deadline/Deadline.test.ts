import { assert, describe, it } from "@effect/vitest"
import { Deadline } from "@restream/core"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { standStill } from "../support/StandStill.ts"

const late = (afterMs: number) => Effect.succeed(`late after ${afterMs} ms`)

/** Waits in vain, a second at most, and keeps in mind whether what it waits for was interrupted. */
const waitInVain = Effect.gen(function* () {
  const seen = { wasInterrupted: false }
  const waiting = yield* Effect.never.pipe(
    Effect.onInterrupt(() => Effect.sync(() => (seen.wasInterrupted = true))),
    Deadline.within("1 second", late),
    Effect.forkChild
  )
  return { seen, waiting }
})

describe("Deadline", () => {
  it.effect("gives what came in time", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.as(Effect.sleep(999), "in time").pipe(
        Deadline.within("1 second", late),
        Effect.forkChild
      )
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* Fiber.join(waiting), "in time")
    })
  )

  it.effect("interrupts what is late, at the time and not before", () =>
    Effect.gen(function* () {
      const { seen, waiting } = yield* waitInVain
      yield* TestClock.adjust(999)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(waiting), "late after 1000 ms")
      assert.isTrue(seen.wasInterrupted)
    })
  )

  it.effect("keeps many at once apart, whichever is the first to end", () =>
    Effect.gen(function* () {
      const startedAt = [0, 0, 100, 100, 350, 800, 2_500, 2_500, 9_000, 40_000]
      const times = [1_000, 400, 10_000, 30, 30_000, 200, 1_000, 5, 1_000, 3]
      const ended: Array<readonly [index: number, at: number, what: string]> = []
      yield* Effect.forEach(
        times,
        (time, index) =>
          Effect.gen(function* () {
            yield* Effect.sleep(startedAt[index]!)
            // every third answers when half of its time is over
            const answer = index % 3 === 0 ? Effect.sleep(time / 2) : Effect.never
            const what = yield* Effect.as(answer, "in time").pipe(Deadline.within(time, late))
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
            : [index, begun + time, `late after ${time} ms`]
        })
      )
    })
  )

  it.effect("watches again after the last of several was late", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 3; round++) {
        const waiting = yield* Effect.never.pipe(
          Deadline.within("1 second", late),
          Effect.forkChild
        )
        yield* TestClock.adjust(1000)
        assert.strictEqual(yield* Fiber.join(waiting), "late after 1000 ms")
        yield* TestClock.adjust("1 minute")
      }
    })
  )

  it.effect("ends what it waits for when it is interrupted itself", () =>
    Effect.gen(function* () {
      const { seen, waiting } = yield* waitInVain
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(waiting)
      assert.isTrue(seen.wasInterrupted)
    })
  )

  it.effect("waits for ever where the time is infinite", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.never.pipe(
        Deadline.within(Duration.infinity, late),
        Effect.forkChild
      )
      yield* TestClock.adjust("1000 days")
      assert.isUndefined(waiting.pollUnsafe())
    })
  )

  for (const beforeMs of [20, 380]) {
    it.live(`counts no standstill that begins ${beforeMs} ms after it`, () =>
      Effect.gen(function* () {
        const answer = Effect.sleep(beforeMs).pipe(
          Effect.andThen(standStill(1500)),
          // several steps are left: one round of the event loop would not be enough
          Effect.andThen(Effect.sleep(30)),
          Effect.andThen(Effect.sleep(30)),
          Effect.as("in time")
        )
        assert.strictEqual(yield* Deadline.within("480 millis", late)(answer), "in time")
      })
    )
  }

  it.live("ends the wait of a process that stands still again and again", () =>
    Effect.gen(function* () {
      const waiting = Effect.forever(Effect.delay(standStill(200), 1))
      assert.strictEqual(yield* Deadline.within("40 millis", late)(waiting), "late after 40 ms")
    })
  )
})
