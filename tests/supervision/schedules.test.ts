import { assert, describe, it } from "@effect/vitest"
import { Reason, RestartSchedule, RetrySchedule } from "@restream/core"
import { Duration, Effect, Random } from "effect"
import * as fc from "fast-check"
import { options } from "../kit/Tree.ts"

const refused = { reason: new Reason.Refused({ authority: "10.0.0.1:554" }) }

/** The delays, in seconds, that a schedule gives for a row of inputs. */
const delays = <Input>(schedule: RetrySchedule.Delays<Input>, inputs: ReadonlyArray<Input>) =>
  Effect.flatMap(schedule, (next) =>
    Effect.forEach(inputs, (input) => Effect.map(next(input), Duration.toSeconds))
  )

/** Random numbers that the test chooses; the last one repeats. */
const drawing = (...numbers: ReadonlyArray<number>) => {
  let drawn = 0
  return {
    nextIntUnsafe: () => 0,
    nextDoubleUnsafe: () => numbers[Math.min(drawn++, numbers.length - 1)] ?? 0
  }
}

/** Seconds to the millisecond. */
const rounded = (seconds: ReadonlyArray<number>) =>
  seconds.map((value) => Math.round(value * 1000) / 1000)

const life = (seconds: number, afterOutage = false): RestartSchedule.RelayEnd => ({
  reason: new Reason.Exited({ status: 1, lastWords: "" }),
  uptime: Duration.seconds(seconds),
  afterOutage
})

describe("RetrySchedule", () => {
  it.effect("shortens and lengthens each delay by its jitter", () =>
    Effect.gen(function* () {
      const schedule = RetrySchedule.make(Effect.succeed({ ...options.retry, jitter: 0.1 }))
      const failures = Array.from({ length: 8 }, () => refused)
      const at = (random: number) =>
        Effect.provideService(delays(schedule, failures), Random.Random, drawing(random))
      const plain = [1, 2, 4, 8, 16, 30, 30, 30]
      const scaled = (factor: number) => plain.map((seconds) => seconds * factor)
      assert.deepStrictEqual(rounded(yield* at(0)), rounded(scaled(0.9)))
      assert.deepStrictEqual(rounded(yield* at(0.25)), rounded(scaled(0.95)))
      assert.deepStrictEqual(rounded(yield* at(0.5)), plain)
      assert.deepStrictEqual(rounded(yield* at(1)), rounded(scaled(1.1)))
    })
  )

  it.effect("draws a random number for each delay", () =>
    Effect.gen(function* () {
      const schedule = RetrySchedule.make(Effect.succeed({ ...options.retry, jitter: 0.5 }))
      const given = yield* Effect.provideService(
        delays(schedule, [refused, refused, refused]),
        Random.Random,
        drawing(0, 1, 0.5)
      )
      assert.deepStrictEqual(rounded(given), [0.5, 3, 4])
    })
  )

  it.effect("adds no jitter to the slow paces", () =>
    Effect.gen(function* () {
      const schedule = RetrySchedule.make(Effect.succeed({ ...options.retry, jitter: 0.5 }))
      const given = yield* Effect.provideService(
        delays(schedule, [
          { reason: new Reason.Unauthorized({ credentials: "wrong" }) },
          { reason: new Reason.ServerRejected({ status: 400, detail: "" }) }
        ]),
        Random.Random,
        drawing(0)
      )
      assert.deepStrictEqual(given, [300, 30])
    })
  )

  it.effect("gives a wrong password its own pace", () =>
    Effect.gen(function* () {
      const unauthorized = { reason: new Reason.Unauthorized({ credentials: "wrong" }) }
      const given = yield* delays(RetrySchedule.make(Effect.succeed(options.retry)), [
        refused,
        unauthorized,
        refused
      ])
      assert.deepStrictEqual(given, [1, 300, 4])
    })
  )
})

describe("RestartSchedule", () => {
  const restart = RestartSchedule.make(Effect.succeed(options.restart))

  it.effect("stays at 5 s for lives of 10 s and more, however many", () =>
    Effect.gen(function* () {
      const given = yield* delays(
        restart,
        Array.from({ length: 20 }, () => life(10))
      )
      assert.deepStrictEqual(new Set(given), new Set([5]))
    })
  )

  it.effect("doubles from the fifth short life in a row on, up to 60 s", () =>
    Effect.gen(function* () {
      const given = yield* delays(
        restart,
        Array.from({ length: 9 }, () => life(2))
      )
      assert.deepStrictEqual(given, [5, 5, 5, 5, 10, 20, 40, 60, 60])
    })
  )

  it.effect("starts a new series of delays after an uptime of 10 s", () =>
    Effect.gen(function* () {
      const given = yield* delays(
        restart,
        [2, 2, 2, 2, 12, 2, 2, 2, 2, 2].map((s) => life(s))
      )
      assert.deepStrictEqual(given, [5, 5, 5, 5, 5, 5, 5, 5, 5, 10])
    })
  )

  it.effect("once slowed down, comes back only after 60 s of health", () =>
    Effect.gen(function* () {
      const given = yield* delays(
        restart,
        [2, 2, 2, 2, 2, 2, 30, 59, 60, 2].map((s) => life(s))
      )
      assert.deepStrictEqual(given, [5, 5, 5, 5, 10, 20, 20, 20, 5, 5])
    })
  )

  it.effect("stays at 5 s for ever where the backoff is switched off", () =>
    Effect.gen(function* () {
      const constant = RestartSchedule.make(Effect.succeed({ ...options.restart, backoff: false }))
      const given = yield* delays(
        constant,
        Array.from({ length: 50 }, () => life(0))
      )
      assert.deepStrictEqual(new Set(given), new Set([5]))
    })
  )

  it.effect("never exceeds the slowest, nor falls below the delay", () =>
    Effect.sync(() =>
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.boolean()), { maxLength: 100 }),
          (lives) => {
            const given = Effect.runSync(
              delays(
                restart,
                lives.map(([seconds, afterOutage]) => life(seconds, afterOutage))
              )
            )
            assert.isTrue(given.every((delay) => delay >= 5 && delay <= 60))
          }
        )
      )
    )
  )

  it.effect("counts no flap against a camera that waited for the media server before it", () =>
    Effect.gen(function* () {
      const row = [
        [2, false, 5],
        [2, false, 5],
        [2, false, 5],
        [2, false, 5],
        // the outage forgives the flap before it, and this end counts again
        [2, true, 5],
        [2, true, 5],
        [2, true, 5],
        [2, false, 10],
        [2, false, 20],
        // once slowed down: an outage does not slow it down further
        [2, true, 20],
        [2, true, 20],
        [2, false, 40],
        // a longer uptime behind an outage ends the row only below the threshold
        [30, true, 20],
        [2, false, 40],
        [60, true, 5],
        [2, true, 5]
      ] as const
      assert.deepStrictEqual(
        yield* delays(
          restart,
          row.map(([seconds, afterOutage]) => life(seconds, afterOutage))
        ),
        row.map(([, , delay]) => delay)
      )
    })
  )

  it.effect("never slows down a camera whose every relay follows an outage", () =>
    Effect.sync(() =>
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 50 }), (lives) => {
          const given = Effect.runSync(
            delays(
              restart,
              lives.map((seconds) => life(seconds, true))
            )
          )
          assert.isTrue(given.every((delay) => delay === 5))
        })
      )
    )
  )

  it.effect("keeps a delay that is set beyond the slowest", () =>
    Effect.gen(function* () {
      const slow = RestartSchedule.make(
        Effect.succeed({ ...options.restart, delay: Duration.minutes(2) })
      )
      assert.deepStrictEqual(yield* delays(slow, [life(0), life(0)]), [120, 120])
    })
  )

  it.effect("waits 5 s after the first replacement by another publisher, and 30 s in a fight", () =>
    Effect.gen(function* () {
      const replaced = (seconds: number): RestartSchedule.RelayEnd => ({
        reason: new Reason.PublisherReplaced(),
        uptime: Duration.seconds(seconds),
        afterOutage: false
      })
      const given = yield* delays(restart, [
        ...[2, 2, 59, 60, 3].map(replaced),
        // a failure of another kind does not end the fight, a minute of uptime does
        life(20),
        replaced(2),
        life(60),
        replaced(2)
      ])
      assert.deepStrictEqual(given, [5, 30, 30, 5, 30, 5, 30, 5, 5])
    })
  )
})
