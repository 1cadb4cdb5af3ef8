import { assert, describe, it } from "@effect/vitest"
import { StallWatch } from "@restream/core"
import { Clock, Effect, type Fiber } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"

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

  it.effect("reports that no media arrived at all", () =>
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

  it.effect("reports no stall where a suspension begins after the sockets were read", () =>
    Effect.gen(function* () {
      // the process is suspended between the wake-up and the next look, then the packets are read
      const silences = [100, 5000, 0]
      const stalled = yield* Effect.forkChild(
        StallWatch.awaitStall({
          silentMs: () => silences.shift() ?? 0,
          timeoutMs: () => 2000,
          longestSleepMs: 2000
        })
      )
      yield* TestClock.adjust("1900 millis")
      assert.isFalse(isDone(stalled))
      assert.isEmpty(silences)
    })
  )

  it.live("reports no stall after a suspension of the process", () =>
    Effect.gen(function* () {
      // what it sends comes on while we stand still
      const camera = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(
            process.execPath,
            ["-e", "setInterval(() => process.stdout.write('packet'), 20).ref()"],
            { stdio: ["ignore", "pipe", "inherit"] }
          )
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      yield* Effect.promise(() => once(camera.stdout, "data"))
      const watch = yield* StallWatch.make({ timeout: "2 seconds" })
      camera.stdout.on("data", watch.advance)
      const stalled = yield* Effect.forkChild(watch.stalled)
      yield* Effect.sleep("100 millis")
      // as anything does that holds the thread: between two sockets, with the timers behind it
      yield* Effect.callback<void>((resume) => {
        camera.stdout.once("data", () => {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500)
          resume(Effect.void)
        })
      })
      yield* Effect.sleep("200 millis")
      assert.isFalse(isDone(stalled))

      camera.kill("SIGSTOP")
      yield* watch.stalled
    })
  )
})
