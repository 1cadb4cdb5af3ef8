/** A device that serves fewer sessions than it has cameras. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  type CameraStatus,
  type Engine,
  ProbeError,
  Reason,
  SessionGuard,
  StatusStore,
  StreamUrl
} from "@restream/core"
import { Clock, Effect, Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { type Changed, layer, row, setRows } from "../kit/Tree.ts"

const channels = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    row(n + 1, { url: `rtsp://admin:secret@10.0.0.100/${n + 1}` })
  )

const rejected = (status: number) =>
  new Reason.Rejected({ status, detail: "Not Enough Bandwidth", request: "DESCRIBE" })

/** A recorder with so many sessions; it notes when it refused one, and to which camera. */
const recorder = (sessions: { most: number }, status = 453) => {
  const fake = FakeEngine.make()
  const refusals: Array<{ readonly id: string; readonly at: number }> = []
  const state = { open: 0, most: 0 }
  const engine: Engine = {
    ...fake.engine,
    open: (source) =>
      Effect.gen(function* () {
        if (state.open >= sessions.most) {
          refusals.push({ id: (source as Camera).id, at: yield* Clock.currentTimeMillis })
          return yield* new ProbeError({ reason: rejected(status) })
        }
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            state.open++
            state.most = Math.max(state.most, state.open)
          }),
          () => Effect.sync(() => state.open--)
        )
        yield* Effect.sleep("50 millis")
        return yield* fake.engine.open(source)
      })
  }
  return { fake: { ...fake, engine }, refusals, state }
}

const counts = Effect.gen(function* () {
  const tally: Record<string, number> = {}
  for (const { state } of yield* (yield* StatusStore).all) {
    const key =
      state._tag === "Unreachable"
        ? state.reason._tag
        : state._tag === "Waiting"
          ? state.for
          : state._tag
    tally[key] = (tally[key] ?? 0) + 1
  }
  return tally
})

const limited = (maxSessions: Readonly<Record<string, number>>): Changed => ({
  device: { maxSessions }
})

describe("SessionGuard", () => {
  for (const status of [453, 500, 503]) {
    it.effect(
      `blocks 54 of 64 cameras when a recorder responds ${status}, and lets one camera ask`,
      () => {
        const { fake, refusals } = recorder({ most: 54 }, status)
        return Effect.gen(function* () {
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(yield* counts, { Live: 54, DeviceFull: 10 })
          const before = refusals.length
          yield* TestClock.adjust("10 minutes")
          assert.deepStrictEqual(yield* counts, { Live: 54, DeviceFull: 10 })
          assert.isTrue(fake.relays.every(({ endedAt }) => endedAt === undefined))
          // one every 30 s, of all ten
          assert.closeTo(refusals.length - before, 20, 1)
          const asked = new Set(refusals.slice(-10).map(({ id }) => id))
          assert.strictEqual(asked.size, 10)
        }).pipe(Effect.provide(layer([fake], channels(64))))
      }
    )
  }

  it.effect("gives a session that became free to a waiting camera within a second", () => {
    const { fake } = recorder({ most: 4 })
    return Effect.gen(function* () {
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* counts, { Live: 4, DeviceFull: 2 })
      yield* setRows(channels(6).slice(1))
      yield* TestClock.adjust("1100 millis")
      assert.deepStrictEqual(yield* counts, { Live: 4, DeviceFull: 1 })
    }).pipe(Effect.provide(layer([fake], channels(6))))
  })

  it.effect("finds that a device serves more than before", () => {
    const sessions = { most: 2 }
    const { fake } = recorder(sessions)
    return Effect.gen(function* () {
      yield* TestClock.adjust("10 minutes")
      sessions.most = 8
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual(yield* counts, { Live: 8 })
    }).pipe(Effect.provide(layer([fake], channels(8))))
  })

  it.effect("treats 500 as a defect of one channel, and delays no other channel", () => {
    const fake = FakeEngine.make()
    fake.answer = ({ id }) =>
      id === "1" || id === "4" ? Effect.fail(rejected(500)) : Effect.succeed(FakeEngine.offer)
    return Effect.gen(function* () {
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* counts)["Live"], 6)
      yield* TestClock.adjust("10 minutes")
      yield* fake.relays[0]!.end(new Reason.Closed({ phase: "streaming" }))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* counts)["Live"], 6)
    }).pipe(Effect.provide(layer([fake], channels(8))))
  })

  it.effect("leaves a camera that is alone at its device to the retry schedule", () => {
    const fake = FakeEngine.make()
    fake.answer = () => Effect.fail(rejected(503))
    return Effect.gen(function* () {
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual(yield* counts, { Rejected: 1 })
      assert.deepStrictEqual(
        fake.probes.map(({ at }) => at / 1000),
        [0, 1, 3, 7, 15, 31]
      )
    }).pipe(Effect.provide(layer([fake], channels(1))))
  })

  it.effect(
    "counts refusals of SETUP, and does not ask more often for an answered DESCRIBE",
    () => {
      const fake = FakeEngine.make()
      fake.flowsAtOnce = false
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        yield* fake.relays[0]!.flow
        yield* fake.relays[1]!.flow
        for (let second = 0; second < 300; second++) {
          for (const { end, endedAt } of fake.relays.slice(2)) {
            if (endedAt === undefined) {
              yield* end(new Reason.Rejected({ status: 453, detail: "", request: "SETUP" }))
            }
          }
          yield* TestClock.adjust("1 second")
        }
        assert.deepStrictEqual(yield* counts, { Live: 2, DeviceFull: 4 })
        // some at first, then one every 30 s
        assert.isAtMost(fake.relays.length, 20)
      }).pipe(Effect.provide(layer([fake], channels(6))))
    }
  )

  it.effect(
    "opens no more sessions than device.maxSessions, and the next one when one ends",
    () => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* counts, { Live: 3, session: 5 })
        assert.lengthOf(fake.probes, 3)
        yield* setRows(channels(8).slice(1))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* counts, { Live: 3, session: 4 })
        assert.lengthOf(fake.probes, 4)
      }).pipe(Effect.provide(layer([fake], channels(8), undefined, limited({ "10.0.0.*": 3 }))))
    }
  )

  it.effect("notices a limit that was raised", () =>
    Effect.gen(function* () {
      let most = 1
      const guard = SessionGuard.make(() => ({ retryDelays: [], maxSessions: { "*": most } }))
      const url = Result.getOrThrow(StreamUrl.parse("rtsp://10.0.0.9/live"))
      const acquire = (id: string) => guard.acquire({ id: id as CameraId, url })
      const first = yield* acquire("1")
      first.accepted()
      const second = yield* acquire("2")
      const asking = yield* Effect.forkChild(second.withPermit(() => Effect.void)(Effect.void))
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(asking.pollUnsafe())
      most = 2
      yield* TestClock.adjust("30 seconds")
      assert.isDefined(asking.pollUnsafe())
    })
  )

  it("finds the limit of a host by the first pattern", () => {
    const patterns = { "10.0.0.9:8554": 1, "10.0.0.*": 2, "nvr?.example": 3, "NVR*": 4 }
    const of = (authority: string) => SessionGuard.maxSessionsOf(authority, patterns)
    assert.deepStrictEqual(
      ["10.0.0.9:8554", "10.0.0.9:554", "10.0.1.9:554", "nvr1.example:554", "10a0b0c9:554"].map(of),
      [1, 2, Infinity, 4, Infinity]
    )
  })

  it("finds the limit of a host without its port, also of an IPv6 address", () => {
    const patterns = { "10.0.0.9": 1, "[2001:db8::7]": 2 }
    const of = (authority: string) => SessionGuard.maxSessionsOf(authority, patterns)
    assert.deepStrictEqual(
      ["10.0.0.9:554", "10.0.0.9", "[2001:db8::7]:8554", "[2001:db8::7]"].map(of),
      [1, 1, 2, 2]
    )
  })

  it("never opens more sessions than the limit, and uses all of it, in any order of ends", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          most: fc.integer({ min: 1, max: 4 }),
          isKnown: fc.boolean(),
          steps: fc.array(
            fc.record({
              waits: fc.integer({ min: 0, max: 90 }),
              ends: fc.nat(3),
              rows: fc.integer({ min: 0, max: 6 })
            }),
            { maxLength: 8 }
          )
        }),
        ({ isKnown, most, steps }) => {
          const { fake, refusals, state } = recorder({ most })
          return Effect.gen(function* () {
            let rows = 6
            for (const step of steps) {
              rows = step.rows
              yield* setRows(channels(rows))
              yield* TestClock.adjust(step.waits * 1000)
              const live = fake.relays.filter(({ endedAt }) => endedAt === undefined)
              assert.isAtMost(live.length, most)
              yield* live[step.ends]?.end(new Reason.Closed({ phase: "streaming" })) ?? Effect.void
            }
            yield* setRows(channels(6))
            yield* TestClock.adjust("3 minutes")
            const all: ReadonlyArray<CameraStatus> = yield* (yield* StatusStore).all
            assert.lengthOf(
              all.filter(({ state }) => state._tag === "Live"),
              most
            )
            assert.strictEqual(state.most, most)
            if (isKnown) assert.lengthOf(refusals, 0)
          }).pipe(
            Effect.provide(
              layer([fake], channels(6), undefined, limited(isKnown ? { "*": most } : {})).pipe(
                Layer.provideMerge(TestClock.layer())
              )
            ),
            Effect.scoped,
            Effect.runPromise
          )
        }
      ),
      { numRuns: 40 }
    ))
})
