import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { HostResolver, NameLookup } from "@restream/core"
import * as NameServer from "../kit/NameServer.ts"

type Answer = NameLookup.Answer

const found = (...addresses: ReadonlyArray<string>): Answer => ({ _tag: "Found", addresses })

/** A resolver whose look-ups end when the test says so. */
const controlled = () => {
  const asked: Array<{ readonly name: string; readonly answer: Deferred.Deferred<Answer> }> = []
  const { resolve } = HostResolver.make((name) => {
    const answer = Deferred.makeUnsafe<Answer>()
    asked.push({ name, answer })
    return Deferred.await(answer)
  })
  const answer = (index: number, answer: Answer) =>
    Effect.suspend(() => {
      const pending = asked[index]?.answer
      return pending === undefined ? Effect.die("not asked") : Deferred.succeed(pending, answer)
    })
  /** Resolves a name whose look-up gets this answer. */
  const resolved = Effect.fnUntraced(function* (name: string, said: Answer) {
    const fiber = yield* Effect.forkChild(Effect.exit(resolve(name)), { startImmediately: true })
    yield* Effect.yieldNow
    yield* answer(asked.length - 1, said)
    return yield* Fiber.join(fiber)
  })
  return { resolve, asked, answer, resolved }
}

const begin = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.tap(Effect.forkChild(effect, { startImmediately: true }), () => Effect.yieldNow)

describe("HostResolver", () => {
  it.effect("resolves a name once for all cameras that share it, and no IP address", () =>
    Effect.gen(function* () {
      const { answer, asked, resolve } = controlled()
      assert.deepStrictEqual(yield* resolve("10.0.0.5"), ["10.0.0.5"])
      assert.deepStrictEqual(yield* resolve("fe80::1"), ["fe80::1"])
      const first = yield* begin(resolve("recorder"))
      const others = yield* begin(
        Effect.all([resolve("recorder"), resolve("RECORDER")], { concurrency: "unbounded" })
      )
      // one that gives up does not take the look-up with it
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(
        asked.map(({ name }) => name),
        ["recorder"]
      )
      yield* answer(0, found("10.0.0.9"))
      assert.deepStrictEqual(yield* Fiber.join(others), [["10.0.0.9"], ["10.0.0.9"]])
    })
  )

  it.effect("does not let a name without an answer delay another one", () =>
    Effect.gen(function* () {
      const { answer, resolve } = controlled()
      for (let i = 0; i < 20; i++) yield* begin(resolve(`silent${i}`))
      const good = yield* begin(resolve("good"))
      yield* answer(20, found("10.0.0.9"))
      assert.deepStrictEqual(yield* Fiber.join(good), ["10.0.0.9"])
    })
  )

  it.effect("finds a new address at the next attempt", () =>
    Effect.gen(function* () {
      const { resolved } = controlled()
      assert.deepStrictEqual(yield* Effect.flatten(resolved("cam", found("10.0.0.5"))), [
        "10.0.0.5"
      ])
      assert.deepStrictEqual(yield* Effect.flatten(resolved("cam", found("10.0.0.6"))), [
        "10.0.0.6"
      ])
    })
  )

  it.effect("uses the last address while the name server does not answer", () =>
    Effect.gen(function* () {
      const { answer, asked, resolve, resolved } = controlled()
      yield* resolved("cam", found("10.0.0.5"))
      assert.deepStrictEqual(yield* Effect.flatten(resolved("cam", { _tag: "NoAnswer" })), [
        "10.0.0.5"
      ])
      // it is not awaited, either
      const waiting = yield* begin(resolve("cam"))
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["10.0.0.5"])
      // the look-up goes on, and the next attempt gets what it found
      assert.strictEqual(asked.length, 3)
      const next = yield* begin(resolve("cam"))
      assert.strictEqual(asked.length, 3)
      yield* answer(2, found("10.0.0.7"))
      assert.deepStrictEqual(yield* Fiber.join(next), ["10.0.0.7"])
    })
  )

  it.live("keeps a camera whose name server fails, and follows it to another address", () =>
    Effect.gen(function* () {
      let said: NameServer.Said = ["127.0.0.2"]
      const { server } = yield* NameServer.make(() => said)
      const { resolve } = HostResolver.make(
        NameLookup.make({ hostsFile: "/nowhere", servers: [server] })
      )
      assert.deepStrictEqual(yield* resolve("cam.test"), ["127.0.0.2"])
      said = "servfail"
      assert.deepStrictEqual(yield* resolve("cam.test"), ["127.0.0.2"])
      said = undefined
      assert.deepStrictEqual(yield* resolve("cam.test"), ["127.0.0.2"])
      said = ["127.0.0.3"]
      // by the query that is repeated, or by the next one
      const moved = yield* Effect.repeat(resolve("cam.test"), {
        until: ([address]) => address === "127.0.0.3"
      })
      assert.deepStrictEqual(moved, ["127.0.0.3"])
    })
  )

  it.effect("forgets the address of a name that does not exist any more", () =>
    Effect.gen(function* () {
      const { resolved } = controlled()
      yield* resolved("cam", found("10.0.0.5"))
      assert.strictEqual(
        yield* Effect.flip(Effect.flatten(resolved("cam", { _tag: "NoSuchHost" }))),
        "NoSuchHost"
      )
      assert.strictEqual(
        yield* Effect.flip(Effect.flatten(resolved("cam", { _tag: "NoAnswer" }))),
        "NoAnswer"
      )
    })
  )

  it.effect("repeats soon that the name server does not answer, and asks it again", () =>
    Effect.gen(function* () {
      const { asked, resolve, resolved } = controlled()
      yield* resolved("cam", { _tag: "NoAnswer" })
      const waiting = yield* begin(Effect.flip(resolve("cam")))
      assert.strictEqual(asked.length, 2)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* Fiber.join(waiting), "NoAnswer")
    })
  )
})
