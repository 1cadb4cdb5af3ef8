/** What an operator may ask of a camera. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraActor, type CameraId, MediaServer, Reason, Supervisor } from "@restream/core"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { layer, row, stateOf, tagOf } from "../kit/Tree.ts"

const send = (command: CameraActor.Command, id = 1) =>
  Effect.gen(function* () {
    const { send } = yield* Supervisor
    const isKnown = yield* send(String(id) as CameraId, command)
    yield* TestClock.adjust(0)
    return isKnown
  })

const byOperator = { _tag: "Waiting", for: "operator" } as const

const withCamera = <A, E>(
  fake: FakeEngine.FakeEngine,
  test: Effect.Effect<A, E, Supervisor | MediaServer | import("@restream/core").StatusStore>
) => Effect.andThen(TestClock.adjust(0), test).pipe(Effect.provide(layer([fake], [row(1)])))

describe("a command to a camera", () => {
  it.effect("reaches nobody where no camera has that id", () =>
    withCamera(
      FakeEngine.make(),
      Effect.gen(function* () {
        assert.isTrue(yield* send("RetryNow", 1))
        assert.isFalse(yield* send("RetryNow", 2))
      })
    )
  )

  it.effect("Restart ends the relay, and starts the next one at once", () => {
    const fake = FakeEngine.make()
    return withCamera(
      fake,
      Effect.gen(function* () {
        for (let n = 1; n <= 3; n++) {
          yield* send("Restart")
          assert.isDefined(fake.relays[n - 1]!.endedAt)
          assert.lengthOf(fake.relays, n + 1)
          assert.strictEqual(yield* tagOf(1), "Live")
        }
        assert.strictEqual(fake.mostAtATime.get("cam1"), 1)
      })
    )
  })

  it.effect("Restart waits for the end of the relay", () => {
    const fake = FakeEngine.make()
    fake.endingTakes = 2000
    return withCamera(
      fake,
      Effect.gen(function* () {
        yield* send("Restart")
        yield* TestClock.adjust(1999)
        assert.lengthOf(fake.relays, 1)
        yield* TestClock.adjust(1)
        assert.lengthOf(fake.relays, 2)
        fake.endingTakes = 0
      })
    )
  })

  for (const next of ["RetryNow", "Restart"] as const) {
    it.effect(`Stop ends the relay until ${next}, and a second Stop changes nothing`, () => {
      const fake = FakeEngine.make()
      return withCamera(
        fake,
        Effect.gen(function* () {
          for (let time = 0; time < 2; time++) {
            yield* send("Stop")
            assert.isDefined(fake.relays[0]!.endedAt)
            yield* TestClock.adjust("1 hour")
            assert.deepStrictEqual(yield* stateOf(1), byOperator)
            assert.lengthOf(fake.probes, 1)
          }
          yield* send(next)
          assert.strictEqual(yield* tagOf(1), "Live")
          assert.lengthOf(fake.relays, 2)
        })
      )
    })
  }

  it.effect("Stop ends a wait, too", () => {
    const fake = FakeEngine.make()
    fake.answer = () => Effect.fail(new Reason.Refused({ authority: "10.0.0.1:554" }))
    return withCamera(
      fake,
      Effect.gen(function* () {
        assert.strictEqual(yield* tagOf(1), "Unreachable")
        yield* send("Stop")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* stateOf(1), byOperator)
        assert.lengthOf(fake.probes, 1)
      })
    )
  })

  it.effect("RetryNow ends no relay, and is not kept for a later wait", () => {
    const fake = FakeEngine.make()
    return withCamera(
      fake,
      Effect.gen(function* () {
        for (let time = 0; time < 3; time++) yield* send("RetryNow")
        assert.strictEqual(yield* tagOf(1), "Live")
        assert.lengthOf(fake.relays, 1)
        yield* TestClock.adjust("1 minute")
        yield* fake.relays[0]!.end(new Reason.Exited({ status: 1, lastWords: "" }))
        yield* TestClock.adjust(4900)
        assert.lengthOf(fake.relays, 1)
        // and the mailbox is still served
        yield* send("RetryNow")
        yield* TestClock.adjust(5)
        assert.lengthOf(fake.relays, 2)
      })
    )
  })

  it.effect("RetryNow tries refused credentials once more", () => {
    const fake = FakeEngine.make()
    fake.answer = () => Effect.fail(new Reason.Unauthorized({ credentials: "wrong" }))
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      assert.lengthOf(fake.probes, 1)
      yield* send("RetryNow")
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(fake.probes, 2)
    }).pipe(Effect.provide(layer([fake], [row(1, { url: "rtsp://admin:wrong@10.0.0.1/live" })])))
  })
})
