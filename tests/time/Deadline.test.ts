import { assert, describe, it } from "@effect/vitest"
import { Deadline } from "@restream/core"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
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

/** Waits by a callback, which the clock calls. */
const callBack = (deadline: Deadline.Deadline, afterMs: number) =>
  Deadline.callback(
    deadline,
    (resume: (answer: Effect.Effect<string>) => void) => {
      const fiber = Effect.runFork(
        Effect.provideService(Effect.sleep(afterMs), Clock.Clock, deadline.clock)
      )
      fiber.addObserver((exit) => Exit.isSuccess(exit) && resume(Effect.succeed("in time")))
      return Effect.asVoid(Fiber.interrupt(fiber))
    },
    late
  )

/** Holds that a wait of a time ends late, at its end and not before. */
const holdsUntil = (waiting: Fiber.Fiber<string>, ms: number) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(ms - 1)
    assert.isUndefined(waiting.pollUnsafe())
    yield* TestClock.adjust(1)
    assert.strictEqual(yield* Fiber.join(waiting), "late after 1000 ms")
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
      yield* holdsUntil(waiting, 1000)
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

  it.effect("holds for several waits in turn, and tells the whole time", () =>
    Effect.gen(function* () {
      const deadline = yield* Deadline.make("1 second")
      const waiting = yield* callBack(deadline, 600).pipe(
        Effect.andThen(callBack(deadline, 600)),
        Effect.forkChild
      )
      yield* holdsUntil(waiting, 1000)
    })
  )

  it.effect("has nothing left after its end, and all of it before its first wait", () =>
    Effect.gen(function* () {
      const deadline = yield* Deadline.make("1 second")
      yield* TestClock.adjust("1 minute")
      for (const waitMs of [1000, 0]) {
        const waiting = yield* Effect.forkChild(callBack(deadline, 5000))
        yield* holdsUntil(waiting, waitMs)
      }
    })
  )

  it.effect("counts for an outer one, which may be over before", () =>
    Effect.gen(function* () {
      const outer = yield* Deadline.make("1 second")
      const inner = Deadline.use("700 millis", (deadline) => callBack(deadline, 600), outer)
      const waiting = yield* Effect.forkChild(Effect.all([inner, inner, callBack(outer, 1)]))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), [
        "in time",
        "late after 1000 ms",
        "late after 1000 ms"
      ])
      const infinite = Deadline.use(
        Duration.infinity,
        (deadline) => callBack(deadline, 1500),
        yield* Deadline.make("1 second")
      )
      const last = yield* Effect.forkChild(infinite)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(last), "late after 1000 ms")
    })
  )

  for (const [end, how] of [
    ["is late", TestClock.adjust("1 second")],
    ["is interrupted", Effect.void]
  ] as const) {
    it.effect(`gives up a callback that ${end}, once`, () =>
      Effect.gen(function* () {
        let gaveUp = 0
        const waiting = yield* Effect.forkChild(
          Deadline.callback(
            yield* Deadline.make("1 second"),
            () => Effect.sync(() => gaveUp++),
            late
          )
        )
        yield* TestClock.adjust(0)
        assert.strictEqual(gaveUp, 0)
        yield* how
        yield* Fiber.interrupt(waiting)
        assert.strictEqual(gaveUp, 1)
      })
    )
  }

  it.live("counts no standstill during a callback, nor between two", () =>
    Effect.gen(function* () {
      const deadline = yield* Deadline.make("480 millis")
      const standing = yield* Effect.forkChild(Effect.delay(standStill(1500), 20))
      assert.strictEqual(yield* callBack(deadline, 100), "in time")
      yield* Fiber.join(standing)
      yield* standStill(1000)
      assert.strictEqual(yield* callBack(deadline, 100), "in time")
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
