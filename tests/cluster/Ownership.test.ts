/** The supervisor and the camera fibers under an ownership that a test changes. */
import { assert, describe, it } from "@effect/vitest"
import {
  type CameraId,
  Ownership,
  type OwnershipChange,
  type OwnershipService,
  Reason,
  ShardLeases
} from "@restream/core"
import {
  Deferred,
  Duration,
  Effect,
  Exit,
  Layer,
  Queue,
  Scope,
  Stream,
  SubscriptionRef
} from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { withLog } from "../kit/Log.ts"
import { layer, row, setRows, stateOf, tagOf } from "../kit/Tree.ts"

interface State {
  /** The shards that are ours; odd cameras are in shard 1, even ones in shard 0. */
  readonly shards: ReadonlyArray<number>
  /** Whether a relay may start after this end. */
  readonly mayStart: (lastEnd: Reason.Reason | undefined) => boolean
}

const fakeOwnership = (shards: ReadonlyArray<number> | undefined) => {
  const state = Effect.runSync(
    SubscriptionRef.make<State | undefined>(
      shards === undefined ? undefined : { shards, mayStart: () => true }
    )
  )
  const isOurs = (id: CameraId) =>
    SubscriptionRef.getUnsafe(state)?.shards.includes(Number(id) % 2) === true
  const ownership: OwnershipService = {
    isOurs,
    changes: Stream.map(
      Stream.filter(SubscriptionRef.changes(state), (now) => now !== undefined),
      () => ({})
    ),
    mayStart: (id, lastEnd) =>
      isOurs(id) && SubscriptionRef.getUnsafe(state)?.mayStart(lastEnd) === true,
    permit: (id, lastEnd) =>
      SubscriptionRef.changes(state).pipe(
        Stream.filter((now) => isOurs(id) && now?.mayStart(lastEnd) === true),
        Stream.take(1),
        Stream.runDrain
      ),
    activeDaemon: Effect.succeed(undefined)
  }
  return {
    layer: Layer.succeed(Ownership, ownership),
    setShards: (next: ReadonlyArray<number>) =>
      SubscriptionRef.update(state, (now) => ({ mayStart: () => true, ...now, shards: next })),
    setMayStart: (mayStart: State["mayStart"]) =>
      SubscriptionRef.update(state, (now) => ({ shards: [], ...now, mayStart }))
  }
}

const settle = TestClock.adjust("1 second")

describe("Ownership", () => {
  it.effect("relays the cameras of its shards, and restarts no others when a shard moves", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      const ownership = fakeOwnership([0])
      return Effect.gen(function* () {
        yield* settle
        assert.deepStrictEqual(
          fake.relays.map(({ camera }) => camera.id),
          ["2", "4"]
        )
        assert.isUndefined(yield* stateOf(1))
        yield* ownership.setShards([0, 1])
        yield* settle
        assert.deepStrictEqual(
          fake.relays.map(({ camera }) => camera.id),
          ["2", "4", "1", "3"]
        )
        yield* ownership.setShards([1])
        yield* settle
        assert.deepStrictEqual(
          fake.relays.map(({ endedAt }) => endedAt !== undefined),
          [true, true, false, false]
        )
        assert.isUndefined(yield* stateOf(2))
        yield* setRows([row(1), row(2), row(4)])
        yield* settle
        yield* ownership.setShards([])
        yield* settle
        assert.deepStrictEqual(
          lines.filter((line) => / cameras?[,:]/.test(line)),
          [
            'Info 4 cameras, 2 relayed by another daemon: started 2 cameras: 2 "Camera 2", 4 "Camera 4"',
            'Info 4 cameras: started 2 cameras: 1 "Camera 1", 3 "Camera 3"',
            'Info 4 cameras, 2 relayed by another daemon: 2 cameras moved to another daemon: 2 "Camera 2", 4 "Camera 4"',
            'Info 3 cameras, 2 relayed by another daemon: camera 3 "Camera 3" removed from the table',
            'Info 3 cameras, all relayed by another daemon: camera 1 "Camera 1" moved to another daemon'
          ]
        )
      }).pipe(
        Effect.provide(
          layer(
            [fake],
            [1, 2, 3, 4].map((id) => row(id))
          ).pipe(Layer.provide(ownership.layer))
        )
      )
    })
  )

  it.effect("stops all cameras that another daemon relays at once, however many they are", () => {
    const fake = FakeEngine.make()
    const ownership = fakeOwnership([0, 1])
    const rows = Array.from({ length: 20 }, (_, index) => row(index + 1))
    return Effect.gen(function* () {
      yield* settle
      assert.lengthOf(fake.relays, 20)
      // a set that is held as a mass mistake holds nothing of this back
      yield* setRows([])
      yield* settle
      assert.lengthOf(
        fake.relays.filter(({ endedAt }) => endedAt === undefined),
        20
      )
      yield* ownership.setShards([])
      yield* settle
      assert.isEmpty(fake.relays.filter(({ endedAt }) => endedAt === undefined))
    }).pipe(Effect.provide(layer([fake], rows).pipe(Layer.provide(ownership.layer))))
  })

  it.effect("holds back what a mistake would stop, beside the cameras that moved", () => {
    const fake = FakeEngine.make()
    const ownership = fakeOwnership([0, 1])
    const rows = Array.from({ length: 40 }, (_, index) => row(index + 1))
    const running = () =>
      fake.relays.filter(({ endedAt }) => endedAt === undefined).map(({ camera }) => camera.id)
    return Effect.gen(function* () {
      yield* settle
      assert.lengthOf(running(), 40)
      yield* setRows([])
      yield* settle
      yield* ownership.setShards([1])
      yield* settle
      assert.deepStrictEqual(
        running(),
        rows.map(({ id }) => String(id)).filter((id) => Number(id) % 2 === 1)
      )
      yield* TestClock.adjust("2 minutes")
      assert.isEmpty(running())
    }).pipe(Effect.provide(layer([fake], rows).pipe(Layer.provide(ownership.layer))))
  })

  it.effect("starts no camera before the shards of the node are known", () => {
    const fake = FakeEngine.make()
    const ownership = fakeOwnership(undefined)
    return Effect.gen(function* () {
      yield* settle
      assert.isEmpty(fake.probes)
      yield* ownership.setShards([0, 1])
      yield* settle
      assert.lengthOf(fake.relays, 1)
    }).pipe(Effect.provide(layer([fake], [row(1)]).pipe(Layer.provide(ownership.layer))))
  })

  it.effect(
    "waits for the permit without a connection, and takes a permit that is gone seriously",
    () => {
      const fake = FakeEngine.make()
      const ownership = fakeOwnership([0, 1])
      return Effect.gen(function* () {
        fake.answer = () => Effect.as(Effect.sleep("2 seconds"), FakeEngine.offer)
        yield* TestClock.adjust("1 second")
        assert.lengthOf(fake.probes, 1)
        yield* ownership.setMayStart(() => false)
        yield* TestClock.adjust("1 minute")
        // the camera answered meanwhile, and nothing was published
        assert.isEmpty(fake.relays)
        assert.lengthOf(fake.probes, 1)
        assert.deepStrictEqual(yield* stateOf(1), { _tag: "Waiting", for: "ownership" })
        yield* ownership.setMayStart(() => true)
        yield* TestClock.adjust("2 seconds")
        assert.lengthOf(fake.probes, 2)
        assert.strictEqual(yield* tagOf(1), "Live")
      }).pipe(Effect.provide(layer([fake], [row(1)]).pipe(Layer.provide(ownership.layer))))
    }
  )

  it.effect("asks for the permit with the reason why the last relay ended", () => {
    const fake = FakeEngine.make()
    const ownership = fakeOwnership([0, 1])
    return Effect.gen(function* () {
      yield* ownership.setMayStart((lastEnd) => lastEnd?._tag !== "PublisherReplaced")
      yield* settle
      yield* fake.relays[0]!.end(new Reason.Exited({ status: 1, lastWords: "" }))
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(fake.relays, 2)
      yield* fake.relays[1]!.end(new Reason.PublisherReplaced())
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(fake.relays, 2)
      assert.deepStrictEqual(yield* stateOf(1), { _tag: "Waiting", for: "ownership" })
      yield* ownership.setMayStart(() => true)
      yield* settle
      assert.lengthOf(fake.relays, 3)
    }).pipe(Effect.provide(layer([fake], [row(1)]).pipe(Layer.provide(ownership.layer))))
  })

  it.effect("while the tree closes, no shard is free before its cameras have ended", () => {
    const fake = FakeEngine.make()
    fake.endingTakes = 5_000
    return Effect.gen(function* () {
      const leases = yield* ShardLeases.make({
        shards: 1,
        lease: Duration.hours(1),
        whenDatabaseIsAway: "keep"
      })
      yield* leases.confirmed(leases.nowMs())
      yield* leases.granted([1])
      const tree = yield* Scope.make()
      const ownership = Layer.succeed(Ownership, leases.ownership)
      yield* Layer.buildWithScope(layer([fake], [row(1)]).pipe(Layer.provide(ownership)), tree)
      yield* settle
      assert.lengthOf(fake.relays, 1)
      yield* Effect.forkChild(Scope.close(tree, Exit.void))
      yield* settle
      let isEnded = false
      yield* Effect.forkChild(
        Effect.tap(leases.end([1]), () => Effect.sync(() => (isEnded = true)))
      )
      yield* settle
      const during = { relay: fake.relays[0]?.endedAt, isEnded }
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(during, { relay: undefined, isEnded: false })
      assert.isDefined(fake.relays[0]?.endedAt)
      assert.isTrue(isEnded)
    })
  })

  it.effect("moves one shard with all streams of its cameras, and reports when they ended", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      const changes = Effect.runSync(Queue.unbounded<OwnershipChange>())
      const ours = new Set([0, 1])
      const asked: Array<string> = []
      const shardOf = (id: CameraId) => Number(id) % 2
      const ownership: OwnershipService = {
        isOurs: (id) => {
          asked.push(id)
          return ours.has(shardOf(id))
        },
        shardOf,
        changes: Stream.fromQueue(changes),
        mayStart: () => true,
        permit: () => Effect.void,
        activeDaemon: Effect.succeed(undefined)
      }
      const running = () =>
        fake.relays.filter(({ endedAt }) => endedAt === undefined).map(({ camera }) => camera.id)
      const rows = [row(1, { streams: "main,sub", url_sub: "rtsp://10.0.0.1/sub" }), row(2), row(3)]
      return Effect.gen(function* () {
        yield* Queue.offer(changes, {})
        yield* settle
        assert.deepStrictEqual(running(), ["1", "1:sub", "2", "3"])
        const ended = yield* Deferred.make<ReadonlyArray<string>>()
        fake.endingTakes = 5_000
        asked.length = 0
        ours.delete(1)
        yield* Queue.offer(changes, {
          shards: [1],
          settled: Effect.suspend(() => Deferred.succeed(ended, running()))
        })
        yield* settle
        fake.endingTakes = 0
        assert.isFalse(yield* Deferred.isDone(ended))
        assert.notInclude(asked, "2")
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* Deferred.await(ended), ["2"])
        ours.add(1)
        yield* Queue.offer(changes, { shards: [1], isHandOver: true })
        yield* settle
        assert.deepStrictEqual(running(), ["2", "1", "1:sub", "3"])
        yield* settle
        assert.deepStrictEqual(
          lines.filter((line) => line.includes("moved")),
          [
            "Info cameras moved: 0 to this daemon, 3 to others; relaying 1 of 4",
            "Info cameras moved: 3 to this daemon, 0 to others; relaying 4 of 4"
          ]
        )
      }).pipe(
        Effect.provide(layer([fake], rows).pipe(Layer.provide(Layer.succeed(Ownership, ownership))))
      )
    })
  )

  it.effect("stops and starts only cameras whose rows it has read", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      const changes = Effect.runSync(Queue.unbounded<OwnershipChange>())
      const ours = new Map([[0, {}]])
      const shardOf = (id: CameraId) => Number(id) % 2
      const ownership: OwnershipService = {
        isOurs: (id) => ours.has(shardOf(id)),
        shardOf,
        shards: { count: 2, ours: () => ours, came: Stream.never },
        changes: Stream.fromQueue(changes),
        mayStart: () => true,
        permit: () => Effect.void,
        activeDaemon: Effect.succeed(undefined)
      }
      let shards = new Set([0])
      const running = () =>
        fake.relays.filter(({ endedAt }) => endedAt === undefined).map(({ camera }) => camera.id)
      const read = (known: ReadonlyArray<number>, ...ids: ReadonlyArray<number>) => {
        shards = new Set(known)
        return Effect.andThen(setRows(ids.map((id) => row(id))), settle)
      }
      const move = (change: OwnershipChange) => Effect.andThen(Queue.offer(changes, change), settle)
      return Effect.gen(function* () {
        yield* move({})
        assert.deepStrictEqual(running(), ["2"])
        ours.set(1, {})
        yield* move({ shards: [1], isHandOver: true })
        yield* read([0], 2, 4)
        assert.deepStrictEqual(running(), ["2", "4"])
        yield* read([0, 1], 2, 4, 1, 3)
        assert.deepStrictEqual(running(), ["2", "4", "1", "3"])
        // a read that was begun before the shard came
        yield* read([0], 2, 4)
        assert.deepStrictEqual(running(), ["2", "4", "1", "3"])
        yield* read([0, 1], 2, 4, 1)
        assert.deepStrictEqual(running(), ["2", "4", "1"])
        ours.delete(1)
        yield* move({ shards: [1] })
        assert.deepStrictEqual(running(), ["2", "4"])
        // what is known of the camera may be old by now
        ours.set(1, {})
        yield* move({ shards: [1] })
        assert.deepStrictEqual(running(), ["2", "4"])
        yield* read([0, 1], 2, 4, 1)
        assert.deepStrictEqual(running(), ["2", "4", "1"])
        yield* settle
        assert.deepStrictEqual(
          lines.filter((line) => line.includes("cameras moved")),
          [
            "Info cameras moved: 2 to this daemon, 0 to others; relaying 4",
            "Info cameras moved: 0 to this daemon, 1 to others; relaying 2",
            "Info cameras moved: 1 to this daemon, 0 to others; relaying 3"
          ]
        )
      }).pipe(
        Effect.provide(
          layer([fake], [row(2)], undefined, undefined, (own) => ({
            ...own,
            snapshots: Stream.map(own.snapshots, (snapshot) => ({ ...snapshot, shards }))
          })).pipe(Layer.provide(Layer.succeed(Ownership, ownership)))
        )
      )
    })
  )
})
