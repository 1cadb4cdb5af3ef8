import { assert, describe, it } from "@effect/vitest"
import { CameraTypes, Check, Engines, Reason, StreamUrl, ProbeScheduler } from "@restream/core"
import { type Duration, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { withLog } from "../kit/Log.ts"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { layer, options, row, setRows, stateOf, tagOf } from "../kit/Tree.ts"
import { makeDecoder } from "../kit/Decoder.ts"

const wrong = new Reason.Unauthorized({ credentials: "wrong" })

/** A channel of a recorder. */
const channel = (id: number, password = "old", more = {}) =>
  row(id, { url: `rtsp://admin:${password}@10.0.0.100/${id}`, ...more })

const channels = (count: number) => Array.from({ length: count }, (_, n) => channel(n + 1))

/** A recorder that takes one password, and gives some channels to nobody. */
const recorder = (fake: FakeEngine.FakeEngine) => {
  const device = { password: "new", forbidden: new Set<string>() }
  fake.answer = ({ id, url }) =>
    StreamUrl.reveal(url).includes(`:${device.password}@`) && !device.forbidden.has(id)
      ? Effect.succeed(FakeEngine.offer)
      : Effect.fail(wrong)
  return device
}

/** Lets answers take a while, as on a network: no camera is refused before the others were read. */
const answerSlowly = (fake: FakeEngine.FakeEngine, delay: Duration.Input) => {
  const { answer } = fake
  fake.answer = (camera) => Effect.andThen(Effect.sleep(delay), answer(camera))
}

/** The cameras of some rows, for a check. */
const camerasOf = makeDecoder({
  types: CameraTypes.make(),
  pathTemplate: options.pathTemplate,
  defaults: options.defaults
})

const minutes = (fake: FakeEngine.FakeEngine) =>
  fake.probes.map(({ at, id }) => `${Math.floor(at / 60_000)}: ${id}`)

describe("CredentialGuard", () => {
  it.effect(
    "makes two attempts for all cameras of a device, and gives each camera the reason",
    () =>
      withLog((lines) => {
        const fake = FakeEngine.make()
        recorder(fake)
        return Effect.gen(function* () {
          yield* TestClock.adjust(299_999)
          assert.deepStrictEqual(fake.probes, [
            { id: "1", at: 0 },
            { id: "2", at: 0 }
          ])
          assert.deepStrictEqual(yield* stateOf(1), {
            _tag: "Unreachable",
            reason: wrong,
            attempt: 1,
            retryAt: 300_000
          })
          assert.deepStrictEqual(yield* stateOf(16), {
            _tag: "Unreachable",
            reason: new Reason.Unauthorized({ credentials: "wrong", refusedFor: "2" }),
            attempt: 0,
            retryAt: 300_000
          })
          const told = lines.filter((line) => line.includes("unreachable"))
          assert.deepStrictEqual(told, [
            'Warn 16 cameras at 10.0.0.100:554: unreachable: wrong user name or password; retrying in 5 min; affected: 1 "Camera 1", 2 "Camera 2", 3 "Camera 3" and 13 more'
          ])
          // once, however long it takes
          yield* TestClock.adjust("1 hour")
          assert.lengthOf(
            lines.filter((line) => line.includes("unreachable")),
            1
          )
        }).pipe(Effect.provide(layer([fake], channels(16))))
      })
  )

  it.effect("lets a second channel try before all are blocked: the first may be forbidden", () => {
    const fake = FakeEngine.make()
    const device = recorder(fake)
    device.password = "old"
    device.forbidden.add("1")
    answerSlowly(fake, "100 millis")
    return Effect.gen(function* () {
      yield* TestClock.adjust("5 seconds")
      for (const id of [2, 3, 4, 5, 6]) assert.strictEqual(yield* tagOf(id), "Live")
      assert.strictEqual(yield* tagOf(1), "Unreachable")
      // once more after the device has accepted the credentials from another channel
      assert.isAtMost(fake.probes.filter(({ id }) => id === "1").length, 2)
    }).pipe(Effect.provide(layer([fake], channels(6))))
  })

  for (const forbidden of [["1"], ["1", "3", "4"], ["2", "3", "4"]]) {
    it.effect(`lets a check find the forbidden channels ${forbidden.join()} and no other`, () => {
      const fake = FakeEngine.make()
      const device = recorder(fake)
      device.password = "old"
      for (const id of forbidden) device.forbidden.add(id)
      const { cameras } = camerasOf(channels(6))
      return Effect.gen(function* () {
        const results = [...(yield* Stream.runCollect(Check.run(cameras.values())))]
        assert.sameMembers(
          results.filter(({ _tag }) => _tag !== "Answered").map(({ camera }) => String(camera.id)),
          forbidden
        )
      }).pipe(
        Effect.provide(
          ProbeScheduler.layerOnce({}).pipe(Layer.provide(Engines.layer([fake.engine])))
        )
      )
    })
  }

  it.effect("lets a check try a second channel, too", () => {
    const fake = FakeEngine.make()
    const device = recorder(fake)
    device.password = "old"
    device.forbidden.add("1")
    answerSlowly(fake, "100 millis")
    const { cameras } = camerasOf(channels(6))
    return Effect.gen(function* () {
      const checking = yield* Effect.forkChild(Stream.runCollect(Check.run(cameras.values())))
      yield* TestClock.adjust("5 seconds")
      const results = [...(yield* Fiber.join(checking))]
      assert.deepStrictEqual(
        results.filter(({ _tag }) => _tag !== "Answered").map(({ camera }) => String(camera.id)),
        ["1"]
      )
    }).pipe(
      Effect.provide(ProbeScheduler.layerOnce({}).pipe(Layer.provide(Engines.layer([fake.engine]))))
    )
  })

  it.effect(
    "does not block cameras that are inserted after only a forbidden one was refused",
    () => {
      const fake = FakeEngine.make()
      const device = recorder(fake)
      device.password = "old"
      device.forbidden.add("1")
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* tagOf(1), "Unreachable")
        yield* setRows(channels(6))
        yield* TestClock.adjust("1 second")
        for (const id of [2, 3, 4, 5, 6]) assert.strictEqual(yield* tagOf(id), "Live")
      }).pipe(Effect.provide(layer([fake], channels(1))))
    }
  )

  it.effect("starts a new camera of an account within seconds while another one is live", () => {
    const fake = FakeEngine.make()
    const device = recorder(fake)
    device.password = "old"
    for (const id of ["2", "3", "4"]) device.forbidden.add(id)
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* tagOf(1), "Live")
      yield* TestClock.adjust("10 minutes")
      yield* setRows(channels(5))
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* tagOf(5), "Live")
      // and one that was live comes back as it always would
      yield* TestClock.adjust("10 minutes")
      yield* fake.relays[0]!.end(new Reason.Exited({ status: 1, lastWords: "" }))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
    }).pipe(Effect.provide(layer([fake], channels(4))))
  })

  it.effect("restarts all cameras that drop together while the device keeps their sessions", () => {
    const fake = FakeEngine.make()
    const device = recorder(fake)
    device.password = "old"
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(fake.relays.length, 3)
      device.password = "none"
      const probes = fake.probes.length
      for (const { end } of fake.relays) yield* end(new Reason.Closed({ phase: "streaming" }))
      yield* TestClock.adjust("60 seconds")
      device.password = "old"
      yield* TestClock.adjust("15 seconds")
      for (const id of [1, 2, 3]) assert.strictEqual(yield* tagOf(id), "Live")
      assert.isAtMost(fake.probes.length - probes, 6)
    }).pipe(Effect.provide(layer([fake], channels(3))))
  })

  it.effect("counts a refusal after DESCRIBE, and a stream that opens proves nothing then", () => {
    const fake = FakeEngine.make()
    fake.flowsAtOnce = false
    return Effect.gen(function* () {
      for (let second = 0; second < 280; second++) {
        for (const { end, endedAt } of fake.relays) if (endedAt === undefined) yield* end(wrong)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual((yield* stateOf(1))?._tag, "Unreachable")
      assert.isAtMost(fake.relays.length, 4)
    }).pipe(Effect.provide(layer([fake], channels(1))))
  })

  it.effect("treats 403 after a wrong password as a locked account", () => {
    const fake = FakeEngine.make()
    const forbidden = new Reason.Rejected({ status: 403, detail: "Forbidden", request: "DESCRIBE" })
    let answers: Array<Reason.ProbeReason> = [forbidden, wrong]
    fake.answer = () => Effect.fail(answers.shift() ?? forbidden)
    return Effect.gen(function* () {
      // without a wrong password before, it is about the channel
      yield* TestClock.adjust(999)
      assert.deepInclude({ ...(yield* stateOf(1)) }, { reason: forbidden, retryAt: 1000 })
      yield* TestClock.adjust(1)
      assert.deepInclude({ ...(yield* stateOf(1)) }, { reason: wrong, retryAt: 301_000 })
      yield* TestClock.adjust("5 minutes")
      assert.deepInclude(
        { ...(yield* stateOf(1)) },
        { reason: new Reason.Unauthorized({ credentials: "locked" }), retryAt: 601_000 }
      )
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(fake.probes.length, 3)
    }).pipe(Effect.provide(layer([fake], channels(1))))
  })

  it.effect(
    "waits the whole lockout delay after a lock, also where a camera was live before",
    () => {
      const fake = FakeEngine.make()
      const forbidden = new Reason.Rejected({
        status: 403,
        detail: "Forbidden",
        request: "DESCRIBE"
      })
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        const answers: Array<Reason.ProbeReason> = [wrong]
        fake.answer = () => Effect.fail(answers.shift() ?? forbidden)
        yield* fake.relays[0]!.end(new Reason.Closed({ phase: "streaming" }))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(fake.probes.length, 3)
        yield* TestClock.adjust("299 seconds")
        assert.strictEqual(fake.probes.length, 3)
      }).pipe(Effect.provide(layer([fake], channels(1))))
    }
  )

  it.effect("makes two attempts also where several probes of one host may run", () => {
    const fake = FakeEngine.make()
    recorder(fake)
    answerSlowly(fake, "1 second")
    return Effect.gen(function* () {
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(fake.probes.length, 2)
    }).pipe(Effect.provide(layer([fake], channels(16), undefined, { probe: { perHost: 8 } })))
  })

  it.effect(
    "fails all cameras that wait for an unreachable recorder, after the first failure",
    () => {
      const fake = FakeEngine.make()
      const reason = new Reason.TimedOut({ phase: "connecting", afterMs: 10_000 })
      fake.answer = () => Effect.andThen(Effect.sleep("10 seconds"), Effect.fail(reason))
      return Effect.gen(function* () {
        yield* TestClock.adjust("10500 millis")
        const states = yield* Effect.forEach(channels(32), ({ id }) => stateOf(Number(id)))
        const told = states.filter((state) => state?._tag === "Unreachable")
        // a second one had its turn meanwhile
        assert.isAtLeast(told.length, 30)
        assert.isTrue(told.every((state) => state.reason === reason))
        assert.isAtMost(fake.probes.length, 3)
      }).pipe(Effect.provide(layer([fake], channels(32))))
    }
  )

  it.effect("delays no other channel for long where one does not respond", () => {
    const fake = FakeEngine.make()
    const silent = new Reason.TimedOut({ phase: "requesting the stream", afterMs: 10_000 })
    fake.answer = ({ id }) =>
      id === "1"
        ? Effect.andThen(Effect.sleep("10 seconds"), Effect.fail(silent))
        : Effect.succeed(FakeEngine.offer)
    return Effect.gen(function* () {
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(yield* tagOf(2), "Waiting")
      yield* TestClock.adjust("1 second")
      for (const { id } of channels(8).slice(1))
        assert.strictEqual(yield* tagOf(Number(id)), "Live")
    }).pipe(Effect.provide(layer([fake], channels(8))))
  })

  it.effect("lets the camera that has waited longest try first, one in each delay", () => {
    const fake = FakeEngine.make()
    recorder(fake)
    return Effect.gen(function* () {
      yield* TestClock.adjust("20 minutes")
      assert.deepStrictEqual(minutes(fake), ["0: 1", "0: 2", "5: 3", "10: 1", "15: 2", "20: 3"])
    }).pipe(Effect.provide(layer([fake], channels(3))))
  })

  it.effect("releases all cameras at once when the device accepts the password", () => {
    const fake = FakeEngine.make()
    const device = recorder(fake)
    return Effect.gen(function* () {
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual(fake.probes.length, 3)
      device.password = "old"
      yield* TestClock.adjust(179_999)
      assert.strictEqual(fake.relays.length, 0)
      yield* TestClock.adjust(1)
      assert.strictEqual(fake.relays.length, 16)
      assert.strictEqual(fake.probes.length, 19)
    }).pipe(Effect.provide(layer([fake], channels(16))))
  })

  it.effect("tries other credentials at once, and another device", () => {
    const fake = FakeEngine.make()
    recorder(fake)
    const elsewhere = row(5, { url: "rtsp://admin:old@10.0.0.101/1" })
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      assert.sameMembers(minutes(fake), ["0: 1", "0: 2", "0: 5"])
      yield* setRows([channel(1), channel(2, "new"), channel(3, "new"), elsewhere])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* tagOf(2), "Live")
      assert.strictEqual(yield* tagOf(3), "Live")
      assert.strictEqual(yield* tagOf(1), "Unreachable")
    }).pipe(Effect.provide(layer([fake], [...channels(3), elsewhere])))
  })

  it.effect("delays no other camera for one that alone is forbidden", () => {
    const fake = FakeEngine.make()
    const device = recorder(fake)
    device.password = "old"
    device.forbidden.add("1")
    return Effect.gen(function* () {
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* tagOf(2), "Live")
      assert.strictEqual(yield* tagOf(3), "Live")
      assert.strictEqual(yield* tagOf(1), "Unreachable")
      const tries = () => fake.probes.filter(({ id }) => id === "1").length
      const before = tries()
      // it is refused again and again, and another one restarts in between as it always would
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(tries(), before + 2)
      yield* fake.relays[0]!.end(new Reason.Exited({ status: 1, lastWords: "" }))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(fake.relays.length, 3)
      // a password that was changed at the device is tried again within seconds, but not often
      device.password = "new"
      const probes = fake.probes.length
      for (const { end, endedAt } of fake.relays) {
        if (endedAt === undefined) yield* end(new Reason.Exited({ status: 1, lastWords: "" }))
      }
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(fake.probes.length, probes + 4)
    }).pipe(Effect.provide(layer([fake], channels(3))))
  })

  it.effect(
    "keeps cameras that wait for a permit of the host from a password refused meanwhile",
    () => {
      const fake = FakeEngine.make()
      const device = recorder(fake)
      device.password = "old"
      answerSlowly(fake, "100 millis")
      return Effect.gen(function* () {
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(fake.relays.length, 6)
        device.password = "new"
        const before = fake.probes.length
        // the credentials were accepted, so all six pass the guard, and then wait for the recorder in turn
        for (const relay of fake.relays) {
          yield* relay.end(new Reason.Exited({ status: 1, lastWords: "" }))
        }
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(fake.probes.length, before + 2)
        for (const { id } of channels(6)) {
          assert.strictEqual(yield* tagOf(Number(id)), "Unreachable")
        }
      }).pipe(Effect.provide(layer([fake], channels(6))))
    }
  )

  it.effect("forgets a refusal with the last camera of its account", () => {
    const fake = FakeEngine.make()
    recorder(fake)
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      assert.lengthOf(fake.probes, 2)
      yield* setRows([])
      yield* TestClock.adjust("1 second")
      // an operator who enters the camera again wants to see whether it works now
      yield* setRows([channel(9)])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        fake.probes.map(({ id }) => id),
        ["1", "2", "9"]
      )
    }).pipe(Effect.provide(layer([fake], channels(3))))
  })

  it.effect("keeps a refusal as long as any camera of its account is left", () => {
    const fake = FakeEngine.make()
    recorder(fake)
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* setRows([channel(3)])
      yield* TestClock.adjust("1 second")
      yield* setRows([channel(3), channel(9)])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        fake.probes.map(({ id }) => id),
        ["1", "2"]
      )
    }).pipe(Effect.provide(layer([fake], channels(3))))
  })

  it.effect("lets the next camera try where an attempt ends without a response", () => {
    const fake = FakeEngine.make()
    const refused = new Reason.Refused({ authority: "10.0.0.100:554" })
    fake.answer = () => Effect.fail(refused)
    return Effect.gen(function* () {
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(minutes(fake), ["0: 1", "0: 2", "0: 3"])
      fake.answer = () => Effect.succeed(FakeEngine.offer)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(fake.relays.length, 3)
    }).pipe(Effect.provide(layer([fake], channels(3))))
  })

  it.effect("passes the permit on when the camera that has it leaves the table", () => {
    const fake = FakeEngine.make()
    fake.answer = ({ id }) => (id === "1" ? Effect.never : Effect.succeed(FakeEngine.offer))
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* tagOf(2), "Waiting")
      yield* setRows([channel(2)])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* tagOf(2), "Live")
    }).pipe(Effect.provide(layer([fake], channels(2))))
  })

  it.effect("makes two attempts for all addresses of one camera", () => {
    const fake = FakeEngine.make()
    recorder(fake)
    const addresses = [1, 2, 3, 4].map((n) => `rtsp://admin:old@10.0.0.100/${n}`).join("\n")
    const { cameras } = camerasOf([row(1, { url: addresses })])
    return Effect.gen(function* () {
      const [result] = [...(yield* Stream.runCollect(Check.run(cameras.values())))]
      assert.strictEqual(fake.probes.length, 2)
      assert.deepStrictEqual(
        result?.addresses.map((address) =>
          address._tag === "Unreachable" ? address.reason.message : address._tag
        ),
        [
          "wrong user name or password",
          "wrong user name or password",
          "not tried: the same user name and password were refused for camera 1",
          "not tried: the same user name and password were refused for camera 1"
        ]
      )
    }).pipe(
      Effect.provide(ProbeScheduler.layerOnce({}).pipe(Layer.provide(Engines.layer([fake.engine]))))
    )
  })

  it.effect("limits restream check to two attempts, and names the camera of the second one", () => {
    const fake = FakeEngine.make()
    recorder(fake)
    const { cameras } = camerasOf([...channels(16), channel(17, "new")])
    return Effect.gen(function* () {
      const results = [...(yield* Stream.runCollect(Check.run(cameras.values())))]
      assert.sameMembers(
        fake.probes.map(({ id }) => id),
        ["1", "2", "17"]
      )
      const reasons = new Map(
        results.map((result) => [
          String(result.camera.id),
          result._tag === "Unreachable" ? result.reason.message : result._tag
        ])
      )
      assert.strictEqual(reasons.get("1"), "wrong user name or password")
      assert.strictEqual(
        reasons.get("3"),
        "not tried: the same user name and password were refused for camera 2"
      )
      assert.strictEqual(reasons.get("17"), "Answered")
      assert.strictEqual(reasons.size, 17)
    }).pipe(
      Effect.provide(
        ProbeScheduler.layerOnce({ perHost: 4 }).pipe(Layer.provide(Engines.layer([fake.engine])))
      )
    )
  })
})
