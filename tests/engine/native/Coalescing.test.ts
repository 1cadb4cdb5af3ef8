import { assert, describe, it } from "@effect/vitest"
import { Coalescing, NativeEngine } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Exit, Layer, Scope } from "effect"
import { job, startRelay } from "../Streams.ts"

const pauseMs = 20
const spanMs = 300

/** Whether the thread rests: it comes round far more seldom then. */
const rests = Effect.callback<boolean>((resume) => {
  const until = performance.now() + spanMs
  let rounds = 0
  const round = () => {
    rounds++
    if (performance.now() < until) setImmediate(round)
    else resume(Effect.succeed(rounds <= spanMs / pauseMs + 5))
  }
  setImmediate(round)
})

describe("Coalescing", () => {
  it.live("rests between rounds while eight relays flow, and none is being started", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        settings: (path) => (path === "silent" ? { quirks: { silentAt: "SETUP" } } : undefined),
        resolve: () => "cam"
      })
      yield* TestPattern.publish(server, "cam", { frameRate: 10, keyframeEvery: 1 })
      const native = NativeEngine.make({ checkServer: Effect.succeed(true) })
      const flow = (number: number) =>
        Effect.flatMap(
          startRelay(native, job(server.url("cam"), server.url(`out${number}`))),
          ({ flowing }) => flowing
        )
      const coalescing = yield* Scope.make()
      yield* Layer.buildWithScope(Coalescing.layer(pauseMs), coalescing)

      for (let number = 1; number <= 7; number++) yield* flow(number)
      assert.isFalse(yield* rests, "seven are too few")
      const eighth = yield* Scope.make()
      yield* Scope.provide(flow(8), eighth)
      assert.isTrue(yield* rests, "eight are enough")

      const starting = yield* Scope.make()
      yield* Effect.forkIn(
        Effect.scoped(startRelay(native, job(server.url("silent"), server.url("silent")))),
        starting
      )
      yield* server.awaitConnections(17)
      // until one is being started
      while (yield* rests) yield* Effect.yieldNow
      yield* Scope.close(starting, Exit.void)
      assert.isTrue(yield* rests, "it is not any more")

      yield* Scope.close(eighth, Exit.void)
      assert.isFalse(yield* rests, "the eighth is gone")
      yield* flow(9)
      assert.isTrue(yield* rests, "another came")
      yield* Scope.close(coalescing, Exit.void)
      assert.isFalse(yield* rests, "it was switched off")
    })
  )

  it.live("never rests with a pause of nothing", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ resolve: () => "cam" })
      yield* TestPattern.publish(server, "cam", { keyframeEvery: 1 })
      const native = NativeEngine.make({ checkServer: Effect.succeed(true) })
      yield* Layer.build(Coalescing.layer(0))
      for (let number = 1; number <= 8; number++) {
        const { flowing } = yield* startRelay(
          native,
          job(server.url("cam"), server.url(`out${number}`))
        )
        yield* flowing
      }
      assert.isFalse(yield* rests)
    })
  )
})
