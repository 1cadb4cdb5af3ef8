import { assert, describe, it } from "@effect/vitest"
import {
  Advice,
  type CameraId,
  CameraLog,
  type CameraState,
  OperatorView,
  Rates,
  RateSeries,
  Reason,
  StatusStore,
  Timeline
} from "@restream/core"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { gate as camera } from "./GateCamera.ts"

const refused = new Reason.Refused({ authority: "10.0.0.5:554" })
const unauthorized = new Reason.Unauthorized({ credentials: "wrong" })

const live: CameraState.CameraState = {
  _tag: "Live",
  engine: "native",
  offer: { video: { codec: "h264" }, audio: undefined },
  since: 0
}
const probing: CameraState.CameraState = { _tag: "Probing", attempt: 2 }
const starting: CameraState.CameraState = { _tag: "Starting", engine: "native" }
const unreachable = (reason: Reason.Reason): CameraState.CameraState => ({
  _tag: "Unreachable",
  reason,
  attempt: 1,
  retryAt: 0
})
const restarting = (reason: Reason.Reason): CameraState.CameraState => ({
  _tag: "Restarting",
  reason,
  at: 0
})
const waiting = (subject: "media server" | "operator" | "turn"): CameraState.CameraState => ({
  _tag: "Waiting",
  for: subject
})

const enter = (...states: ReadonlyArray<CameraState.CameraState>) =>
  Effect.flatMap(StatusStore, (store) =>
    Effect.forEach(states, (state) => store.transition(camera, state), { discard: true })
  )

const status = Effect.flatMap(StatusStore, (store) =>
  Effect.map(store.get(camera.id), (status) => status!)
)

describe("the operator's view", () => {
  it("summarizes live cameras and problems in one sentence", () => {
    const tally = (changed: Partial<OperatorView.Tally>) => ({
      ...OperatorView.tallyOf([]),
      ...changed
    })
    for (const [counts, failing, sentence] of [
      [{}, 0, "The camera list is empty."],
      [{ ok: 1 }, 0, "The camera is live."],
      [{ ok: 1 }, 1, "The camera is live; 1 further stream is down."],
      [{ ok: 1200 }, 0, "All 1,200 cameras are live."],
      [{ ok: 3 }, 2, "All 3 cameras are live; 2 further streams are down."],
      [{ ok: 1, down: 1 }, 0, "1 of 2 cameras is live; 1 needs attention."],
      [
        { ok: 2, down: 1, invalid: 1, waiting: 1 },
        1,
        "2 of 5 cameras are live; 2 need attention; 1 further stream is down."
      ],
      [{ ok: 2, starting: 1 }, 0, "2 of 3 cameras are live."]
    ] as const) {
      assert.strictEqual(OperatorView.sentenceOf(tally(counts), failing), sentence)
    }
    // cameras that wait for another daemon are in order, and those that wait for a media server are not
    const waiting = tally({ down: 2, waiting: 9 })
    for (const [causes, sentence] of [
      [[], "0 of 11 cameras are live; 2 need attention."],
      [
        [
          { kind: "media-server", count: 5 },
          { kind: "media-server", count: 4 },
          { kind: "Refused", count: 2 }
        ],
        "0 of 11 cameras are live; 11 need attention."
      ]
    ] as const) {
      assert.strictEqual(OperatorView.sentenceOf(waiting, 0, causes), sentence)
    }
  })

  it.effect("counts the words as the statuses have them", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      for (const states of [[], [probing], [unreachable(refused), probing], [starting, live]]) {
        yield* enter(...states)
        assert.deepStrictEqual(yield* store.tally, OperatorView.tallyOf(yield* store.all))
      }
      assert.deepInclude(yield* store.tally, { ok: 1, down: 0 })
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("keeps a camera down, with its reason and since when, while it is probed again", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("10 seconds")
      yield* enter(waiting("turn"), probing)
      assert.deepInclude(yield* status, { word: "starting", since: 10_000, reason: undefined })
      yield* TestClock.adjust("2 seconds")
      yield* enter(unreachable(refused))
      assert.deepInclude(yield* status, { word: "down", since: 10_000, reason: refused })
      assert.strictEqual((yield* status).probeMs, 2000)
      yield* TestClock.adjust("1 minute")
      yield* enter(waiting("turn"), probing)
      assert.deepInclude(yield* status, { word: "down", since: 10_000, reason: refused })
      yield* enter(unreachable(unauthorized), probing, starting)
      assert.deepInclude(yield* status, { word: "down", since: 10_000, reason: unauthorized })
      yield* enter(live)
      assert.deepInclude(yield* status, { word: "ok", since: 72_000, reason: undefined })
      yield* TestClock.adjust("1 minute")
      yield* enter(restarting(refused), probing)
      assert.deepInclude(yield* status, {
        word: "down",
        since: 132_000,
        reason: refused,
        engine: "native"
      })
      // what it sent is known although it is not live
      assert.strictEqual((yield* status).offer?.video.codec, "h264")
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("shows that a camera waits, and drops the reason when an operator stops it", () =>
    Effect.gen(function* () {
      yield* enter(probing, unreachable(refused), waiting("media server"))
      assert.strictEqual((yield* status).word, "waiting")
      yield* enter(probing)
      assert.strictEqual((yield* status).word, "down")
      yield* enter(waiting("operator"))
      assert.deepInclude(yield* status, { word: "waiting", reason: undefined })
      yield* enter(probing)
      assert.strictEqual((yield* status).word, "starting")
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("has a timeline of the words, not of the states", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      yield* enter(probing)
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 50; i++) yield* enter(unreachable(refused), probing)
      yield* TestClock.adjust("1 second")
      yield* enter(starting, live)
      assert.deepStrictEqual(yield* store.timeline(camera.id), [
        { word: "starting", at: 0, reason: undefined },
        { word: "down", at: 1000, reason: refused.message },
        { word: "ok", at: 2000, reason: undefined }
      ])
      assert.deepStrictEqual(yield* store.timeline("13" as CameraId), [])
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it("keeps the last 32 entries of a timeline", () => {
    const timeline = new Timeline()
    for (let at = 0; at < 100; at++) {
      timeline.add({ word: at % 2 === 0 ? "ok" : "down", at, reason: undefined })
    }
    assert.strictEqual(timeline.entries.length, 32)
    assert.strictEqual(timeline.entries.at(-1)?.at, 99)
  })

  it.effect("sums the counters over the relays of a camera", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      const counters = (bytes: number, lastVideoAt: number | undefined) => () => ({
        bytes,
        packets: 1,
        lost: 1,
        dropped: 0,
        lastVideoAt
      })
      yield* enter(probing, starting)
      yield* store.attachRelay(camera.id, { counters: counters(1000, 5) })
      yield* store.attachRelay(camera.id, { counters: counters(10, undefined) })
      const { counters: current, lastVideoAt, totals } = yield* status
      assert.strictEqual(current.bytes, 10)
      assert.deepStrictEqual(totals, { bytes: 1010, packets: 2, lost: 2, dropped: 0 })
      assert.strictEqual(lastVideoAt, 5)
      assert.strictEqual((yield* store.traffic).bytes, 1010)
      yield* store.remove(camera.id)
      assert.strictEqual((yield* store.traffic).bytes, 1010)
      assert.strictEqual((yield* store.totals).size, 0)
    }).pipe(Effect.provide(StatusStore.layer))
  )

  // that every reason has advice is checked by the compiler
  it("has advice for reasons and for states", () => {
    for (const reason of [refused, unauthorized]) {
      assert.match(Advice.adviceFor(reason), /^[A-Z].*\.$/)
    }
    assert.isDefined(
      Advice.adviceOf({ _tag: "Invalid", problem: "column url is missing" }, undefined)
    )
    assert.isDefined(Advice.adviceOf(waiting("media server"), undefined))
    assert.isUndefined(Advice.adviceOf(live, undefined))
    assert.strictEqual(Advice.adviceOf(probing, refused), Advice.adviceFor(refused))
    assert.strictEqual(OperatorView.wordOf(live, undefined), "ok")
  })
})

describe("Rates", () => {
  it("measures bits per second, and treats a smaller count as a restart", () => {
    const series = new RateSeries(0, 0)
    series.sample(5000, 5000)
    assert.strictEqual(series.current, 8000)
    series.sample(1250, 10_000)
    assert.strictEqual(series.current, 2000)
    const { minutes, recent } = series.history
    assert.deepStrictEqual([minutes.length, recent.length], [60, 120])
    assert.deepStrictEqual(recent.slice(-3), [0, 8000, 2000])
    assert.strictEqual(minutes.at(-1), 5000)
  })

  it("keeps one value per minute, and empties minutes without samples", () => {
    const series = new RateSeries(0, 0)
    let bytes = 0
    for (let at = 5000; at <= 120_000; at += 5000) series.sample((bytes += 5000), at)
    assert.deepStrictEqual(series.history.minutes.slice(-4), [0, 8000, 8000, 8000])
    series.sample(bytes, 300_000)
    assert.deepStrictEqual(series.history.minutes.slice(-4), [8000, 0, 0, 0])
  })

  it.effect("samples all cameras every 5 seconds, and forgets those that left", () => {
    let bytes = 0
    return Effect.gen(function* () {
      const store = yield* StatusStore
      const rates = yield* Rates
      yield* enter(probing, starting)
      yield* store.attachRelay(camera.id, {
        counters: () => ({
          bytes,
          packets: 0,
          lost: 0,
          dropped: 0,
          lastVideoAt: undefined
        })
      })
      yield* TestClock.adjust("5 seconds")
      bytes = 10_000
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(rates.current(camera.id), 16_000)
      assert.strictEqual(rates.total(), 16_000)
      assert.strictEqual(rates.history(camera.id).recent.at(-1), 16_000)
      yield* store.remove(camera.id)
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(rates.history(camera.id).recent.every((rate) => rate === 0))
      assert.strictEqual(rates.current(camera.id), 0)
    }).pipe(Effect.provide(Layer.provideMerge(Rates.layer, StatusStore.layer)))
  })
})

describe("CameraLog", () => {
  it.effect("keeps the last 20 lines of a camera, redacted", () =>
    Effect.gen(function* () {
      const log = yield* CameraLog
      for (let i = 1; i <= 30; i++) {
        yield* Effect.annotateLogs(
          Effect.logWarning(`line ${i} of rtsp://admin:TopSecret1@10.0.0.5/live`),
          "camera",
          camera.id
        )
      }
      yield* Effect.annotateLogs(Effect.logDebug("detail"), "camera", camera.id)
      yield* Effect.logInfo("not about a camera")
      const lines = log.lines(camera.id)
      assert.strictEqual(lines.length, 20)
      assert.strictEqual(lines.at(-1)?.message, "line 30 of rtsp://***@10.0.0.5/live")
      assert.strictEqual(lines.at(-1)?.level, "warn")
      assert.deepStrictEqual(log.lines("13" as CameraId), [])
    }).pipe(Effect.provide(Layer.provide(CameraLog.layer, StatusStore.layer)))
  )
})
