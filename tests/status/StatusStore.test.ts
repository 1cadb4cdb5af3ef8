import { assert, describe, it } from "@effect/vitest"
import {
  type CameraId,
  CameraState,
  CameraStatus,
  Reason,
  StatusEvent,
  StatusStore
} from "@restream/core"
import { Effect, PubSub, Schema } from "effect"
import { TestClock } from "effect/testing"
import { withLog } from "../kit/Log.ts"
import { gate as camera } from "./GateCamera.ts"

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

/** All events that an effect causes. */
const eventsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const store = yield* StatusStore
    const subscription = yield* store.subscribe
    yield* effect
    return yield* PubSub.takeUpTo(subscription, 100)
  }).pipe(Effect.scoped)

describe("StatusStore", () => {
  for (const from of tags) {
    it.effect(`enters every state from ${from}, and marks what the table does not allow`, () =>
      withLog((lines) =>
        Effect.gen(function* () {
          for (const to of tags) {
            yield* Effect.gen(function* () {
              yield* enterAll(wayTo[from])
              const [event] = yield* eventsOf(enterAll([to]))
              assert.strictEqual((yield* (yield* StatusStore).get(camera.id))?.state._tag, to)
              assert.deepInclude(event, {
                _tag: "StateChanged",
                from: states[from],
                to: states[to],
                isLegal: CameraState.successors[from].includes(to)
              })
            }).pipe(Effect.provide(StatusStore.layer))
          }
          assert.deepStrictEqual(lines, [])
        })
      )
    )
  }

  it("has a successor for each state, and each state has a way to Live and to Stopping", () => {
    const reachable = (from: CameraState.Tag, seen = new Set<CameraState.Tag>()) => {
      for (const to of CameraState.successors[from]) {
        if (!seen.has(to)) reachable(to, seen.add(to))
      }
      return seen
    }
    for (const tag of tags) {
      assert.includeMembers([...reachable(tag)], ["Live", "Stopping"], tag)
    }
  })

  it.effect("reports each transition of a camera, with the time in the former state", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      const events = yield* eventsOf(
        Effect.gen(function* () {
          yield* enterAll(["Probing"])
          yield* TestClock.adjust("3 seconds")
          yield* enterAll(["Starting", "Live"])
          yield* store.markStable(camera.id)
          yield* store.rename({ ...camera, name: "Door" })
          yield* store.rename({ ...camera, name: "Door" })
          yield* enterAll(["Stopping"])
          yield* store.remove(camera.id)
        })
      )
      assert.deepStrictEqual(
        events.map((event) => [
          event._tag,
          event.name,
          event.revision,
          event._tag === "StateChanged" ? event.elapsedMs : undefined
        ]),
        [
          ["StateChanged", "Gate", 1, 0],
          ["StateChanged", "Gate", 2, 3000],
          ["StateChanged", "Gate", 3, 0],
          ["BecameStable", "Gate", 4, undefined],
          ["Renamed", "Door", 5, undefined],
          ["StateChanged", "Door", 6, 0],
          ["Removed", "Door", 7, undefined]
        ]
      )
      assert.deepInclude(events[0], { path: "cam12", host: "10.0.0.5:554", at: 0 })
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("gives what changed after a revision, and what was removed", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      const other = { ...camera, id: "13" as CameraId, name: "Yard" }
      yield* enterAll(["Probing"])
      yield* store.transition(other, states.Probing)
      const first = yield* store.changedSince(0)
      assert.isTrue(first.isComplete)
      assert.deepStrictEqual(
        first.cameras.map(({ id, revision }) => [id, revision]),
        [
          ["12", 1],
          ["13", 2]
        ]
      )
      yield* store.transition(other, states.Starting)
      const second = yield* store.changedSince(first.revision)
      assert.isFalse(second.isComplete)
      assert.deepStrictEqual(
        second.cameras.map(({ id }) => id),
        ["13"]
      )
      yield* store.remove(camera.id)
      const third = yield* store.changedSince(second.revision)
      assert.deepInclude(third, { cameras: [], removed: [camera.id] })
      yield* enterAll(["Probing"])
      const fourth = yield* store.changedSince(second.revision)
      assert.deepStrictEqual(fourth.removed, [])
      assert.lengthOf(fourth.cameras, 1)
      assert.deepInclude(yield* store.changedSince(fourth.revision), { cameras: [], removed: [] })
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("gives all cameras to those who ask about removals that are forgotten", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      const many = Array.from({ length: 4200 }, (_, n) => ({
        ...camera,
        id: `x${n}` as CameraId
      }))
      yield* enterAll(["Probing"])
      yield* Effect.forEach(many, (each) => store.transition(each, states.Probing))
      const { revision } = yield* store.changedSince(0)
      yield* Effect.forEach(many, ({ id }) => store.remove(id))
      assert.deepInclude(yield* store.changedSince(revision), { isComplete: true, removed: [] })
      const recent = yield* store.changedSince(revision + 200)
      assert.isFalse(recent.isComplete)
      assert.lengthOf(recent.removed, 4000)
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("is data: status and events go through JSON and back, without secrets", () =>
    Effect.gen(function* () {
      const statusJson = Schema.toCodecJson(CameraStatus)
      const eventJson = Schema.toCodecJson(StatusEvent)
      const all = yield* eventsOf(enterAll(["Invalid", ...tags, "Restarting"]))
      for (const event of all) {
        const text = JSON.stringify(yield* Schema.encodeUnknownEffect(eventJson)(event))
        assert.notInclude(text, "TopSecret1")
        assert.deepStrictEqual(
          yield* Schema.decodeUnknownEffect(eventJson)(JSON.parse(text)),
          event
        )
      }
      const status = (yield* (yield* StatusStore).all)[0]!
      const encoded = yield* Schema.encodeUnknownEffect(statusJson)(status)
      assert.deepInclude(encoded, {
        id: "12",
        state: {
          _tag: "Restarting",
          reason: { _tag: "Refused", authority: "10.0.0.5:554" },
          at: 5000
        },
        problem: reason.message
      })
      assert.deepStrictEqual(
        yield* Schema.decodeUnknownEffect(statusJson)(JSON.parse(JSON.stringify(encoded))),
        status
      )
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("adds up the counters of all relays, and never decreases", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      const counters = (bytes: number) => () => ({
        bytes,
        packets: 1,
        lost: 2,
        dropped: 0,
        lastVideoAt: undefined
      })
      yield* enterAll(["Probing"])
      yield* store.attachRelay(camera.id, { counters: counters(1000) })
      yield* store.attachRelay(camera.id, { counters: counters(5) })
      assert.deepInclude(yield* store.traffic, { bytes: 1005, packets: 2, lost: 4 })
      yield* store.remove(camera.id)
      assert.deepInclude(yield* store.traffic, { bytes: 1005, packets: 2, lost: 4 })
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("reports poor health while a camera is unreachable, and not for a restart", () =>
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

  it.effect("counts the last hour by elapsed time, independent of the system clock", () =>
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
      yield* store.attachRelay(camera.id, {
        counters: () => ({
          bytes: 5,
          packets: 2,
          lost: 1,
          dropped: 3,
          lastVideoAt: 900
        })
      })
      const [status] = yield* store.all
      assert.notInclude(JSON.stringify(status), "TopSecret1")
      assert.deepStrictEqual(status, {
        id: camera.id,
        name: "Gate",
        type: "url",
        path: "cam12",
        address: "rtsp://***@10.0.0.5/live",
        host: camera.url.authority,
        state: states.Live,
        problem: undefined,
        enteredAt: 1000,
        restarts: { total: 0, lastHour: 0 },
        stalls: { total: 0, lastHour: 0 },
        health: "good",
        counters: { bytes: 5, packets: 2, lost: 1, dropped: 3, lastVideoAt: 900 },
        word: "ok",
        since: 1000,
        reason: undefined,
        engine: "native",
        offer: { video: { codec: "h264", width: 1920, height: 1080 }, audio: undefined },
        probeMs: 0,
        totals: { bytes: 5, packets: 2, lost: 1, dropped: 3 },
        lastVideoAt: 900,
        revision: 3
      })
      assert.deepStrictEqual(yield* store.countByState, { Live: 1 })
    }).pipe(Effect.provide(StatusStore.layer))
  )
})
