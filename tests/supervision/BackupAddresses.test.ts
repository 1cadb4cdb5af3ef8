/** A camera with several addresses, in virtual time: when it leaves an address, and when it returns to it. */
import { assert, describe, it } from "@effect/vitest"
import { Reason } from "@restream/core"
import { Clock, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import * as Log from "../kit/Log.ts"
import { type Changed, layer, row, tagOf } from "../kit/Tree.ts"

const exited = new Reason.Exited({ status: 1, lastWords: "" })
const refused = (host: string) => new Reason.Refused({ authority: `${host}:554` })

/** A camera whose addresses answer until the test takes them down. */
const camera = (hosts: ReadonlyArray<string>, changed: Changed = {}) => {
  const fake = FakeEngine.make()
  const down = new Set<string>()
  /** Which address was probed when, in seconds. */
  const probes: Array<string> = []
  fake.answer = ({ url }) =>
    Effect.gen(function* () {
      probes.push(`${(yield* Clock.currentTimeMillis) / 1000} ${url.host}`)
      if (down.has(url.host)) return yield* Effect.fail(refused(url.host))
      return FakeEngine.offer
    })
  return {
    fake,
    down,
    probes,
    /** The hosts that were relayed, in order. */
    relayed: () => fake.relays.map(({ camera }) => camera.url.host),
    tree: layer(
      [fake],
      [row(1, { name: "Gate", url: hosts.map((host) => `rtsp://${host}/live`).join("\n") })],
      undefined,
      changed
    )
  }
}

describe("a camera with backup addresses", () => {
  it.effect(
    "tries the next address at once after three failures, and the first one after the last",
    () => {
      const { down, probes, tree } = camera(["a", "b"])
      down.add("a").add("b")
      return Effect.gen(function* () {
        yield* TestClock.adjust("31 seconds")
        // the delays go on where they were: no address of the camera answers
        assert.deepStrictEqual(probes, ["0 a", "1 a", "3 a", "3 b", "7 b", "15 b", "31 a"])
        assert.strictEqual(yield* tagOf(1), "Unreachable")
      }).pipe(Effect.provide(tree))
    }
  )

  it.effect(
    "leaves an address whose relays fail, and counts again after a minute of uptime",
    () => {
      const { fake, relayed, tree } = camera(["a", "b"])
      const run = (uptime: Duration.Input) =>
        Effect.gen(function* () {
          yield* TestClock.adjust(uptime)
          yield* fake.relays.at(-1)!.end(exited)
          yield* TestClock.adjust("5 seconds")
        })
      return Effect.gen(function* () {
        yield* run("20 seconds")
        yield* run("59999 millis")
        yield* run("1 minute")
        yield* run("20 seconds")
        assert.deepStrictEqual(relayed(), ["a", "a", "a", "a", "a"])
        yield* run("20 seconds")
        assert.deepStrictEqual(relayed(), ["a", "a", "a", "a", "a", "b"])
      }).pipe(Effect.provide(tree))
    }
  )

  for (const [what, reason] of [
    ["is gone", new Reason.ServerGone({ detail: "connection reset" })],
    ["accepts no data", new Reason.Stalled({ side: "output", afterMs: 10_000 })],
    ["requires credentials", new Reason.ServerUnauthorized({ credentials: "missing" })],
    ["rejects the stream", new Reason.ServerRejected({ status: 400, detail: "" })],
    ["has another publisher", new Reason.PublisherReplaced()]
  ] as const) {
    it.effect(`keeps its address when the media server ${what}, however often`, () => {
      const { fake, relayed, tree } = camera(["a", "b"])
      return Effect.gen(function* () {
        for (let n = 0; n < 6; n++) {
          yield* TestClock.adjust("1 second")
          yield* fake.relays.at(-1)!.end(reason)
          yield* TestClock.adjust("10 minutes")
        }
        assert.deepStrictEqual(new Set(relayed()), new Set(["a"]))
        assert.lengthOf(relayed(), 7)
      }).pipe(Effect.provide(tree))
    })
  }

  it.effect("leaves an address that stops sending", () => {
    const { fake, relayed, tree } = camera(["a", "b"])
    return Effect.gen(function* () {
      for (let n = 0; n < 3; n++) {
        yield* TestClock.adjust("1 second")
        yield* fake.relays.at(-1)!.end(new Reason.Stalled({ side: "input", afterMs: 10_000 }))
        yield* TestClock.adjust("5 seconds")
      }
      assert.deepStrictEqual(relayed(), ["a", "a", "a", "b"])
    }).pipe(Effect.provide(tree))
  })

  it.effect("never probes another address while the first is used", () => {
    const { probes, tree } = camera(["a", "b"])
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(probes, ["0 a"])
    }).pipe(Effect.provide(tree))
  })

  it.effect("returns to a preferred address that has answered for a minute", () =>
    Log.withLog((lines) => {
      const { down, fake, probes, relayed, tree } = camera(["a", "b"])
      down.add("a")
      return Effect.gen(function* () {
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(relayed(), ["b"])
        yield* TestClock.adjust("35 seconds")
        down.delete("a")
        probes.length = 0
        // every 30 s while it fails, then three times in the minute
        yield* TestClock.adjust("84999 millis")
        assert.deepStrictEqual(probes, ["63 a", "83 a", "103 a"])
        assert.isUndefined(fake.relays[0]!.endedAt)
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(probes.slice(3), ["123 a", "123 a"])
        assert.deepStrictEqual(relayed(), ["b", "a"])
        assert.strictEqual(fake.relays[0]!.endedAt, 123_000)
        assert.strictEqual(fake.mostAtATime.get("cam1"), 1)
        assert.deepStrictEqual(
          lines.filter((line) => line.includes("address")),
          [
            'Warn camera 1 "Gate": address 1 of 2 (a:554): connection refused by a:554; using address 2 of 2 (b:554)',
            'Info camera 1 "Gate": address 1 of 2 (a:554) answers again; using it instead of address 2 of 2 (b:554)'
          ]
        )
        // and one failure leads back
        down.add("a")
        yield* fake.relays[1]!.end(exited)
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(relayed(), ["b", "a", "b"])
      }).pipe(Effect.provide(tree))
    })
  )

  it.effect("stays with the backup while a preferred address answers now and then", () => {
    const { down, probes, relayed, tree } = camera(["a", "b"])
    down.add("a")
    return Effect.gen(function* () {
      yield* TestClock.adjust("3 seconds")
      for (let n = 0; n < 10; n++) {
        down.delete("a")
        yield* TestClock.adjust("70 seconds")
        down.add("a")
        yield* TestClock.adjust("50 seconds")
      }
      assert.deepStrictEqual(relayed(), ["b"])
      assert.isAbove(probes.length, 30)
    }).pipe(Effect.provide(tree))
  })

  it.effect("prefers the first address that answers, and moves on to better ones", () => {
    const { down, probes, relayed, tree } = camera(["a", "b", "c"])
    down.add("a").add("b")
    return Effect.gen(function* () {
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(relayed(), ["c"])
      down.delete("b")
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(relayed(), ["c", "b"])
      down.delete("a")
      probes.length = 0
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(relayed(), ["c", "b", "a"])
      // a preferred address that answers is enough: the others are not asked
      assert.isFalse(probes.some((probe) => probe.endsWith("b")))
    }).pipe(Effect.provide(tree))
  })

  it.effect(
    "probes preferred addresses by the schedule of a camera that is unreachable for long",
    () => {
      const { down, probes, tree } = camera(["a", "b"], {
        probe: { retryDelays: [Duration.seconds(1), Duration.seconds(10)], failoverAfter: 1 }
      })
      down.add("a")
      return Effect.gen(function* () {
        yield* TestClock.adjust("35 seconds")
        assert.deepStrictEqual(probes, ["0 a", "0 b", "10 a", "20 a", "30 a"])
      }).pipe(Effect.provide(tree))
    }
  )

  it.effect("reports an address that fails repeatedly once, and again after it was stable", () => {
    const { down, fake, tree } = camera(["a", "b"])
    const log = Log.make()
    const hasLeft = (host: string, other: string) =>
      `Warn camera 1 "Gate": address ${host === "a" ? 1 : 2} of 2 (${host}:554): connection refused by ${host}:554; using address ${other === "a" ? 1 : 2} of 2 (${other}:554)`
    /** One address goes, and the other is relayed instead. */
    const fail = (host: string, other: string) =>
      Effect.gen(function* () {
        down.delete(other)
        down.add(host)
        yield* fake.relays.at(-1)?.end(exited) ?? Effect.void
        // less than the time after which a preferred address is used again
        yield* TestClock.adjust("40 seconds")
        assert.strictEqual(fake.relays.at(-1)!.camera.url.host, other)
        assert.strictEqual(yield* tagOf(1), "Live")
      })
    const flapping = "; flapping; further messages suppressed until it is stable"
    return Effect.gen(function* () {
      yield* fail("a", "b")
      assert.deepStrictEqual(log.matching(/using/), [hasLeft("a", "b")])
      yield* fail("b", "a")
      yield* fail("a", "b")
      const flaps = log.matching(/using/)
      assert.lengthOf(flaps, 3)
      assert.strictEqual(flaps[2], `${hasLeft("a", "b")}${flapping}`)
      for (let n = 0; n < 3; n++) {
        yield* fail("b", "a")
        yield* fail("a", "b")
      }
      assert.lengthOf(log.matching(/using/), 4)
      yield* fail("b", "a")
      yield* TestClock.adjust("5 minutes")
      yield* fail("a", "b")
      assert.deepStrictEqual(log.matching(/using/).slice(4), [hasLeft("a", "b")])
      // the line belongs to the camera
      const { length } = log.everything().match(/using address.*"camera":"1"/g) ?? []
      assert.isAbove(length, 4)
    }).pipe(Effect.provide(tree), log.capture)
  })
})
