import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  CameraState,
  type InvalidCamera,
  MediaPath,
  Reason,
  StatusStore,
  StreamUrl
} from "@restream/core"
import { Cause, Effect, Exit, Result } from "effect"
import { TestClock } from "effect/testing"
import { withLog } from "../support/Log.ts"
import { options } from "../supervision/Tree.ts"

const camera: Camera = {
  _tag: "Camera",
  id: "12" as CameraId,
  name: "Gate",
  type: "url",
  url: Result.getOrThrow(StreamUrl.parse("rtsp://admin:TopSecret1@10.0.0.5/live")),
  path: Result.getOrThrow(MediaPath.parse("cam12")),
  options: options.defaults
}

const invalid: InvalidCamera = {
  _tag: "InvalidCamera",
  id: camera.id,
  name: camera.name,
  type: "url",
  problem: "column url is missing"
}

const reason = new Reason.Refused({ authority: "10.0.0.5:554" })

const states: Readonly<Record<CameraState.Tag, CameraState.CameraState>> = {
  Invalid: { _tag: "Invalid", problem: "column url is missing" },
  Waiting: { _tag: "Waiting", for: "media server" },
  Probing: { _tag: "Probing", attempt: 1 },
  Unreachable: { _tag: "Unreachable", reason, attempt: 1, retryAt: 1000 },
  Starting: { _tag: "Starting", engine: "native" },
  Live: {
    _tag: "Live",
    engine: "native",
    offer: { video: { codec: "h264", width: 1920, height: 1080 }, audio: undefined },
    since: 0
  },
  Restarting: { _tag: "Restarting", reason, at: 5000 },
  Stopping: { _tag: "Stopping" }
}

/** The shortest way from nowhere to a state. */
const wayTo: Readonly<Record<CameraState.Tag, ReadonlyArray<CameraState.Tag>>> = {
  Invalid: ["Invalid"],
  Waiting: ["Waiting"],
  Probing: ["Probing"],
  Unreachable: ["Probing", "Unreachable"],
  Starting: ["Probing", "Starting"],
  Live: ["Probing", "Starting", "Live"],
  Restarting: ["Probing", "Restarting"],
  Stopping: ["Probing", "Stopping"]
}

const enterAll = (tags: ReadonlyArray<CameraState.Tag>) =>
  Effect.flatMap(StatusStore, (store) =>
    Effect.forEach(tags, (tag) => store.transition(camera, states[tag]), { discard: true })
  )

const tags = Object.keys(states) as ReadonlyArray<CameraState.Tag>

describe("StatusStore", () => {
  for (const from of tags) {
    it.effect(`takes from ${from} exactly the transitions of the table`, () =>
      Effect.forEach(tags, (to) =>
        Effect.gen(function* () {
          yield* enterAll(wayTo[from])
          const exit = yield* Effect.exit(enterAll([to]))
          assert.strictEqual(Exit.isSuccess(exit), CameraState.successors[from].includes(to), to)
          if (Exit.isFailure(exit)) {
            assert.include(Cause.pretty(exit.cause), `illegal transition from ${from} to ${to}`)
          }
        }).pipe(Effect.provide(StatusStore.layer))
      )
    )
  }

  it.effect("says what an operator has to know, in one line each", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const store = yield* StatusStore
        yield* enterAll(["Waiting", "Probing", "Unreachable", "Probing", "Starting", "Live"])
        yield* store.markStable(camera.id)
        yield* enterAll(["Restarting", "Probing", "Starting", "Live", "Stopping"])
        yield* store.remove(camera.id)
        yield* store.transition(invalid, states.Invalid)
        assert.deepStrictEqual(lines, [
          'Warn camera 12 "Gate": unreachable: connection refused by 10.0.0.5:554; next attempt in 1s',
          'Info camera 12 "Gate": live: h264 1920x1080, no sound (native)',
          'Warn camera 12 "Gate": down: connection refused by 10.0.0.5:554; restart in 5s; health good: 1 restart in the last hour',
          'Info camera 12 "Gate": live: h264 1920x1080, no sound (native); health good: 1 restart in the last hour',
          'Info camera 12 "Gate": stopping',
          'Info camera 12 "Gate": gone',
          'Warn camera 12 "Gate": invalid: column url is missing'
        ])
      }).pipe(Effect.provide(StatusStore.layer))
    )
  )

  it.effect("tells the same trouble once, however often it is met", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        for (let n = 0; n < 100; n++) yield* enterAll(["Probing", "Unreachable"])
        assert.strictEqual(lines.length, 1)
        yield* enterAll(["Probing", "Starting", "Live"])
        assert.strictEqual(lines.length, 2)
      }).pipe(Effect.provide(StatusStore.layer))
    )
  )

  it.effect("tells that a camera comes and goes once, and once that it stays", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const store = yield* StatusStore
        for (let n = 0; n < 100; n++) {
          yield* enterAll(["Probing", "Starting", "Live", "Restarting"])
        }
        yield* enterAll(["Probing", "Starting", "Live"])
        yield* store.markStable(camera.id)
        assert.deepStrictEqual(lines, [
          'Info camera 12 "Gate": live: h264 1920x1080, no sound (native)',
          'Warn camera 12 "Gate": down: connection refused by 10.0.0.5:554; restart in 5s; health good: 1 restart in the last hour',
          'Info camera 12 "Gate": live: h264 1920x1080, no sound (native); health good: 1 restart in the last hour',
          'Warn camera 12 "Gate": down: connection refused by 10.0.0.5:554; restart in 5s; health good: 2 restarts in the last hour; it comes and goes: the next line follows when it stays live',
          'Info camera 12 "Gate": stays live; health poor: 100 restarts in the last hour'
        ])
        // what comes after that is a new trouble
        yield* enterAll(["Restarting"])
        assert.strictEqual(lines.length, 6)
      }).pipe(Effect.provide(StatusStore.layer))
    )
  )

  it.effect("tells each kind of failure once in one trouble, whatever its numbers are", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const store = yield* StatusStore
        const stalled = (afterMs: number) => new Reason.Stalled({ side: "input", afterMs })
        yield* enterAll(["Probing", "Starting", "Live"])
        for (let n = 0; n < 50; n++) {
          for (const reason of [stalled(10_000 + n), new Reason.NotFound(), stalled(12_000 + n)]) {
            yield* store.transition(camera, { _tag: "Restarting", reason, at: 5000 })
          }
        }
        assert.deepStrictEqual(
          lines.slice(1).map((line) => line.replace(/; .*/, "")),
          [
            'Warn camera 12 "Gate": down: no video from the camera for 10 s',
            'Warn camera 12 "Gate": down: the camera has no stream at this address (404)'
          ]
        )
      }).pipe(Effect.provide(StatusStore.layer))
    )
  )

  it.effect("tells a trouble anew after the row was changed", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        yield* enterAll(["Probing", "Unreachable", "Stopping", "Probing", "Unreachable"])
        assert.strictEqual(lines.filter((line) => line.includes("unreachable")).length, 2)
      }).pipe(Effect.provide(StatusStore.layer))
    )
  )

  it.effect("calls a camera poor while it is out of reach, and not for a restart", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      const healthIn = (tag: CameraState.Tag) =>
        Effect.gen(function* () {
          yield* enterAll([tag])
          return (yield* store.get(camera.id))?.health
        })
      yield* enterAll(["Probing"])
      assert.strictEqual(yield* healthIn("Unreachable"), "poor")
      yield* enterAll(["Probing", "Starting", "Live"])
      assert.strictEqual(yield* healthIn("Restarting"), "good")
      const locked = new Reason.Unauthorized({ credentials: "wrong" })
      yield* store.transition(camera, { _tag: "Restarting", reason: locked, at: 300_000 })
      assert.strictEqual((yield* store.get(camera.id))?.health, "poor")
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("counts the last hour by hours that passed, whatever the clock is set to", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      yield* TestClock.setTime(Date.parse("2030-01-01"))
      yield* enterAll(["Probing"])
      for (let n = 0; n < 12; n++) yield* enterAll(["Restarting"])
      yield* TestClock.setTime(Date.parse("2026-01-01"))
      assert.strictEqual((yield* store.get(camera.id))?.restarts.lastHour, 12)
      yield* TestClock.adjust("30 minutes")
      yield* enterAll(["Restarting"])
      assert.strictEqual((yield* store.get(camera.id))?.restarts.lastHour, 13)
      yield* TestClock.adjust("31 minutes")
      const status = yield* store.get(camera.id)
      assert.deepStrictEqual(status?.restarts, { total: 13, lastHour: 1 })
      assert.strictEqual(status?.health, "good")
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("shows every camera without its credentials", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* enterAll(["Probing", "Starting", "Live"])
      const store = yield* StatusStore
      yield* store.attachCounters(camera.id, () => ({
        bytes: 5,
        packets: 2,
        lost: 1,
        dropped: 3,
        lastVideoAt: 900
      }))
      const [status] = yield* store.all
      assert.notInclude(JSON.stringify(status), "TopSecret1")
      assert.deepStrictEqual(status, {
        id: camera.id,
        name: "Gate",
        type: "url",
        path: "cam12",
        address: "rtsp://***@10.0.0.5/live",
        state: states.Live,
        enteredAt: 1000,
        restarts: { total: 0, lastHour: 0 },
        stalls: { total: 0, lastHour: 0 },
        health: "good",
        counters: { bytes: 5, packets: 2, lost: 1, dropped: 3, lastVideoAt: 900 }
      })
      assert.deepStrictEqual(yield* store.countByState, { Live: 1 })
    }).pipe(Effect.provide(StatusStore.layer))
  )
})
