import { assert, describe, it } from "@effect/vitest"
import { ProbeError, ProbeLimiter, Reason } from "@restream/core"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"

const prober = { name: "native", slowAfter: Duration.seconds(1), concurrency: 32 }

/** Probes that count how many of them run. */
const counting = () => {
  const counts = { running: 0, most: 0 }
  const probe = (takes: number) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        counts.most = Math.max(counts.most, ++counts.running)
      }),
      () => Effect.sleep(takes),
      () => Effect.sync(() => counts.running--)
    )
  return { counts, probe }
}

const hosts = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.${index}:554`)

describe("ProbeLimiter", () => {
  it.effect("limits concurrent probes, in all and per host", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 4 }))
      const { counts, probe } = counting()
      const all = [...hosts(10), ...hosts(10)].map((host) => withPermit(host, prober)(probe(500)))
      const fiber = yield* Effect.forkChild(Effect.all(all, { concurrency: "unbounded" }))
      yield* TestClock.adjust("2499 millis")
      assert.strictEqual(counts.most, 4)
      yield* TestClock.adjust("1 millis")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("keeps the permit of the host after a probe until it is given back, or is slow", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 1 }))
      const releases: Array<Effect.Effect<void>> = []
      const keep = (release: Effect.Effect<void>) => void releases.push(release)
      const probe = Effect.forkChild(withPermit("a", prober, keep)(Effect.void))
      yield* Fiber.join(yield* probe)
      const second = yield* probe
      yield* TestClock.adjust("1 second")
      assert.isUndefined(second.pollUnsafe())
      // the place over all is free
      yield* withPermit("b", prober)(Effect.void)
      yield* releases[0]!
      yield* Fiber.join(second)
      const third = yield* probe
      const fourth = yield* probe
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(third.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(third.pollUnsafe())
      assert.isUndefined(fourth.pollUnsafe())
      // failures keep nothing
      yield* Effect.exit(withPermit("c", prober, keep)(Effect.fail("no")))
      yield* withPermit("c", prober)(Effect.void)
      assert.lengthOf(releases, 3)
    })
  )

  it.effect("does not let a slow probe delay other probes", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 4 }))
      const silent = counting()
      const good = counting()
      // four times as many silent cameras as there are places, in front of a good one
      const before = hosts(16).map((host) => withPermit(host, prober)(silent.probe(10_000)))
      yield* Effect.forkChild(Effect.all(before, { concurrency: "unbounded" }))
      yield* TestClock.adjust(0)
      const fiber = yield* Effect.forkChild(withPermit("10.0.1.1:554", prober)(good.probe(10)))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(silent.counts.running, 16)
      yield* TestClock.adjust("10 millis")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("does not let a slow probe delay a probe that waited for the host", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 1 }))
      const first = yield* Effect.forkChild(withPermit("a", prober)(Effect.never))
      yield* TestClock.adjust(0)
      yield* Effect.forkChild(withPermit("b", prober)(Effect.never))
      yield* TestClock.adjust("2 seconds")
      // both run, slow as they are; this one waits for its host alone
      const second = yield* Effect.forkChild(withPermit("a", prober)(Effect.void))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(second.pollUnsafe())
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 seconds")
      assert.isDefined(second.pollUnsafe())
    })
  )

  it.effect(
    "lets a channel that does not respond delay the others of its recorder for three seconds",
    () =>
      Effect.gen(function* () {
        const { withPermit } = ProbeLimiter.make()
        const silent = counting()
        const good = counting()
        const probes = (probe: Effect.Effect<void>, count: number) =>
          Effect.forkChild(
            Effect.all(
              Array.from({ length: count }, () => withPermit("recorder", prober)(probe)),
              {
                concurrency: "unbounded"
              }
            )
          )
        yield* probes(silent.probe(10_000), 1)
        yield* TestClock.adjust(0)
        const others = yield* probes(good.probe(50), 7)
        yield* TestClock.adjust("2999 millis")
        assert.strictEqual(good.counts.most, 0)
        yield* TestClock.adjust("351 millis")
        assert.isDefined(others.pollUnsafe())
        assert.strictEqual(good.counts.most, 1)
        assert.strictEqual(silent.counts.running, 1)

        yield* probes(silent.probe(60_000), 20)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(silent.counts.most, 1 + ProbeLimiter.slowShare)
      })
  )

  it.effect("withdraws the extra permit of a slow channel when its probe has ended", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make()
      const { counts, probe } = counting()
      const begin = (probe: Effect.Effect<void>) =>
        Effect.forkChild(withPermit("recorder", prober)(probe))
      yield* begin(Effect.sleep(4000))
      for (let n = 0; n < 3; n++) yield* begin(probe(2000))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(counts.running, 1)
      // the slow one ends at 4 s, the one that came into its room at 5 s: only then is the next one's turn
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(counts.running, 1)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(counts.running, 1)
      assert.strictEqual(counts.most, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(counts.running, 0)
    })
  )

  for (const perHost of [1, 2, 3]) {
    it.effect(
      `gives slow probes at most ${ProbeLimiter.slowShare} extra permits for each of ${perHost}`,
      () =>
        Effect.gen(function* () {
          const { withPermit } = ProbeLimiter.make(() => ({ perHost }))
          const hosts = ["recorder", "other"].map((host) => ({ host, ...counting() }))
          for (const { host, probe } of hosts) {
            for (let n = 0; n < 30; n++) {
              yield* Effect.forkChild(withPermit(host, prober)(probe(60_000)))
            }
          }
          yield* TestClock.adjust("59 seconds")
          for (const { counts } of hosts) {
            assert.strictEqual(counts.running, perHost * (1 + ProbeLimiter.slowShare))
          }
        })
    )
  }

  it.effect("finds slow probes in time, also while others wait for their host", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 1 }))
      const quick = { name: "native", slowAfter: Duration.millis(250), concurrency: 1 }
      yield* Effect.forkChild(withPermit("recorder", quick)(Effect.never))
      yield* TestClock.adjust(0)
      yield* Effect.forkChild(withPermit("recorder", quick)(Effect.never))
      yield* TestClock.adjust("100 millis")
      const other = yield* Effect.forkChild(withPermit("camera", quick)(Effect.void))
      yield* TestClock.adjust("149 millis")
      assert.isUndefined(other.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(other.pollUnsafe())
    })
  )

  for (const [what, reason] of [
    ["nothing accepts a connection", new Reason.TimedOut({ phase: "connecting", afterMs: 2000 })],
    ["there is no way to it", new Reason.HostUnreachable({ authority: "recorder:554" })],
    ["its name has no address", new Reason.DnsError({ host: "recorder", why: "NoSuchHost" })]
  ] as const) {
    it.effect(`fails all that wait for a host when ${what}, and probes again later`, () =>
      Effect.gen(function* () {
        const { withPermit } = ProbeLimiter.make()
        let begun = 0
        const probe = Effect.sync(() => begun++).pipe(
          Effect.andThen(Effect.sleep("2 seconds")),
          Effect.andThen(Effect.fail(new ProbeError({ reason })))
        )
        const channels = (host: string) =>
          Effect.forEach(
            Array.from({ length: 32 }),
            () => Effect.flip(withPermit(host, prober)(probe)),
            { concurrency: "unbounded" }
          ).pipe(Effect.forkChild)
        const other = yield* channels("other")
        const fiber = yield* channels("recorder")
        yield* TestClock.adjust("1999 millis")
        assert.strictEqual(begun, 2)
        yield* TestClock.adjust("1 millis")
        assert.isDefined(fiber.pollUnsafe())
        assert.strictEqual(begun, 2)
        const errors = [...(yield* Fiber.join(fiber)), ...(yield* Fiber.join(other))]
        assert.lengthOf(errors, 64)
        assert.isTrue(errors.every((error) => error.reason === reason))
        const again = yield* channels("recorder")
        yield* TestClock.adjust("1999 millis")
        assert.strictEqual(begun, 3)
        assert.isUndefined(again.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.isDefined(again.pollUnsafe())
      })
    )
  }

  it.effect("fails no other probe of a host for a failure that concerns one camera", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make()
      let begun = 0
      const reason = new Reason.TimedOut({ phase: "requesting the stream", afterMs: 1000 })
      const probe = Effect.sync(() => begun++).pipe(
        Effect.andThen(Effect.sleep("1 second")),
        Effect.andThen(Effect.fail(new ProbeError({ reason })))
      )
      const fiber = yield* Effect.forkChild(
        Effect.forEach(hosts(5), () => Effect.flip(withPermit("recorder", prober)(probe)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("5 seconds")
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(begun, 5)
    })
  )

  it.effect("limits the slow probes, and withdraws their extra permits", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 2 }))
      const { counts, probe } = counting()
      const most = 2 + 2 * ProbeLimiter.slowShare
      const slow = hosts(100).map((host) => withPermit(host, prober)(probe(60_000)))
      const fiber = yield* Effect.forkChild(Effect.all(slow, { concurrency: "unbounded" }))
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(counts.most, most)
      yield* TestClock.adjust("10 minutes")
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(counts.most, most)
      counts.most = 0
      const quick = hosts(100).map((host) => withPermit(host, prober)(probe(100)))
      yield* Effect.forkChild(Effect.all(quick, { concurrency: "unbounded" }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(counts.most, 2)
    })
  )

  it.effect("uses the limit of each engine where nothing is set", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make()
      const light = counting()
      const heavy = counting()
      const lightProber = { ...prober, name: "engine-1", concurrency: 30 }
      const heavyProber = { ...prober, name: "engine-2", concurrency: 4 }
      const all = hosts(40).flatMap((host) => [
        withPermit(host, lightProber)(light.probe(100)),
        withPermit(`heavy-${host}`, heavyProber)(heavy.probe(100))
      ])
      const fiber = yield* Effect.forkChild(Effect.all(all, { concurrency: "unbounded" }))
      yield* TestClock.adjust("20 seconds")
      assert.isDefined(fiber.pollUnsafe())
      assert.isAtMost(heavy.counts.most, 4)
      const fibers = yield* Effect.forkChild(
        Effect.forEach(hosts(40), (host) => withPermit(host, lightProber)(light.probe(1)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("2 millis")
      assert.isDefined(fibers.pollUnsafe())
      assert.strictEqual(light.counts.most, 30)
    })
  )

  it.effect("does not delay the probes of one engine by any number of probes of another", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make()
      const lightProber = { ...prober, name: "engine-3", concurrency: 128 }
      const heavyProber = { name: "native", slowAfter: Duration.seconds(3), concurrency: 32 }
      const dead = counting()
      const good = counting()
      yield* Effect.forkChild(
        Effect.forEach(hosts(1000), (host) => withPermit(host, heavyProber)(dead.probe(10_000)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("20 seconds")
      assert.isAtLeast(dead.counts.running, 32)
      const fibers = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 200 }, (_, index) => `10.0.1.${index}:554`),
          (host) => withPermit(host, lightProber)(good.probe(10)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("20 millis")
      assert.isDefined(fibers.pollUnsafe())
    })
  )

  it.effect("runs thousands of probes that end at once, in order", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 1 }))
      const order: Array<number> = []
      const first = yield* Effect.forkChild(withPermit("first", prober)(Effect.sleep(10)))
      yield* TestClock.adjust(0)
      const others = Array.from({ length: 20_000 }, (_, index) =>
        withPermit(`host-${index}`, prober)(Effect.sync(() => order.push(index)))
      )
      const fiber = yield* Effect.forkChild(Effect.all(others, { concurrency: "unbounded" }))
      yield* TestClock.adjust("9 millis")
      assert.deepStrictEqual(order, [])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      yield* Fiber.join(first)
      assert.deepStrictEqual(
        order,
        others.map((_, index) => index)
      )
    })
  )

  it.effect("releases the permit of an interrupted probe, also while it waits", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 1 }))
      const { counts, probe } = counting()
      const first = yield* Effect.forkChild(withPermit("a", prober)(probe(5000)))
      const other = yield* Effect.forkChild(withPermit("b", prober)(probe(500)))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(other)
      yield* Fiber.interrupt(first)
      assert.strictEqual(counts.running, 0)
      const third = yield* Effect.forkChild(withPermit("a", prober)(probe(10)))
      yield* TestClock.adjust("10 millis")
      assert.isDefined(third.pollUnsafe())
    })
  )

  it.effect("checks for slow probes only while a probe waits", () =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency: 1 }))
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (time: Duration.Duration) => {
          sleeps++
          return clock.sleep(time)
        }
      })
      const fibers = yield* Effect.forEach(hosts(2), (host) =>
        Effect.forkChild(withPermit(host, prober)(Effect.never))
      ).pipe(Effect.provideService(Clock.Clock, counting))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(sleeps, 1)
      // both run, and nobody waits
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(sleeps, 1)
      yield* Fiber.interruptAll(fibers)
    })
  )

  const unreachable = new Reason.HostUnreachable({ authority: "a" })

  const anyProbes = fc.record({
    concurrency: fc.integer({ min: 1, max: 3 }),
    perHost: fc.integer({ min: 1, max: 2 }),
    /** With the longer, places of hosts become free, too. */
    unitMs: fc.constantFrom(1, 1000),
    probes: fc.array(
      fc.record({
        host: fc.constantFrom("a", "b", "c", "d"),
        startsAt: fc.integer({ min: 0, max: 4 }),
        takes: fc.integer({ min: 0, max: 5 }),
        fails: fc.constantFrom(undefined, { reason: "its own" }, { reason: unreachable }),
        interruptedAfter: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined })
      }),
      { minLength: 1, maxLength: 30 }
    )
  })

  type Probes = typeof anyProbes extends fc.Arbitrary<infer Value> ? Value : never

  const runAll = ({ concurrency, perHost, probes, unitMs }: Probes) =>
    Effect.gen(function* () {
      const { withPermit } = ProbeLimiter.make(() => ({ concurrency, perHost }))
      const quick = { name: "native", slowAfter: Duration.millis(2 * unitMs), concurrency: 1 }
      const running = new Map<string, number>()
      const waiting = new Map<string, number>()
      let [done, most, mostAtHost] = [0, 0, 0]
      const totalOf = (counts: ReadonlyMap<string, number>) =>
        [...counts.values()].reduce((sum, one) => sum + one, 0)
      const addTo = (counts: Map<string, number>, host: string, by: number) =>
        Effect.sync(() => counts.set(host, (counts.get(host) ?? 0) + by))
      const add = (host: string, by: number) => addTo(running, host, by)
      /** A permit that nobody has is given to whoever waits for it: at no moment is it kept. */
      const assertBusy = () => {
        for (const [host, count] of waiting) {
          if (count === 0) continue
          const isFull = totalOf(running) >= concurrency || (running.get(host) ?? 0) >= perHost
          assert.isTrue(isFull, `${count} wait for ${host}, and permits are free`)
        }
      }
      const fiber = yield* Effect.forEach(
        probes,
        ({ fails, host, interruptedAfter, startsAt, takes }) => {
          let isWaiting = true
          const endWait = Effect.suspend(() => {
            if (!isWaiting) return Effect.void
            isWaiting = false
            return addTo(waiting, host, -1)
          })
          const probe = Effect.acquireUseRelease(
            Effect.andThen(endWait, add(host, 1)),
            () => {
              const all = [...running.values()]
              mostAtHost = Math.max(mostAtHost, ...all)
              most = Math.max(most, totalOf(running))
              const end = fails === undefined ? Effect.void : Effect.fail(fails)
              return takes === 0 ? end : Effect.andThen(Effect.sleep(takes * unitMs), end)
            },
            () => add(host, -1)
          ).pipe(
            withPermit(host, quick),
            Effect.ignore,
            (probe) => Effect.andThen(addTo(waiting, host, 1), probe),
            Effect.ensuring(endWait)
          )
          const one = Effect.gen(function* () {
            yield* Effect.sleep(startsAt * unitMs)
            const fiber = yield* Effect.forkChild(probe)
            if (interruptedAfter !== undefined) {
              yield* Effect.sleep(interruptedAfter * unitMs)
              yield* Fiber.interrupt(fiber)
            }
            yield* Fiber.await(fiber)
            done++
          })
          return one
        },
        { concurrency: "unbounded", discard: true }
      ).pipe(Effect.forkChild)
      for (let step = 0; step < 40; step++) {
        yield* TestClock.adjust(0)
        assertBusy()
        yield* TestClock.adjust(unitMs)
      }
      yield* TestClock.adjust(1000 * unitMs)
      assert.strictEqual(done, probes.length)
      assert.isAtMost(most, concurrency * (1 + ProbeLimiter.slowShare))
      assert.isAtMost(mostAtHost, perHost * (unitMs === 1 ? 1 : 1 + ProbeLimiter.slowShare))
      yield* Fiber.join(fiber)
      // and all places are free again
      const before = done
      yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: concurrency }, (_, index) => `host-${index}`),
          (host) => withPermit(host, quick)(Effect.sync(() => done++)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust(0)
      assert.strictEqual(done, before + concurrency)
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

  it("grants every probe a permit, at once where permits are free and within the limits, in any order of ends", () =>
    fc.assert(
      fc.asyncProperty(anyProbes, (all) => Effect.runPromise(runAll(all))),
      { numRuns: 300 }
    ))
})
