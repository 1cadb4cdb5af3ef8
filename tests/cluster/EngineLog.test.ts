/** What of the log of the cluster engine is shown. */
import { assert, describe, it } from "@effect/vitest"
import { EngineLog } from "@restream/core"
import { Cause, Effect, Logger } from "effect"
import { MinimumLogLevel } from "effect/References"

/** What a logger gets of a program that runs like the engine. */
const linesOf = (program: Effect.Effect<void>, least: "Debug" | "Info") =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      lines.push(`${logLevel} ${String(message)}`)
    })
    yield* EngineLog.demote(program).pipe(
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(MinimumLogLevel, least)
    )
    return lines
  })

const engine = Effect.gen(function* () {
  yield* Effect.logWarning("of the engine")
  const ours = Effect.logWarning("of ours").pipe(Effect.annotateLogs("module", "cluster"))
  yield* ours
  const defect = Effect.logWarning("of the engine", Cause.die(new TypeError("x is undefined")))
  yield* defect
  yield* defect
})

describe("the log of the cluster engine", () => {
  it.effect("is at debug, but for internal errors, which are logged once each", () =>
    Effect.gen(function* () {
      const shown = ["Warn of ours", "Error internal error in the cluster engine"]
      assert.deepStrictEqual(yield* linesOf(engine, "Info"), shown)
      assert.deepStrictEqual(yield* linesOf(engine, "Debug"), [
        "Debug of the engine",
        ...shown,
        "Debug of the engine"
      ])
    })
  )
})
