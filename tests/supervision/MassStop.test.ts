/** Sets that would stop many relays at once, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  type Diff,
  type InvalidCamera,
  type MediaPath,
  MassStop,
  StreamUrl
} from "@restream/core"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { withLog } from "../kit/Log.ts"
import { layer, row, setRows } from "../kit/Tree.ts"

const policy = { maxStopFraction: 0.5, massStopDelay: Duration.minutes(1) }

const camera = (n: number): Camera => ({
  _tag: "Camera",
  id: String(n) as CameraId,
  name: `Camera ${n}`,
  type: "url",
  url: new StreamUrl({ scheme: "rtsp", host: "10.0.0.1" }),
  path: `cam${n}` as MediaPath.MediaPath,
  options: {
    engine: "native",
    transport: "tcp",
    audio: "auto",
    wallclock: false,
    insecure: false,
    fingerprint: undefined
  }
})

const invalid = (n: number): InvalidCamera => ({
  _tag: "InvalidCamera",
  id: String(n) as CameraId,
  name: `Camera ${n}`,
  type: "url",
  problem: "column url is missing"
})

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

const relaying = (count: number, more: Diff.LastApplied = new Map()): Diff.LastApplied =>
  new Map([...numbers(count).map((n) => [String(n) as CameraId, camera(n)] as const), ...more])

const stop = (n: number): Diff.Action => ({ _tag: "Stop", id: String(n) as CameraId })
const stops = (count: number) => numbers(count).map(stop)

describe("MassStopGuard", () => {
  it("holds a set that stops more than the share of the relays, and at least ten", () => {
    const isHeld = (relays: number, stopped: number, maxStopFraction = 0.5) =>
      new MassStop.MassStopGuard().decide(
        relaying(relays),
        stops(stopped),
        { ...policy, maxStopFraction },
        0
      ) !== undefined
    assert.deepStrictEqual(
      [isHeld(20, 10), isHeld(20, 11), isHeld(19, 10), isHeld(9, 9), isHeld(10, 10)],
      [false, true, true, false, true]
    )
    assert.isFalse(isHeld(20, 20, 1))
    assert.isTrue(isHeld(20, 10, 0))
    assert.isFalse(isHeld(20, 9, 0))
  })

  it("counts the relays that would stop: neither rows that had none, nor restarts", () => {
    const applied = relaying(20, new Map([["21" as CameraId, invalid(21)]]))
    const restart: Diff.Action = { _tag: "Restart", camera: camera(12), changed: ["url"] }
    const decide = (actions: ReadonlyArray<Diff.Action>) =>
      new MassStop.MassStopGuard().decide(applied, actions, policy, 0)
    const invalidate: Diff.Action = { _tag: "Invalidate", camera: invalid(11) }
    assert.isUndefined(decide([...stops(10), restart, stop(21), stop(22)]))
    assert.deepStrictEqual(decide([...stops(10), invalidate]), {
      stops: numbers(11).map((n) => String(n) as CameraId),
      relays: 20,
      recheckAfter: Duration.minutes(1)
    })
  })

  it("lets a set pass when each camera has been missing from all reads for the delay", () => {
    const guard = new MassStop.MassStopGuard()
    const decide = (count: number, seconds: number) =>
      guard.decide(relaying(30), stops(count), policy, seconds * 1000)?.recheckAfter
    assert.deepStrictEqual(decide(20, 0), Duration.seconds(60))
    // ten more are missing: their time begins now, and that of the others goes on
    assert.deepStrictEqual(decide(30, 20), Duration.seconds(40))
    assert.deepStrictEqual(decide(30, 59), Duration.seconds(1))
    // the first twenty are confirmed, and ten are no more than half
    assert.isUndefined(decide(30, 60))
  })

  it("restarts the delay when the cameras were back in between", () => {
    const guard = new MassStop.MassStopGuard()
    const decide = (count: number, seconds: number) =>
      guard.decide(relaying(30), stops(count), policy, seconds * 1000)?.recheckAfter
    assert.deepStrictEqual(decide(30, 0), Duration.seconds(60))
    assert.isUndefined(decide(0, 30))
    assert.deepStrictEqual(decide(30, 50), Duration.seconds(60))
    assert.deepStrictEqual(decide(30, 80), Duration.seconds(30))
  })
})

describe("the supervisor, when a set would stop most of its relays", () => {
  const rows = numbers(20).map((n) => row(n))
  const running = ({ relays }: FakeEngine.FakeEngine) =>
    relays.filter(({ endedAt }) => endedAt === undefined).length

  it.effect("keeps them, logs that once, and applies the set when it stays the same", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        assert.strictEqual(running(fake), 20)
        lines.length = 0
        yield* setRows(rows.slice(0, 3))
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(running(fake), 20)
        assert.deepStrictEqual(lines, [
          'Error camera list would stop 17 of 20 relays at once: 4 "Camera 4", 5 "Camera 5", 6 "Camera 6" and 14 more; no change is applied unless the camera list stays so for 1 min (supervisor.massStopDelay, supervisor.maxStopFraction)'
        ])
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(running(fake), 3)
        assert.strictEqual(lines[1], "Warn camera list still stops those relays: applying it")
      }).pipe(Effect.provide(layer([fake], rows)))
    })
  )

  it.effect("stops no camera when all are back in time, and logs that", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        lines.length = 0
        yield* setRows([])
        yield* TestClock.adjust("30 seconds")
        yield* setRows(rows)
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(running(fake), 20)
        assert.lengthOf(fake.relays, 20)
        assert.deepStrictEqual(lines.slice(1), [
          "Info camera list has its cameras again: no relay was stopped"
        ])
      }).pipe(Effect.provide(layer([fake], rows)))
    })
  )

  it.effect("applies the changes that come with the cameras when these are back", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        yield* setRows([])
        yield* TestClock.adjust("30 seconds")
        lines.length = 0
        yield* setRows([...rows, row(21)])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(running(fake), 21)
        assert.deepStrictEqual(lines.slice(0, 2), [
          "Info camera list has its cameras again: no relay was stopped",
          'Info 21 cameras: started camera 21 "Camera 21"'
        ])
      }).pipe(Effect.provide(layer([fake], rows)))
    })
  )

  it.effect("applies a set that makes them invalid when it stays so", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        yield* setRows(numbers(20).map((n) => row(n, { url: null })))
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(running(fake), 20)
        lines.length = 0
        yield* TestClock.adjust("31 seconds")
        assert.strictEqual(running(fake), 0)
        assert.strictEqual(lines[0], "Warn camera list still stops those relays: applying it")
      }).pipe(Effect.provide(layer([fake], rows)))
    })
  )

  it.effect(
    "reports a camera list that shrinks repeatedly as flapping, and when it is stable",
    () =>
      withLog((lines) => {
        const fake = FakeEngine.make()
        const about = (words: RegExp) => lines.filter((line) => words.test(line))
        return Effect.gen(function* () {
          yield* TestClock.adjust("1 second")
          for (let n = 0; n < 5; n++) {
            yield* setRows([])
            yield* TestClock.adjust("20 seconds")
            yield* setRows(rows)
            yield* TestClock.adjust("20 seconds")
          }
          const held = about(/would stop/)
          assert.lengthOf(held, 2)
          assert.match(held[1]!, /; flapping; further messages suppressed until it is stable$/)
          assert.lengthOf(about(/has its cameras again/), 1)
          yield* TestClock.adjust("5 minutes")
          assert.deepStrictEqual(about(/stable$/).slice(1), ["Info camera list: stable"])
          assert.strictEqual(running(fake), 20)
          assert.lengthOf(fake.relays, 20)
        }).pipe(Effect.provide(layer([fake], rows)))
      })
  )
})
