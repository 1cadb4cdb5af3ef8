import { assert, describe, it } from "@effect/vitest"
import { Deadline } from "@restream/core"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { standStill } from "../support/StandStill.ts"

const late = (afterMs: number) => Effect.succeed(`late after ${afterMs} ms`)

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
      let wasInterrupted = false
      const waiting = yield* Effect.never.pipe(
        Effect.onInterrupt(() => Effect.sync(() => (wasInterrupted = true))),
        Deadline.within("1 second", late),
        Effect.forkChild
      )
      yield* TestClock.adjust(999)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(waiting), "late after 1000 ms")
      assert.isTrue(wasInterrupted)
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
