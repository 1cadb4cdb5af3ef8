import { assert, describe, it } from "@effect/vitest"
import { Process } from "@restream/core"
import { Deferred, Effect, Fiber } from "effect"

const { SpawnLimiter } = Process.SpawnLimiter

describe("SpawnLimiter", () => {
  it.effect("starts one process at a time, in order", () =>
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

  it.effect("admits the next start when one fails or throws", () =>
    Effect.gen(function* () {
      const limiter = Process.SpawnLimiter.make()
      yield* Effect.exit(limiter.withPermit(Effect.fail("no")))
      yield* Effect.exit(limiter.withPermit(Effect.die("no")))
      assert.strictEqual(yield* limiter.withPermit(Effect.succeed("in")), "in")
    })
  )

  it.effect("allows a waiting start to be interrupted", () =>
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

  it.effect("is shared by the whole process", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* SpawnLimiter, yield* SpawnLimiter)
    })
  )
})
