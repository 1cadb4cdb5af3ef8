import { assert, describe, it } from "@effect/vitest"
import { Process } from "@restream/core"
import { Deferred, Effect, Fiber } from "effect"

const { SpawnGate } = Process.SpawnGate

describe("SpawnGate", () => {
  it.effect("lets one start at a time, in the order of their coming", () =>
    Effect.gen(function* () {
      const gate = Process.SpawnGate.make()
      const log: Array<string> = []
      const start = (name: string) =>
        gate.pass(
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

  it.live("lets the event loop turn between two", () =>
    Effect.gen(function* () {
      const gate = Process.SpawnGate.make()
      let turns = 0
      const seen: Array<number> = []
      const turn = () => {
        turns++
        timer = setImmediate(turn)
      }
      let timer = setImmediate(turn)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearImmediate(timer)))
      const start = gate.pass(Effect.sync(() => void seen.push(turns)))
      yield* Effect.all([start, start, start, start], { concurrency: "unbounded" })
      assert.lengthOf(new Set(seen), 4)
    })
  )

  it.effect("lets the next one in when a start fails or dies", () =>
    Effect.gen(function* () {
      const gate = Process.SpawnGate.make()
      yield* Effect.exit(gate.pass(Effect.fail("no")))
      yield* Effect.exit(gate.pass(Effect.die("no")))
      assert.strictEqual(yield* gate.pass(Effect.succeed("in")), "in")
    })
  )

  it.effect("can be left by who waits", () =>
    Effect.gen(function* () {
      const gate = Process.SpawnGate.make()
      const entered = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        gate.pass(Effect.andThen(Deferred.succeed(entered, undefined), Effect.never))
      )
      yield* Deferred.await(entered)
      const second = yield* Effect.forkChild(gate.pass(Effect.void))
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      yield* gate.pass(Effect.void)
    })
  )

  it.effect("is one for the whole process", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* SpawnGate, yield* SpawnGate)
    })
  )
})
