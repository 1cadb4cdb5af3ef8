import { assert, describe, it } from "@effect/vitest"
import {
  type CameraRow,
  type CameraSource,
  CameraSourceError,
  AccessDenied,
  Polling,
  Unavailable
} from "@restream/core"
import { Clock, Deferred, Effect, Fiber, Option, Queue, Ref, Stream } from "effect"
import { TestClock } from "effect/testing"
import { throwing, withLog } from "../kit/Log.ts"
import { blockEventLoop } from "../kit/EventLoop.ts"

const away = (detail: string) => new CameraSourceError({ reason: new Unavailable({ detail }) })
const denied = (detail: string) => new CameraSourceError({ reason: new AccessDenied({ detail }) })

/** A source whose rows are the number of looks taken so far. */
const counting = (options: Partial<Polling.PollingOptions> = {}) =>
  Effect.gen(function* () {
    const looks = yield* Ref.make(0)
    const source = yield* Polling.make({
      label: "database",
      fetchRows: Effect.map(
        Ref.updateAndGet(looks, (n) => n + 1),
        (id): ReadonlyArray<CameraRow> => [{ id }]
      ),
      ...options
    })
    return { looks: Ref.get(looks), source }
  })

describe("Polling", () => {
  it.effect("polls at once, then at every interval", () =>
    Effect.gen(function* () {
      const { looks } = yield* counting({ timing: Effect.succeed({ pollInterval: "10 seconds" }) })
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* looks, 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* looks, 1)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* looks, 2)
    })
  )

  it.effect("makes one poll for a thousand callers, started after the first request", () =>
    Effect.gen(function* () {
      const { looks, source } = yield* counting()
      yield* TestClock.adjust("1 second")
      const askers = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 1000 }), () => source.refresh, {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      const answers = yield* Fiber.join(askers)
      assert.strictEqual(yield* looks, 2)
      assert.isTrue(answers.every(({ rows }) => rows[0]?.["id"] === 2))
    })
  )

  it.effect("gives a caller that asks during a poll the result of the next poll", () =>
    Effect.gen(function* () {
      const gate = yield* Queue.unbounded<void>()
      const { source } = yield* counting({
        fetchRows: Effect.as(Queue.take(gate), [])
      })
      yield* TestClock.adjust(0)
      const asker = yield* Effect.forkChild(source.refresh)
      yield* TestClock.adjust(0)
      yield* Queue.offer(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.isUndefined(asker.pollUnsafe())
      yield* Queue.offer(gate, undefined)
      yield* TestClock.adjust(0)
      assert.isDefined(asker.pollUnsafe())
    })
  )

  it.effect("spends a fifth of the time on continuous requests", () =>
    Effect.gen(function* () {
      let looks = 0
      const { refresh } = yield* Polling.make({
        label: "database",
        fetchRows: Effect.delay(
          Effect.sync(() => {
            looks++
            return []
          }),
          "100 millis"
        )
      })
      yield* Effect.forkChild(Effect.forever(refresh))
      yield* TestClock.adjust("10 seconds")
      assert.isAtMost(looks, 21)
      assert.isAtLeast(looks, 15)
    })
  )

  it.effect("serves a burst of hints by few polls", () =>
    Effect.gen(function* () {
      const hints = yield* Queue.unbounded<Polling.Hint>()
      const { looks } = yield* counting({ hints: Stream.fromQueue(hints) })
      yield* TestClock.adjust("1 second")
      yield* Queue.offerAll(
        hints,
        Array.from({ length: 5000 }, () => "changed" as const)
      )
      yield* TestClock.adjust("1 second")
      assert.isAtMost(yield* looks, 3)
    })
  )

  it.effect(
    "logs once that the source is unreachable, with the time since the last successful read, and once that it is back",
    () =>
      withLog((lines) =>
        Effect.gen(function* () {
          const answer = yield* Ref.make<
            Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError>
          >(Effect.succeed([{ id: 1 }]))
          const source = yield* Polling.make({
            label: "database",
            fetchRows: Effect.flatten(Ref.get(answer))
          })
          yield* TestClock.adjust("35 seconds")
          yield* Ref.set(answer, Effect.fail(away("connection refused")))
          yield* TestClock.adjust("5 minutes")
          // away in other words is still away
          yield* Ref.set(answer, Effect.fail(away("the database system is starting up")))
          yield* TestClock.adjust("5 minutes")
          yield* Ref.set(answer, Effect.fail(denied("password authentication failed")))
          yield* TestClock.adjust("10 minutes")
          assert.strictEqual((yield* source.health)._tag, "Down")
          yield* Ref.set(answer, Effect.succeed([{ id: 1 }]))
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* source.health)._tag, "Up")
          assert.strictEqual(lines.length, 3)
          assert.match(
            lines[0]!,
            /^Error database: connection refused; running relays are unaffected; last successful read 10 s ago$/
          )
          assert.match(
            lines[1]!,
            /^Error database: password authentication failed; running relays are unaffected/
          )
          assert.match(lines[2]!, /^Info database: reachable again after 20 min.*, 1 rows$/)
        }).pipe(Effect.scoped)
      )
  )

  it.effect("logs that it waits where the source is unreachable from the start", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        yield* Polling.make({
          label: "database",
          fetchRows: Effect.fail(away("connection refused"))
        })
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(lines, [
          "Error database: connection refused; the camera list is not known yet; retrying"
        ])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("retries an unreachable source sooner than the interval, at first", () =>
    Effect.gen(function* () {
      const looks = yield* Ref.make(0)
      yield* Polling.make({
        label: "database",
        timing: Effect.succeed({ pollInterval: "1 hour" }),
        fetchRows: Effect.andThen(
          Ref.update(looks, (n) => n + 1),
          Effect.fail(away("refused"))
        )
      })
      yield* TestClock.adjust("8 seconds")
      assert.strictEqual(yield* Ref.get(looks), 4)
      yield* TestClock.adjust("10 minutes")
      assert.isAtLeast(yield* Ref.get(looks), 20)
    })
  )

  for (const [what, ask] of [
    ["whoever asks", (source) => source.refresh],
    ["whatever hints come", (_, hints) => Queue.offer(hints, "changed")]
  ] as ReadonlyArray<
    [
      string,
      (
        source: CameraSource["Service"],
        hints: Queue.Queue<Polling.Hint>
      ) => Effect.Effect<unknown, CameraSourceError>
    ]
  >) {
    it.effect(`retries an unreachable source by schedule, ${what}`, () =>
      Effect.gen(function* () {
        const looks: Array<number> = []
        const hints = yield* Queue.unbounded<Polling.Hint>()
        const source = yield* Polling.make({
          label: "database",
          timing: Effect.succeed({ pollInterval: "10 seconds" }),
          hints: Stream.fromQueue(hints),
          fetchRows: Effect.andThen(
            Effect.map(Clock.currentTimeMillis, (now) => looks.push(now)),
            Effect.fail(away("refused"))
          )
        })
        yield* Effect.forkScoped(
          Effect.ignore(ask(source, hints)).pipe(
            Effect.forkScoped,
            Effect.andThen(Effect.sleep("25 millis")),
            Effect.forever
          )
        )
        yield* TestClock.adjust("1 minute")
        // 50 ms of rest after each of them
        assert.deepStrictEqual(
          looks,
          [0, 1, 3, 7, 15, 25, 35, 45, 55].map((seconds, n) => seconds * 1000 + n * 50)
        )
      })
    )
  }

  it.effect("polls soon when a source that was unreachable reports that it is back", () =>
    Effect.gen(function* () {
      const hints = yield* Queue.unbounded<Polling.Hint>()
      let isAway = true
      const source = yield* Polling.make({
        label: "database",
        hints: Stream.fromQueue(hints),
        fetchRows: Effect.suspend(() =>
          isAway ? Effect.fail(away("refused")) : Effect.succeed([])
        )
      })
      yield* TestClock.adjust("5 minutes")
      isAway = false
      yield* Queue.offer(hints, "back")
      // without that any time has passed
      const snapshot = yield* Stream.runHead(source.snapshots)
      assert.deepStrictEqual(Option.getOrThrow(snapshot).takenAt, 300_000)
    })
  )

  it.effect("times out a poll that takes too long, and polls again", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const { source } = yield* counting({
        timing: Effect.succeed({ fetchTimeout: "3 seconds" }),
        fetchRows: Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      })
      yield* TestClock.adjust("3 seconds")
      yield* Deferred.await(interrupted)
      const health = yield* source.health
      assert.strictEqual(health._tag === "Down" && health.error.message, "no response within 3 s")
    })
  )

  it.live("reports no outage after a suspension of the process", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { source } = yield* counting({
          timing: Effect.succeed({ fetchTimeout: "400 millis" }),
          fetchRows: Effect.sleep("20 millis").pipe(
            Effect.andThen(blockEventLoop(1000)),
            Effect.andThen(Effect.sleep("20 millis")),
            Effect.as([{ id: 1 }])
          )
        })
        yield* Stream.runHead(source.snapshots)
        assert.deepStrictEqual(lines, [])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("polls after the first hint at once, and after continuous hints at a distance", () =>
    Effect.gen(function* () {
      const looks: Array<number> = []
      const hints = yield* Queue.unbounded<Polling.Hint>()
      const source = yield* Polling.make({
        label: "database",
        timing: Effect.succeed({ pollInterval: "1 hour" }),
        hints: Stream.fromQueue(hints),
        fetchRows: Effect.andThen(
          Effect.map(Clock.currentTimeMillis, (now) => looks.push(now)),
          Effect.as(Effect.sleep("100 millis"), [])
        )
      })
      yield* TestClock.adjust("10 seconds")
      yield* Queue.offer(hints, "changed")
      yield* TestClock.adjust(0)
      yield* Effect.forkScoped(
        Effect.forever(Effect.andThen(Effect.sleep("20 millis"), Queue.offer(hints, "changed")))
      )
      yield* TestClock.adjust("5 seconds")
      // 100 ms for the fetch, 50 ms between any two, 20 times 100 ms between two that hints ask for
      assert.deepStrictEqual(looks, [0, 10_000, 12_150, 14_300])
      // whoever needs the rows does not wait for that
      const asker = yield* Effect.forkChild(source.refresh)
      yield* TestClock.adjust("200 millis")
      assert.isDefined(asker.pollUnsafe())
    })
  )

  it.effect("continues with a logger that throws", () =>
    Effect.gen(function* () {
      let isAway = false
      const source = yield* Polling.make({
        label: "database",
        fetchRows: Effect.suspend(() =>
          isAway ? Effect.fail(away("refused")) : Effect.succeed([])
        )
      })
      yield* TestClock.adjust("1 second")
      isAway = true
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* source.health)._tag, "Down")
      isAway = false
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* source.health)._tag, "Up")
    }).pipe(Effect.scoped, Effect.provide(throwing))
  )

  it.effect("continues after a defect of the adapter", () =>
    Effect.gen(function* () {
      const looks = yield* Ref.make(0)
      const source = yield* Polling.make({
        label: "database",
        fetchRows: Effect.flatMap(
          Ref.updateAndGet(looks, (n) => n + 1),
          (n) => (n === 1 ? Effect.die(new Error("boom")) : Effect.succeed([]))
        )
      })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* source.health)._tag, "Up")
    })
  )
})
