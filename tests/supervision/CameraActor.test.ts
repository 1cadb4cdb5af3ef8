import { assert, describe, it } from "@effect/vitest"
import {
  type CameraId,
  type CameraState,
  type CameraStatus,
  MediaServer,
  Reason,
  StatusStore,
  Supervisor
} from "@restream/core"
import { Duration, Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { withLog } from "../kit/Log.ts"
import { type FakeServer, layer, row, setRows, stateOf, tagOf } from "../kit/Tree.ts"

const refused = new Reason.Refused({ authority: "10.0.0.1:554" })
const gone = new Reason.ServerGone({ detail: "connection reset" })
const exited = new Reason.Exited({ status: 1, lastWords: "" })

/** Runs a test with a tree of one camera, whose engine has the given behavior from the start. */
const withCamera = <A, E>(
  behavior: Partial<FakeEngine.FakeEngine>,
  test: (
    fake: FakeEngine.FakeEngine,
    server: FakeServer
  ) => Generator<Effect.Effect<unknown, E, StatusStore>, A, never>,
  server: FakeServer = { isThere: true }
) => {
  const fake = Object.assign(FakeEngine.make(), behavior)
  return Effect.andThen(
    TestClock.adjust(0),
    Effect.gen(() => test(fake, server))
  ).pipe(Effect.provide(layer([fake], [row(1)], server)))
}

const probeTimes = (fake: FakeEngine.FakeEngine) => fake.probes.map(({ at }) => at)
const startTimes = (fake: FakeEngine.FakeEngine) => fake.relays.map(({ startedAt }) => startedAt)

describe("CameraActor", () => {
  it.effect("goes from its row to live without a delay", () =>
    withCamera({}, function* (fake) {
      assert.deepStrictEqual(probeTimes(fake), [0])
      assert.deepStrictEqual(startTimes(fake), [0])
      const state = yield* stateOf(1)
      assert.deepStrictEqual(state, {
        _tag: "Live",
        engine: "native",
        offer: FakeEngine.offer,
        since: 0
      })
    })
  )

  it.effect("is live only when media arrive", () =>
    withCamera({ flowsAtOnce: false }, function* (fake) {
      assert.strictEqual(yield* tagOf(1), "Starting")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* tagOf(1), "Starting")
      yield* fake.relays[0]!.flow
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* tagOf(1), "Live")
    })
  )

  it.effect("restarts a relay that ended after 5 s, and not a millisecond before", () =>
    withCamera({}, function* (fake) {
      yield* TestClock.adjust("1 hour")
      yield* fake.relays[0]!.end(exited)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* stateOf(1), {
        _tag: "Restarting",
        reason: exited,
        at: 3_605_000
      })
      yield* TestClock.adjust(4999)
      assert.strictEqual(fake.probes.length, 1)
      assert.strictEqual(fake.relays.length, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(probeTimes(fake), [0, 3_605_000])
      assert.deepStrictEqual(startTimes(fake), [0, 3_605_000])
      assert.strictEqual(yield* tagOf(1), "Live")
    })
  )

  it.effect("counts the 5 s from the end of the old relay", () =>
    withCamera({ endingTakes: 3000 }, function* (fake) {
      yield* TestClock.adjust("1 minute")
      yield* fake.relays[0]!.end(exited)
      yield* TestClock.adjust(7999)
      assert.strictEqual(fake.relays.length, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(startTimes(fake), [0, 68_000])
      fake.endingTakes = 0
    })
  )

  it.effect("probes an unreachable camera again after 1, 2, 4, 8, 16, then every 30 s", () =>
    withCamera({ answer: () => Effect.fail(refused) }, function* (fake) {
      assert.deepStrictEqual(yield* stateOf(1), {
        _tag: "Unreachable",
        reason: refused,
        attempt: 1,
        retryAt: 1000
      })
      for (const [index, second] of [1, 3, 7, 15, 31, 61, 91, 121].entries()) {
        const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        yield* TestClock.adjust(second * 1000 - now - 1)
        assert.strictEqual(fake.probes.length, index + 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(fake.probes.at(-1)?.at, second * 1000)
      }
      fake.answer = () => Effect.succeed(FakeEngine.offer)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
      assert.strictEqual(fake.relays.length, 1)
    })
  )

  it.effect("restarts the retry schedule after the camera has answered", () =>
    withCamera({ answer: () => Effect.fail(refused) }, function* (fake) {
      yield* TestClock.adjust("31 seconds")
      fake.answer = () => Effect.succeed(FakeEngine.offer)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
      fake.answer = () => Effect.fail(refused)
      yield* TestClock.adjust("1 minute")
      yield* fake.relays[0]!.end(exited)
      yield* TestClock.adjust("5 seconds")
      const probes = fake.probes.length
      yield* TestClock.adjust(999)
      assert.strictEqual(fake.probes.length, probes)
      yield* TestClock.adjust(1)
      assert.strictEqual(fake.probes.length, probes + 1)
    })
  )

  it.effect("probes a camera with a wrong password once, then every 5 min", () =>
    withCamera(
      { answer: () => Effect.fail(new Reason.Unauthorized({ credentials: "wrong" })) },
      function* (fake) {
        yield* TestClock.adjust(299_999)
        assert.deepStrictEqual(probeTimes(fake), [0])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(probeTimes(fake), [0, 300_000])
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(probeTimes(fake), [0, 300_000, 600_000])
      }
    )
  )

  it.effect("does not connect to the camera while the media server is unreachable", () =>
    withCamera(
      {},
      function* (fake, server) {
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* stateOf(1), { _tag: "Waiting", for: "media server" })
        assert.strictEqual(fake.probes.length, 0)
        server.isThere = true
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* tagOf(1), "Live")
      },
      { isThere: false }
    )
  )

  it.effect("waits for the media server that ended the relay", () =>
    withCamera({}, function* (fake, server) {
      yield* TestClock.adjust("2 minutes")
      server.isThere = false
      yield* fake.relays[0]!.end(gone)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* stateOf(1), { _tag: "Waiting", for: "media server" })
      assert.strictEqual(fake.probes.length, 1)
      server.isThere = true
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
    })
  )

  it.effect("spaces the starts again after an outage while cameras waited for a permit", () => {
    const fake = FakeEngine.make()
    const server = { isThere: true }
    const rows = Array.from({ length: 200 }, (_, n) =>
      row(n + 1, { url: `rtsp://10.0.1.${n + 1}/live` })
    )
    return Effect.gen(function* () {
      const mediaServer = yield* MediaServer
      yield* TestClock.adjust("500 millis")
      assert.isAbove(fake.relays.length, 10)
      assert.isBelow(fake.relays.length, 50)
      server.isThere = false
      yield* mediaServer.reportFailure
      yield* TestClock.adjust("1 minute")
      const before = fake.relays.length
      server.isThere = true
      const probed = new Set<string>()
      fake.answer = ({ id }) => Effect.sync(() => probed.add(id)).pipe(Effect.as(FakeEngine.offer))
      yield* TestClock.adjust("10 seconds")
      const started = fake.relays.slice(before)
      assert.strictEqual(fake.relays.length, 200)
      const gaps = started.slice(1).map(({ startedAt }, n) => startedAt - started[n]!.startedAt)
      assert.isAtLeast(Math.min(...gaps), 9)
      // what they offered before the outage may not be what they offer now
      assert.isTrue(started.every(({ camera }) => probed.has(camera.id)))
    }).pipe(
      Effect.provide(layer([fake], rows, server, { relay: { startSpacing: Duration.millis(20) } }))
    )
  })

  it.effect(
    "does not probe cameras that got a permit while the media server is unreachable",
    () => {
      const fake = FakeEngine.make()
      const server = { isThere: true }
      const rows = Array.from({ length: 100 }, (_, n) =>
        row(n + 1, { url: `rtsp://10.0.1.${n + 1}/live` })
      )
      fake.answer = () => Effect.as(Effect.sleep("100 millis"), FakeEngine.offer)
      return Effect.gen(function* () {
        const mediaServer = yield* MediaServer
        yield* TestClock.adjust("250 millis")
        assert.strictEqual(fake.probes.length, 3)
        server.isThere = false
        yield* mediaServer.reportFailure
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(fake.probes.length, 3)
        assert.strictEqual(yield* tagOf(100), "Waiting")
        server.isThere = true
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual(fake.relays.length, 100)
      }).pipe(Effect.provide(layer([fake], rows, server, { probe: { concurrency: 1 } })))
    }
  )

  it.effect("counts attempts, with any number of engines in each", () => {
    const native = FakeEngine.make("native")
    const ffmpeg = FakeEngine.make("ffmpeg")
    native.answer = () => Effect.fail(new Reason.Unsupported({ what: "UDP only" }))
    ffmpeg.answer = () => Effect.fail(refused)
    return Effect.gen(function* () {
      const attempt = Effect.map(stateOf(1), (state) =>
        state?._tag === "Unreachable" ? state.attempt : undefined
      )
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* attempt, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* attempt, 2)
    }).pipe(Effect.provide(layer([native, ffmpeg], [row(1)])))
  })

  it.effect("survives a defect in an adapter, and reports it as a defect", () =>
    withCamera({ answer: () => Effect.die(new Error("boom")) }, function* (fake) {
      const state = yield* stateOf(1)
      assert.strictEqual(state?._tag, "Restarting")
      assert.strictEqual(state?._tag === "Restarting" && state.reason._tag, "InternalError")
      fake.answer = () => Effect.succeed(FakeEngine.offer)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
    })
  )

  it.effect("survives a defect between two relays", () => {
    const fake = FakeEngine.make()
    let asked = 0
    const relay = {
      get restartDelay() {
        if (asked++ === 0) throw new Error("boom")
        return Duration.seconds(5)
      }
    }
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      yield* fake.relays[0]!.end(exited)
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(fake.relays.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* tagOf(1), "Live")
      yield* fake.relays[1]!.end(exited)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(fake.relays.length, 3)
    }).pipe(Effect.provide(layer([fake], [row(1)], undefined, { relay })))
  })

  it.effect("treats an interruption from within as a defect", () =>
    withCamera({ answer: () => Effect.interrupt }, function* (fake) {
      assert.strictEqual(yield* tagOf(1), "Restarting")
      fake.answer = () => Effect.succeed(FakeEngine.offer)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
    })
  )

  it.effect("falls back to the next engine at once, and stays with it", () => {
    const native = FakeEngine.make("native")
    const ffmpeg = FakeEngine.make("ffmpeg")
    native.answer = () => Effect.fail(new Reason.Unsupported({ what: "UDP only" }))
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      const state = yield* stateOf(1)
      assert.strictEqual(state?._tag === "Live" && state.engine, "ffmpeg")
      assert.deepStrictEqual(startTimes(ffmpeg), [0])
      yield* ffmpeg.relays[0]!.end(exited)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(ffmpeg.relays.length, 2)
      assert.strictEqual(native.probes.length, 1)
      // another address may be another camera
      yield* setRows([row(1, { url: "rtsp://10.0.0.9/live" })])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(native.probes.length, 2)
    }).pipe(Effect.provide(layer([native, ffmpeg], [row(1)])))
  })

  it.effect("falls back to the next engine after a relay, without counting a failure", () => {
    const native = FakeEngine.make("native")
    const ffmpeg = FakeEngine.make("ffmpeg")
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      yield* native.relays[0]!.end(new Reason.Unsupported({ what: "UDP only" }))
      yield* TestClock.adjust(0)
      const state = yield* stateOf(1)
      assert.strictEqual(state?._tag === "Live" && state.engine, "ffmpeg")
      assert.deepStrictEqual(startTimes(ffmpeg), [60_000])
      // the address is not the problem
      assert.strictEqual(ffmpeg.relays[0]!.camera.url.host, "10.0.0.1")
    }).pipe(
      Effect.provide(
        layer(
          [native, ffmpeg],
          [row(1, { url: "rtsp://10.0.0.1/live\nrtsp://10.0.0.2/live" })],
          undefined,
          { probe: { failoverAfter: 1 } }
        )
      )
    )
  })

  it.effect("reports changed tracks of a camera, which disconnect its readers", () =>
    withLog((lines) =>
      withCamera({}, function* (fake) {
        const next = (seconds: number) =>
          Effect.gen(function* () {
            yield* TestClock.adjust(`${seconds} seconds`)
            yield* fake.relays.at(-1)!.end(exited)
            yield* TestClock.adjust("5 seconds")
            assert.strictEqual(yield* tagOf(1), "Live")
          })
        yield* next(60)
        const { video } = FakeEngine.offer
        fake.answer = () => Effect.succeed({ video: { ...video, codec: "h265" }, audio: undefined })
        yield* next(60)
        yield* next(60)
        fake.answer = () => Effect.succeed(FakeEngine.offer)
        yield* next(60)
        assert.deepStrictEqual(
          lines.filter((line) => line.includes("tracks")),
          [
            'Info camera 1 "Camera 1": tracks changed from h264 + aac to h265; readers must reconnect',
            'Info camera 1 "Camera 1": tracks changed from h265 to h264 + aac; readers must reconnect'
          ]
        )
      })
    )
  )

  it.effect("retries an unsupported camera where no other engine is left", () =>
    withCamera(
      { answer: () => Effect.fail(new Reason.Unsupported({ what: "UDP only" })) },
      function* (fake) {
        assert.strictEqual(yield* tagOf(1), "Unreachable")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(fake.probes.length, 2)
      }
    )
  )

  it.effect("restarts a rejected stream every 30 s, and logs that once", () => {
    const rejected = new Reason.ServerRejected({ status: 400, detail: "" })
    return withCamera({ flowsAtOnce: false }, function* (fake) {
      for (let n = 0; n < 3; n++) {
        yield* fake.relays[n]!.end(rejected)
        yield* TestClock.adjust(29_999)
        assert.strictEqual(fake.relays.length, n + 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(fake.relays.length, n + 2)
      }
    })
  })

  it.effect(
    "delays the restarts of a flapping camera up to 60 s, until it is stable for 60 s",
    () =>
      withCamera({}, function* (fake) {
        const pauses: Array<number> = []
        for (let n = 0; n < 10; n++) {
          yield* TestClock.adjust("2 seconds")
          yield* fake.relays[n]!.end(exited)
          yield* TestClock.adjust(0)
          const state = yield* stateOf(1)
          const ended = fake.relays[n]!.endedAt ?? 0
          pauses.push(state?._tag === "Restarting" ? (state.at - ended) / 1000 : 0)
          yield* TestClock.adjust(`${pauses[n]!} seconds`)
        }
        assert.deepStrictEqual(pauses, [5, 5, 5, 5, 10, 20, 40, 60, 60, 60])
        yield* TestClock.adjust("60 seconds")
        yield* fake.relays[10]!.end(exited)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(fake.relays.length, 12)
      })
  )

  it.effect("does not count a flapping media server as failures of the camera", () =>
    withCamera({}, function* (fake, server) {
      for (let n = 0; n < 10; n++) {
        yield* TestClock.adjust("2 seconds")
        server.isThere = false
        yield* fake.relays[n]!.end(gone)
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual(yield* tagOf(1), "Waiting")
        server.isThere = true
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(fake.relays.length, n + 2)
      }
    })
  )

  it.effect("delays the restarts of a camera that flaps after an outage, too", () =>
    withCamera({}, function* (fake, server) {
      yield* TestClock.adjust("2 minutes")
      server.isThere = false
      yield* fake.relays[0]!.end(gone)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* tagOf(1), "Waiting")
      server.isThere = true
      yield* TestClock.adjust("2 seconds")
      const pauses: Array<number> = []
      for (let n = 1; n <= 6; n++) {
        yield* TestClock.adjust("2 seconds")
        yield* fake.relays[n]!.end(exited)
        yield* TestClock.adjust(0)
        const state = yield* stateOf(1)
        const ended = fake.relays[n]!.endedAt ?? 0
        pauses.push(state?._tag === "Restarting" ? (state.at - ended) / 1000 : 0)
        yield* TestClock.adjust(`${pauses.at(-1)!} seconds`)
      }
      // only the first of them followed the outage
      assert.deepStrictEqual(pauses, [5, 5, 5, 5, 10, 20])
    })
  )

  it.effect("counts restarts and stalls, and gives the health", () => {
    const stalled = new Reason.Stalled({ side: "input", afterMs: 10_000 })
    const status: Effect.Effect<CameraStatus | undefined, never, StatusStore> = Effect.gen(
      function* () {
        const status = yield* StatusStore
        return (yield* status.all)[0]
      }
    )
    return withCamera({}, function* (fake) {
      assert.strictEqual((yield* status)?.health, "good")
      for (let n = 0; n < 12; n++) {
        yield* TestClock.adjust("1 minute")
        yield* fake.relays[n]!.end(n % 2 === 0 ? stalled : exited)
        yield* TestClock.adjust("5 seconds")
        if (n === 4) assert.strictEqual((yield* status)?.health, "fair")
      }
      const before = yield* status
      assert.deepStrictEqual(before?.restarts, { total: 12, lastHour: 12 })
      assert.deepStrictEqual(before?.stalls, { total: 6, lastHour: 6 })
      assert.strictEqual(before?.health, "poor")
      yield* TestClock.adjust("1 hour")
      const after = yield* status
      assert.deepStrictEqual(after?.restarts, { total: 12, lastHour: 0 })
      assert.strictEqual(after?.health, "good")
    })
  })

  it.effect("publishes each change of state", () =>
    withCamera({}, function* (fake) {
      const status = yield* StatusStore
      const seen: Array<string> = []
      yield* Effect.forkChild(
        Stream.runForEach(status.changes, ({ to }) =>
          Effect.sync(() => seen.push(to?._tag ?? "gone"))
        )
      )
      yield* TestClock.adjust("1 minute")
      yield* fake.relays[0]!.end(exited)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(seen, ["Restarting", "Waiting", "Probing", "Starting", "Live"])
    })
  )

  for (const [tag, fail] of [
    ["Unreachable", (fake) => Effect.sync(() => (fake.answer = () => Effect.fail(refused)))],
    ["Restarting", (fake) => Effect.suspend(() => fake.relays[0]!.end(gone))]
  ] as ReadonlyArray<
    readonly [CameraState.Tag, (fake: FakeEngine.FakeEngine) => Effect.Effect<unknown>]
  >) {
    it.effect(`retries at once when asked to as soon as it is ${tag}`, () => {
      const fake = FakeEngine.make()
      // the camera's fiber takes a while from entering the state to waiting in it
      const slowly = (own: StatusStore["Service"]): StatusStore["Service"] => ({
        ...own,
        transition: (camera, state) =>
          Effect.andThen(
            own.transition(camera, state),
            state._tag === tag ? Effect.sleep(10) : Effect.void
          )
      })
      return Effect.gen(function* () {
        const supervisor = yield* Supervisor
        if (tag === "Restarting") yield* TestClock.adjust(0)
        yield* fail(fake)
        yield* TestClock.adjust(5)
        assert.strictEqual(yield* tagOf(1), tag)
        const before = fake.probes.length
        assert.isTrue(yield* supervisor.send("1" as CameraId, "RetryNow"))
        yield* TestClock.adjust(5)
        assert.strictEqual(fake.probes.length, before + 1)
        // it holds for one attempt
        yield* TestClock.adjust(900)
        assert.strictEqual(fake.probes.length, before + 1)
      }).pipe(Effect.provide(layer([fake], [row(1)], undefined, { status: slowly })))
    })
  }
})
