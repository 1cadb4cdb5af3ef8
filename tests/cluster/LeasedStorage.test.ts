/** The locks of a node on a real PostgreSQL: each rule of `LeasedStorage`, `ShardLeases` and `Nodes`. */
import { assert, layer } from "@effect/vitest"
import {
  type CameraId,
  Cluster,
  ClusterTables,
  LeasedStorage,
  LockSession,
  Nodes,
  OneHolder,
  type OwnershipChange,
  Reason,
  Shard,
  ShardLeases
} from "@restream/core"
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Fiber, Layer, Option, Queue, Redacted, Stream } from "effect"
import { PersistenceError } from "effect/cluster/ClusterError"
import { make as makeRunner } from "effect/cluster/Runner"
import { make as makeAddress } from "effect/cluster/RunnerAddress"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import * as ShardId from "effect/cluster/ShardId"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import { SqlClient } from "effect/sql/SqlClient"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { makeProxy } from "./FaultSite.ts"
import * as TransactionPooler from "./TransactionPooler.ts"

const lease = Duration.seconds(1.5)
const shards = 20
const group = Nodes.groupOf(shards, "advisory")
const ids = (...numbers: ReadonlyArray<number>) => numbers.map((n) => ShardId.make(group, n))
const numbers = (shardIds: ReadonlyArray<ShardId.ShardId>) => shardIds.map(({ id }) => id)

/** A database with the tables of a cluster. */
const database = Effect.gen(function* () {
  const dsn = yield* freshDatabase
  const sql = yield* client(dsn)
  yield* Effect.provideService(Cluster.createTables("restream"), PgClient.PgClient, sql)
  return { dsn, sql }
})

const runnerOf = (
  name: string,
  { group: own = group, ...facts }: Nodes.NodeFacts & { readonly group?: string } = {}
) =>
  makeRunner({
    address: makeAddress(name, 0),
    groups: [own, ...Nodes.groupsOf(facts)],
    weight: 1
  })

/** The storage of the engine, on a client of its own, and what gives several of its locks back. */
const storageOf = Effect.fnUntraced(function* (
  dsn: Redacted.Redacted,
  locks: Nodes.LockKind = "advisory"
) {
  const session = LockSession.make(yield* client(dsn), { locks, tablePrefix: "restream" })
  const config = ShardingConfig.layer({
    availableShardGroups: [group],
    assignedShardGroups: [group],
    shardsPerGroup: shards,
    shardLockExpiration: lease,
    shardLockRefreshInterval: Duration.divideUnsafe(lease, 3),
    shardLockDisableAdvisory: locks === "rows"
  })
  const built = yield* Layer.build(
    SqlRunnerStorage.layerStorage({ prefix: "restream" }).pipe(
      Layer.provide([config, Layer.succeed(SqlClient, session.client)])
    )
  )
  return { session, storage: Context.get(built, RunnerStorage) }
})

/** A node without an engine: the test asks in its place, and ends the cameras. */
const node = Effect.fnUntraced(function* (
  dsn: Redacted.Redacted,
  name: string,
  whenDatabaseIsAway: "keep" | "stop" = "keep",
  locks: Nodes.LockKind = "advisory"
) {
  const { session, storage: real } = yield* storageOf(dsn, locks)
  const faults = { isAway: false, failures: 0 }
  /** How many locks each query gave back. */
  const released: Array<number> = []
  const orFail = <A>(effect: Effect.Effect<A, PersistenceError>) =>
    Effect.suspend(() => {
      if (!faults.isAway) return effect
      faults.failures++
      return Effect.fail(new PersistenceError({ cause: "away" }))
    })
  const storage = RunnerStorage.of({
    ...real,
    acquire: (address, shardIds) => orFail(real.acquire(address, shardIds)),
    refresh: (address, shardIds) => orFail(real.refresh(address, shardIds)),
    release: (address, shardId) => {
      released.push(1)
      return real.release(address, shardId)
    },
    getRunners: orFail(real.getRunners)
  })
  const self = runnerOf(name)
  const leases = yield* ShardLeases.make({ shards, lease, whenDatabaseIsAway })
  const nodes = yield* Nodes.make(storage, self, lease, ({ nodes }) =>
    leases.setHasOthers(nodes.length > 1)
  )
  const options = {
    address: self.address,
    group,
    lease,
    whenDatabaseIsAway,
    releaseLocks: ((address, shardIds) =>
      Effect.tap(session.release(address, shardIds), () =>
        Effect.sync(() => released.push(shardIds.length))
      )) satisfies LockSession.ReleaseLocks,
    endEarlierSessions: session.endEarlier()
  }
  const { drain, storage: leased } = yield* LeasedStorage.make(storage, leases, nodes, options)
  const changes = yield* Queue.unbounded<OwnershipChange>()
  yield* Effect.forkScoped(
    Stream.runForEach(leases.ownership.changes, (change) => Queue.offer(changes, change)),
    { startImmediately: true }
  )
  yield* Queue.take(changes)
  yield* leased.register(self, true)
  return {
    leases,
    nodes,
    drain,
    faults,
    released,
    self,
    /** The next shards whose cameras are to end, with what says that they have ended. */
    takeEnding: Effect.repeat(Queue.take(changes), {
      until: ({ settled }) => settled !== undefined
    }),
    held: () => leases.held().map(({ shard }) => shard),
    acquire: (...n: ReadonlyArray<number>) =>
      Effect.map(leased.acquire(self.address, ids(...n)), numbers),
    refresh: (...n: ReadonlyArray<number>) =>
      Effect.map(leased.refresh(self.address, ids(...n)), numbers),
    releaseAll: leased.releaseAll(self.address),
    release: (n: number) => leased.release(self.address, ids(n)[0]!),
    getRunners: Effect.map(leased.getRunners, (found) =>
      found.map(([{ address }]) => address.host).sort()
    )
  }
})

/** The shards that are locked in the database. */
const locked = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<{ readonly shard: number }>`select objid::int - 1000000 as shard from pg_locks
      where locktype = 'advisory' and objsubid = 2 and granted
        and database = (select oid from pg_database where datname = current_database())
      order by 1`,
    (rows) => rows.map(({ shard }) => shard)
  )

/** Ends the sessions that hold locks, as an administrator or a firewall does. */
const endSessions = (sql: PgClient.PgClient) =>
  sql`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 2
    and database = (select oid from pg_database where datname = current_database())`

const eventually = <E>(condition: Effect.Effect<boolean, E>) =>
  Effect.repeat(Effect.delay(condition, "10 millis"), { until: (holds) => holds })

/** A camera of each shard. */
const cameraOf = (shard: number): CameraId => {
  for (let id = 1; ; id++) {
    if (Shard.shardOf(String(id), shards) === shard) return String(id) as CameraId
  }
}

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect("a camera has the same shard in SQL, and the shards have alike many cameras", () =>
    Effect.gen(function* () {
      const { sql } = yield* database
      const rows = yield* sql.unsafe<{ id: number; shard: number }>(
        `select id, ${Shard.shardSql("id", 300)} as shard from generate_series(1, 9000) id`
      )
      const counts = new Map<number, number>()
      for (const { id, shard } of rows) {
        assert.strictEqual(shard, Shard.shardOf(String(id), 300))
        counts.set(shard, (counts.get(shard) ?? 0) + 1)
      }
      assert.strictEqual(counts.size, 300)
      assert.isBelow(Math.max(...counts.values()), 60)
    })
  )

  it.effect("the printed statements create the tables that db init --cluster creates", () =>
    Effect.gen(function* () {
      const columnsOf = (sql: PgClient.PgClient) =>
        sql`select table_name, column_name, data_type, is_nullable, column_default
            from information_schema.columns where table_schema = 'public' order by 1, 2`
      const created = yield* columnsOf((yield* database).sql)
      const sql = yield* client(yield* freshDatabase)
      for (const statement of yield* ClusterTables.tableStatements("restream")) {
        yield* sql.unsafe(statement)
      }
      assert.deepStrictEqual(yield* columnsOf(sql), created)
      // nothing is left to do
      yield* Effect.provideService(Cluster.createTables("restream"), PgClient.PgClient, sql)
    })
  )

  it.effect(
    "locks are given back after the cameras of their shards have ended, a few at a time",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const a = yield* node(dsn, "a")
        const held = Array.from({ length: 14 }, (_, index) => index + 1)
        assert.sameMembers(yield* a.acquire(...held), held)
        assert.isTrue(a.leases.ownership.isOurs(cameraOf(1)))
        const releases = yield* Effect.forEach(held, (shard) =>
          Effect.forkChild(a.release(shard), { startImmediately: true })
        )
        const wave = yield* Effect.replicateEffect(a.takeEnding, 12)
        assert.isFalse(a.leases.ownership.isOurs(cameraOf(1)))
        assert.isTrue(a.leases.ownership.isOurs(cameraOf(14)))
        assert.deepStrictEqual(yield* locked(sql), held)
        for (const { settled } of wave) yield* settled!
        for (const { settled } of yield* Effect.replicateEffect(a.takeEnding, 2)) yield* settled!
        yield* Fiber.joinAll(releases)
        assert.isEmpty(yield* locked(sql))
        assert.isEmpty(a.held())
        // the locks of one wave by one query
        assert.isBelow(a.released.length, 6)
      })
  )

  it.effect("a camera that does not end delays no other lock", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const a = yield* node(dsn, "a")
      yield* a.acquire(1, 2, 3)
      yield* Effect.forEach([1, 2, 3], (shard) =>
        Effect.forkChild(a.release(shard), { startImmediately: true })
      )
      const [, ...others] = yield* Effect.replicateEffect(a.takeEnding, 3)
      for (const { settled } of others) yield* settled!
      yield* eventually(Effect.map(locked(sql), (now) => now.length === 1))
      assert.deepStrictEqual(yield* locked(sql), [1])
    })
  )

  it.effect("rows are given back as advisory locks are, and only those of this node", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const a = yield* node(dsn, "a", "keep", "rows")
      const b = yield* node(dsn, "b", "keep", "rows")
      yield* a.acquire(1, 2, 3)
      yield* b.acquire(4)
      const releases = yield* Effect.forEach([1, 2], (shard) =>
        Effect.forkChild(a.release(shard), { startImmediately: true })
      )
      for (const { settled } of yield* Effect.replicateEffect(a.takeEnding, 2)) yield* settled!
      yield* Fiber.joinAll(releases)
      const rows = yield* sql<{ readonly address: string; readonly shard_id: string }>`
          select address, shard_id from restream_locks order by 1`
      assert.deepStrictEqual(
        rows.map(({ address, shard_id }) => `${address} ${shard_id.split(":").at(-1)}`),
        ["a:0 3", "b:0 4"]
      )
      assert.deepStrictEqual(yield* b.acquire(1, 3), [1])
    })
  )

  it.effect("a lock that another node gives back is acquired without another query", () =>
    Effect.gen(function* () {
      const { dsn } = yield* database
      const a = yield* node(dsn, "a")
      const b = yield* node(dsn, "b")
      yield* a.acquire(1, 2)
      assert.deepStrictEqual(yield* b.acquire(1, 2), [])
      yield* Effect.forkChild(a.release(1), { startImmediately: true })
      yield* (yield* a.takeEnding).settled!
      yield* eventually(Effect.sync(() => b.held().includes(1)))
      assert.deepStrictEqual(b.held(), [1])
    })
  )

  it.effect("a shard that the engine has forgotten is given back", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const a = yield* node(dsn, "a")
      yield* a.acquire(1, 2)
      // what the engine wants is not given back, and its last question holds for 3 s
      yield* a.acquire()
      yield* Effect.forkChild(Effect.flatMap(a.takeEnding, ({ settled }) => settled!))
      yield* eventually(
        Effect.andThen(
          Effect.delay(a.refresh(1), "100 millis"),
          Effect.map(locked(sql), (now) => now.length === 1)
        )
      )
      assert.deepStrictEqual(a.held(), [1])
      assert.deepStrictEqual(yield* locked(sql), [1])
    })
  )

  it.effect(
    "a node whose session ended acquires its shards again, except those it gives back",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const a = yield* node(dsn, "a")
        yield* a.acquire(1, 2)
        const release = yield* Effect.forkChild(a.release(1), { startImmediately: true })
        const { settled } = yield* a.takeEnding
        yield* endSessions(sql)
        yield* eventually(Effect.map(locked(sql), (now) => now.includes(2)))
        const confirmedAt = a.leases.validUntilMs()
        yield* eventually(Effect.sync(() => a.leases.validUntilMs() > confirmedAt))
        assert.deepStrictEqual(yield* locked(sql), [2])
        assert.isTrue(a.leases.ownership.isOurs(cameraOf(2)))
        yield* settled!
        yield* Fiber.join(release)
        assert.deepStrictEqual(a.held(), [2])
      })
  )

  it.effect("a session that the server has not ended yet belongs to the node itself", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const proxy = yield* makeProxy(Number(new URL(Redacted.value(dsn)).port))
      const through = new URL(Redacted.value(dsn))
      through.port = String(proxy.port)
      const a = yield* node(Redacted.make(String(through)), "a")
      yield* a.acquire(1, 2)
      yield* eventually(Effect.sync(() => a.leases.isValid()))
      const before = a.leases.held()
      yield* proxy.dropClients
      yield* eventually(Effect.sync(() => !a.leases.isValid()))
      assert.deepStrictEqual(yield* locked(sql), [1, 2])
      yield* eventually(Effect.sync(() => a.leases.isValid()))
      assert.deepStrictEqual(yield* locked(sql), [1, 2])
      // no camera was ended meanwhile
      assert.deepStrictEqual(a.leases.held(), before)
      assert.isTrue(before.every(({ leaving }) => leaving === undefined))
    })
  )

  it.effect("a session that is replaced early ends the lease and the cameras of lost shards", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const a = yield* node(dsn, "a")
      const b = yield* node(dsn, "b")
      yield* a.acquire(1, 2)
      yield* a.getRunners
      yield* eventually(Effect.sync(() => a.leases.isValid()))
      // the locks are confirmed after the heartbeat, and that takes longer than a third of the lease
      const connection = yield* sql.reserve
      yield* connection.executeRaw("begin", [])
      yield* connection.executeRaw(
        "select from restream_runners where address = 'a:0' for update",
        []
      )
      yield* eventually(Effect.map(b.acquire(1), (got) => got.includes(1)))
      assert.isBelow(a.leases.nowMs(), a.leases.validUntilMs())
      assert.isFalse(a.leases.isValid())
      assert.isFalse(a.leases.ownership.mayStart(cameraOf(1), new Reason.PublisherReplaced()))
      yield* connection.executeRaw("rollback", [])
      const { settled, shards } = yield* a.takeEnding
      assert.deepStrictEqual(shards, [1])
      yield* settled!
      yield* eventually(Effect.sync(() => a.held().length === 1 && a.leases.isValid()))
      assert.deepStrictEqual(a.held(), [2])
    })
  )

  it.effect(
    "a node keeps its shards while the database is unreachable, and restarts no replaced relay",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const a = yield* node(dsn, "a")
        const b = yield* node(dsn, "b")
        yield* a.acquire(1, 2)
        assert.deepStrictEqual(yield* a.getRunners, ["a", "b"])
        const { mayStart, permit } = a.leases.ownership
        const replaced = new Reason.PublisherReplaced()
        yield* eventually(Effect.sync(() => a.leases.isValid()))
        assert.isTrue(mayStart(cameraOf(1), replaced))
        a.faults.isAway = true
        yield* eventually(Effect.sync(() => !a.leases.isValid()))
        // the engine gets its answer at once
        assert.deepStrictEqual(yield* a.refresh(1, 2), [1, 2])
        assert.isTrue(mayStart(cameraOf(1), undefined))
        assert.isFalse(mayStart(cameraOf(1), replaced))
        assert.isFalse(mayStart(cameraOf(3), undefined))
        const permitted = yield* Effect.forkChild(permit(cameraOf(2), replaced))

        // b takes over one of them
        yield* endSessions(sql)
        yield* eventually(Effect.map(b.acquire(1), (got) => got.includes(1)))
        // for a while nobody's heartbeat is fresh
        yield* sql`update restream_runners set last_heartbeat = now() - interval '1 hour' where address = 'b:0'`
        b.faults.isAway = true
        a.faults.isAway = false
        assert.deepStrictEqual(yield* a.getRunners, ["a", "b"])
        const { settled, shards } = yield* a.takeEnding
        assert.deepStrictEqual(shards, [1])
        yield* settled!
        yield* eventually(Effect.sync(() => a.held().length === 1))
        yield* Fiber.join(permitted)
        assert.deepStrictEqual(a.held(), [2])
        // the grace ends
        yield* eventually(Effect.map(a.getRunners, (names) => names.length === 1))
      })
  )

  it.effect("a shard is not given back while the database is unreachable", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const a = yield* node(dsn, "a")
      yield* a.acquire(1)
      yield* eventually(Effect.sync(() => a.leases.isValid()))
      a.faults.isAway = true
      yield* eventually(Effect.sync(() => !a.leases.isValid()))
      const release = yield* Effect.forkChild(a.release(1), { startImmediately: true })
      const failures = a.faults.failures
      yield* eventually(Effect.sync(() => a.faults.failures > failures + 1))
      assert.isTrue(a.leases.ownership.isOurs(cameraOf(1)))
      a.faults.isAway = false
      yield* (yield* a.takeEnding).settled!
      yield* Fiber.join(release)
      assert.isEmpty(yield* locked(sql))
    })
  )

  it.effect("a single node starts every camera while the database is unreachable", () =>
    Effect.gen(function* () {
      const { dsn } = yield* database
      const a = yield* node(dsn, "a")
      yield* a.acquire(1)
      a.faults.isAway = true
      yield* eventually(Effect.sync(() => !a.leases.isValid()))
      assert.isTrue(a.leases.ownership.mayStart(cameraOf(1), new Reason.PublisherReplaced()))
    })
  )

  it.effect("with stop all cameras end before the lease is over", () =>
    Effect.gen(function* () {
      const { dsn } = yield* database
      const a = yield* node(dsn, "a", "stop")
      yield* a.acquire(1, 2)
      a.faults.isAway = true
      // from when the session counts as replaced the lease has no end
      const until = a.leases.validUntilMs()
      const { settled, shards } = yield* a.takeEnding
      assert.isBelow(a.leases.nowMs(), Math.max(until, a.leases.validUntilMs()))
      assert.deepStrictEqual(shards, [1, 2])
      assert.isFalse(a.leases.ownership.mayStart(cameraOf(1), undefined))
      yield* settled!
      assert.isTrue(Option.isNone(yield* Effect.option(a.refresh(1, 2))))
      assert.isTrue(Option.isNone(yield* Effect.option(a.refresh())))
      // as the engine does: it asks whether the storage is back, gives everything back, and acquires again
      a.faults.isAway = false
      yield* eventually(Effect.map(Effect.option(a.refresh()), Option.isSome))
      assert.isTrue(Option.isNone(yield* Effect.option(a.refresh(1, 2))))
      yield* a.releaseAll
      assert.isEmpty(a.held())
      assert.sameMembers(yield* a.acquire(1, 2), [1, 2])
      assert.isTrue(a.leases.ownership.mayStart(cameraOf(1), undefined))
    })
  )

  it.effect("a draining node gives all shards back and acquires none", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const a = yield* node(dsn, "a")
      yield* a.acquire(1, 2)
      const drained = yield* Effect.forkChild(a.drain)
      for (let n = 0; n < 2; n++) yield* (yield* a.takeEnding).settled!
      yield* Fiber.join(drained)
      assert.deepStrictEqual(yield* a.acquire(1, 2), [])
      assert.isEmpty(yield* locked(sql))
    })
  )

  it.effect("a pooler in transaction mode is recognized, though it has one session", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      assert.isFalse(yield* OneHolder.hasTransactionPooler(sql))
      const url = new URL(Redacted.value(dsn))
      const pooler = yield* TransactionPooler.make(Number(url.port))
      url.port = String(pooler.port)
      const through = yield* client(Redacted.make(String(url)))
      assert.isTrue(yield* OneHolder.hasTransactionPooler(through))
    })
  )

  it.effect("a node that joins waits for those whose heartbeat is old, for a while", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const { storage } = yield* storageOf(dsn)
      const joined = Nodes.awaitSilent(sql, "restream", runnerOf("b"), lease)
      yield* storage.register(runnerOf("a"), true)
      yield* storage.register(runnerOf("b"), true)
      // its own row is not waited for
      yield* sql`update restream_runners set last_heartbeat = now() - interval '1 hour' where address = 'b:0'`
      yield* joined
      // as after an outage: the node is there, and has not written its heartbeat yet
      yield* sql`update restream_runners set last_heartbeat = now() - interval '1 hour'`
      const waiting = yield* Effect.forkChild(joined, { startImmediately: true })
      yield* Effect.sleep("300 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* storage.register(runnerOf("a"), true)
      yield* Fiber.join(waiting)
      // it is gone
      yield* sql`update restream_runners set last_heartbeat = now() - interval '1 hour'`
      yield* joined
    })
  )

  it.effect("a node of other settings or of a name that is taken may not join", () =>
    Effect.gen(function* () {
      const { dsn } = yield* database
      const { storage: a } = yield* storageOf(dsn)
      yield* a.register(runnerOf("a"), true)
      const other = runnerOf("b", { group: Nodes.groupOf(30, "advisory") })
      const mismatch = yield* Effect.flip(Nodes.admit(a, other, lease))
      assert.strictEqual(
        mismatch.message,
        "node a has other settings: cluster.shards is 20 there and 30 here; all nodes must agree"
      )
      yield* Nodes.admit(a, runnerOf("b"), lease)
      // its own row from before a crash is waited for
      yield* Nodes.admit(a, runnerOf("a"), lease)
      const heartbeat = yield* Effect.forkChild(
        Effect.forever(Effect.delay(a.register(runnerOf("a"), true), "100 millis"))
      )
      yield* Effect.sleep("150 millis")
      // a node of an earlier version has the port of its API in its address
      const same = makeRunner({ ...runnerOf("a"), address: makeAddress("a", 9995) })
      const taken = yield* Effect.flip(Nodes.admit(a, same, Duration.millis(300)))
      assert.include(taken.message, "another node has the name a")
      yield* Fiber.interrupt(heartbeat)
    })
  )

  for (const [what, ours, theirs, problem] of [
    [
      "other media servers",
      { servers: "one" },
      { servers: "two" },
      /^node b has other media servers: /
    ],
    [
      "another lease",
      { lease: "3000" },
      { lease: "10000" },
      /^node b has another lease: cluster\.lease is 10 s there and 3 s here, /
    ]
  ] as const) {
    it.effect(`a node of ${what} may join, and is named`, () =>
      Effect.gen(function* () {
        const { dsn } = yield* database
        const { storage } = yield* storageOf(dsn)
        const problems: Array<string | undefined> = []
        const self = runnerOf("a", ours)
        yield* storage.register(self, true)
        const nodes = yield* Nodes.make(storage, self, lease, ({ problem }) =>
          Effect.sync(() => void problems.push(problem))
        )
        yield* nodes.getRunners
        const other = runnerOf("b", theirs)
        yield* Nodes.admit(storage, other, lease)
        yield* storage.register(other, true)
        const runners = yield* nodes.getRunners
        // the engine would take a further group for further shards
        assert.deepStrictEqual(
          runners.map(([{ groups }]) => groups),
          [[group], [group]]
        )
        assert.strictEqual(problems.length, 2)
        assert.isUndefined(problems[0])
        assert.match(problems[1] ?? "", problem)
      })
    )
  }
})
