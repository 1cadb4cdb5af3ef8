/** Cameras that come and go. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Reason, StatusStore } from "@restream/core"
import { RtspServer, type ServerEvent, TestPattern } from "@restream/core/testing"
import { Effect, Exit, Fiber, PubSub, Scope } from "effect"
import { TestClock } from "effect/testing"
import { withLog } from "../kit/Log.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as FakeEngine from "../kit/FakeEngine.ts"
import * as Tree from "../kit/Tree.ts"
import { addRows, database, idOf, row, settingsOf, start } from "../kit/Installation.ts"

const gone = new Reason.Closed({ phase: "streaming" })

/** A camera that lives for two seconds each time it is relayed, for an hour of virtual time. */
const flapForAnHour = (backoff: boolean) => {
  const fake = FakeEngine.make()
  return withLog((lines) =>
    Effect.gen(function* () {
      yield* TestClock.adjust(0)
      const flapping = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let n = 0; ; n++) {
            while (fake.relays[n] === undefined) yield* Effect.sleep("10 millis")
            yield* Effect.sleep("2 seconds")
            yield* fake.relays[n]!.end(gone)
          }
        })
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.interrupt(flapping)
      const store = yield* StatusStore
      const [status] = yield* store.all
      const duringFlaps = [...lines]
      const pauses = fake.relays
        .slice(1)
        .map(({ startedAt }, n) => Math.round((startedAt - fake.relays[n]!.endedAt!) / 1000))
      // then it holds
      yield* TestClock.adjust("3 minutes")
      return { fake, lines: [...lines], duringFlaps, pauses, status }
    }).pipe(
      Effect.provide(
        Tree.layer([fake], [Tree.row(1)], undefined, { relay: { restartBackoff: backoff } })
      )
    )
  )
}

describe("a camera that is live for two seconds at a time, for an hour", () => {
  it.effect("is restarted after 5 s five times, then with longer delays, up to 60 s", () =>
    Effect.gen(function* () {
      const { duringFlaps, fake, lines, pauses, status } = yield* flapForAnHour(true)
      assert.deepStrictEqual(pauses.slice(0, 9), [5, 5, 5, 5, 10, 20, 40, 60, 60])
      assert.isTrue(pauses.slice(7).every((pause) => pause === 60))
      // five at 5 s with the first, and one a minute
      assert.isAbove(pauses.length, 55)
      assert.isBelow(pauses.length, 70)
      assert.strictEqual(fake.mostAtATime.get("cam1"), 1)
      assert.strictEqual(
        status?.restarts.total,
        pauses.length + (status?.state._tag === "Restarting" ? 1 : 0)
      )
      assert.strictEqual(status?.health, "poor")
      // an hour in four lines, and one when it is over
      assert.lengthOf(
        duringFlaps.filter((line) => /^\w+ camera 1 /.test(line)),
        4
      )
      assert.match(
        duringFlaps.at(-1)!,
        /^Warn .*flapping; further messages suppressed until it is stable/
      )
      assert.match(
        lines.at(-1)!,
        /^Info camera 1 "Camera 1": stable; health poor: \d+ restarts in the last hour/
      )
      assert.lengthOf(lines, duringFlaps.length + 1)
    })
  )

  it.effect("is always restarted after 5 s where the backoff is disabled", () =>
    Effect.gen(function* () {
      const { duringFlaps, fake, pauses } = yield* flapForAnHour(false)
      assert.isTrue(pauses.every((pause) => pause === 5))
      assert.isAbove(pauses.length, 500)
      assert.strictEqual(fake.mostAtATime.get("cam1"), 1)
      assert.lengthOf(
        duringFlaps.filter((line) => /^\w+ camera 1 /.test(line)),
        4
      )
    })
  )

  it.effect("is restarted after 5 s again once it was healthy for 60 s", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* TestClock.adjust(0)
      const live = (n: number, lifeMs: number) =>
        Effect.gen(function* () {
          yield* TestClock.adjust(lifeMs)
          yield* fake.relays[n]!.end(gone)
          yield* TestClock.adjust("60 seconds")
          return (fake.relays[n + 1]!.startedAt - fake.relays[n]!.endedAt!) / 1000
        })
      for (let n = 0; n < 8; n++) {
        yield* TestClock.adjust("2 seconds")
        yield* fake.relays[n]!.end(gone)
        yield* TestClock.adjust(1)
        while (fake.relays.length === n + 1) yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(yield* live(8, 2000), 60)
      // short of health by a second, and healthy
      assert.strictEqual(yield* live(9, 59_000), 60)
      assert.strictEqual(yield* live(10, 60_000), 5)
    }).pipe(Effect.provide(Tree.layer([fake], [Tree.row(1)])))
  })
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("a camera", (it) => {
  it.effect("a flapping camera never has two relays, and each restart is counted", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      // a second publisher of a path would be refused, and seen
      const sink = yield* RtspServer.make({ overridePublisher: "reject" })
      const events = yield* sink.events
      const engines = ["native", "ffmpeg"] as const
      const cameras = yield* Effect.forEach(engines, () => RtspServer.make())
      yield* addRows(
        sql,
        cameras.map((server, n) =>
          row(n + 1, server.url("cam"), { options: { engine: engines[n] } })
        )
      )
      const tree = yield* start(
        settingsOf(dsn, sink.port, {
          relay: { restartDelay: "300 millis", restartMaxDelay: "600 millis" },
          probe: { retryDelays: ["300 millis"] }
        })
      )
      for (let n = 0; n < 3; n++) {
        const scope = yield* Scope.make()
        yield* Effect.forEach(cameras, (server) =>
          Scope.provide(TestPattern.publish(server, "cam"), scope)
        )
        yield* tree.awaitState(1, "Live")
        yield* tree.awaitState(2, "Live")
        yield* Scope.close(scope, Exit.void)
        // each has been tried again in vain
        yield* tree.awaitState(1, "Unreachable")
        yield* tree.awaitState(2, "Unreachable")
      }
      yield* Effect.forEach(cameras, (server) => TestPattern.publish(server, "cam"))
      yield* tree.awaitState(1, "Live")
      yield* tree.awaitState(2, "Live")

      const publishing = new Map<string, number>()
      for (const event of yield* PubSub.takeAll(events)) {
        assert.isTrue(isOrderly(event, publishing), JSON.stringify(event))
      }
      assert.deepStrictEqual([...publishing.values()], [1, 1])
      for (const id of [1, 2]) {
        const status = yield* tree.status.get(idOf(id))
        const entered = tree.history.filter(
          (change) => change.id === idOf(id) && change.to?._tag === "Restarting"
        )
        assert.strictEqual(status?.restarts.total, entered.length)
        if (id === 1) assert.strictEqual(entered.length, 3)
        // began, was over, came and went; or was away, over, came and went
        assert.isAtMost(tree.log.matching(new RegExp(`camera ${id} `)).length, 6)
      }
    })
  )
})

/** Counts the publishers of each path; false where one comes beside another. */
const isOrderly = (event: ServerEvent, publishing: Map<string, number>): boolean => {
  if (event._tag === "Publishing") {
    const count = (publishing.get(event.path) ?? 0) + 1
    publishing.set(event.path, count)
    return count === 1
  }
  if (event._tag === "Ended" && event.was === "publisher" && event.path !== undefined) {
    publishing.set(event.path, Math.max(0, (publishing.get(event.path) ?? 0) - 1))
  }
  return event._tag !== "Request" || event.method !== "RECORD" || event.status === 200
}
