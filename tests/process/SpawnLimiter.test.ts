import { assert, describe, it } from "@effect/vitest"
import { Process } from "@restream/core"
import { Deferred, Effect, Fiber } from "effect"

const { SpawnLimiter } = Process.SpawnLimiter

describe("SpawnLimiter", () => {
  it.effect("lets one start at a time, in the order of their coming", () =>
    Effect.gen(function* () {
      const limiter = Process.SpawnLimiter.make()
      const log: Array<string> = []
      const start = (name: string) =>
        limiter.withPermit(
          Effect.gen(function* () {
            log.push(`${name} in`)
            yield* Effect.yieldNow
            log.push(`${name} out`)
          })
        )
      yield* Effect.all([start("a"), start("b"), start("c")], { concurrency: "unbounded" })
      assert.deepStrictEqual(log, ["a in", "a out", "b in", "b out", "c in", "c out"])
    })
  )

  it.live("runs an iteration of the event loop between two starts", () =>
    Effect.gen(function* () {
      const limiter = Process.SpawnLimiter.make()
      let turns = 0
      const seen: Array<number> = []
      const turn = () => {
        turns++
        timer = setImmediate(turn)
      }
      let timer = setImmediate(turn)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearImmediate(timer)))
      const start = limiter.withPermit(Effect.sync(() => void seen.push(turns)))
      yield* Effect.all([start, start, start, start], { concurrency: "unbounded" })
      assert.lengthOf(new Set(seen), 4)
    })
  )

  it.effect("lets the next one in when a start fails or dies", () =>
    Effect.gen(function* () {
      const limiter = Process.SpawnLimiter.make()
      yield* Effect.exit(limiter.withPermit(Effect.fail("no")))
      yield* Effect.exit(limiter.withPermit(Effect.die("no")))
      assert.strictEqual(yield* limiter.withPermit(Effect.succeed("in")), "in")
    })
  )

  it.effect("can be left by who waits", () =>
    Effect.gen(function* () {
      const limiter = Process.SpawnLimiter.make()
      const entered = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        limiter.withPermit(Effect.andThen(Deferred.succeed(entered, undefined), Effect.never))
      )
      yield* Deferred.await(entered)
      const second = yield* Effect.forkChild(limiter.withPermit(Effect.void))
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      yield* limiter.withPermit(Effect.void)
    })
  )

  it.effect("is one for the whole process", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* SpawnLimiter, yield* SpawnLimiter)
    })
  )
})
