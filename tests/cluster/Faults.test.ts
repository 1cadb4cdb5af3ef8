/**
 * Faults of built daemons as the nodes of a cluster, before one media server. The longer ones run only where
 * `RESTREAM_TEST_CLUSTER` is set.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FaultSite from "./FaultSite.ts"
import { engineLines } from "./NodeSite.ts"
import * as TransactionPooler from "./TransactionPooler.ts"

/** Each camera was put out by another publisher once at most. */
const assertOnce = (putOut: ReadonlyMap<string, number>, paths: ReadonlyArray<string>) => {
  for (const [path, count] of putOut) {
    assert.strictEqual(count, 1, path)
    assert.include(paths, path)
  }
}

describe("a node of a cluster", () => {
  it.live(
    "suspended, with a media server that rejects a second publisher: the others end its publishers",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 12, overridePublisher: "reject" })
        yield* site.start("a")
        const b = yield* site.start("b")
        yield* site.settled("a", "b")
        const lost = yield* site.pathsOf("b")
        assert.isNotEmpty(lost)
        const before = site.publishing()
        assert.strictEqual(site.kicks(), 0)
        yield* b.signal("SIGSTOP")
        yield* site.awaitOthers(before, lost)
        assert.strictEqual(site.kicks(), lost.length)
        // it gives up what it has lost, and joins as any node: it ends no publisher of a node that has the lock
        yield* b.signal("SIGCONT")
        yield* b.awaitLine(/another node has taken over \d+ of \d+ shards; stopping their relays/)
        yield* site.settled("a", "b")
        assert.strictEqual(site.kicks(), lost.length)
        assert.isEmpty([...site.putOut()])
      }),
    { timeout: 60_000 }
  )
})

describe.skipIf(process.env["RESTREAM_TEST_CLUSTER"] === undefined)("a cluster", () => {
  const options = { timeout: 120_000 }

  it.live(
    "a node is suspended: each of its publishers is replaced once, and the node replaces none when it resumes",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 20 })
        yield* site.start("a")
        const b = yield* site.start("b")
        yield* site.settled("a", "b")
        const lost = yield* site.pathsOf("b")
        const before = site.publishing()
        yield* b.signal("SIGSTOP")
        yield* site.awaitOthers(before, lost)
        yield* b.signal("SIGCONT")
        yield* site.settled("a", "b")
        assertOnce(site.putOut(), lost)
        assert.strictEqual(site.kicks(), 0)
      }),
    options
  )

  it.live(
    "three nodes start at once, and all shards are where the engine expects them",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 30 })
        yield* Effect.forEach(["a", "b", "c"], (name) => site.start(name), {
          concurrency: "unbounded"
        })
        yield* site.settled("a", "b", "c")
        assert.isEmpty([...site.putOut()])
        // nothing moves any more, and an outage touches no relay
        const before = site.publishing()
        yield* site.database.stop
        yield* Effect.sleep("6 seconds")
        yield* site.database.start
        yield* site.settled("a", "b", "c")
        assert.deepStrictEqual(site.publishing(), before)
        assert.isAtMost(site.mostReaders(), 30)
      }),
    options
  )

  for (const fault of ["stopped", "frozen"] as const) {
    it.live(
      `the database is ${fault} for 12 s: no relay is touched, and a new row is live afterwards`,
      () =>
        Effect.gen(function* () {
          const site = yield* FaultSite.make({ cameras: 20 })
          const { database } = site
          yield* site.start("a")
          yield* site.start("b")
          yield* site.settled("a", "b")
          const before = site.publishing()
          yield* fault === "stopped" ? database.stop : database.signal("SIGSTOP")
          yield* Effect.sleep("12 seconds")
          assert.deepStrictEqual(site.publishing(), before)
          yield* fault === "stopped" ? database.start : database.signal("SIGCONT")
          yield* Effect.retry(site.insert("added"), { times: 20 })
          yield* Effect.repeat(Effect.sleep("10 millis"), {
            until: () => site.publishing().has("added")
          })
          yield* site.settled("a", "b")
          const now = site.publishing()
          for (const [path, connection] of before) assert.strictEqual(now.get(path), connection)
          assert.isEmpty([...site.putOut()])
        }),
      options
    )
  }

  it.live(
    "a node that joins as the database comes back takes only its share",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 20 })
        yield* site.start("a")
        yield* site.start("b")
        yield* site.settled("a", "b")
        const before = site.publishing()
        yield* site.database.stop
        yield* site.start("c")
        yield* Effect.sleep("6 seconds")
        assert.deepStrictEqual(site.publishing(), before)
        yield* site.database.start
        yield* site.settled("a", "b", "c")
        const share = yield* site.pathsOf("c")
        const now = site.publishing()
        const others = [...before].filter(
          ([path, connection]) => !share.includes(path) && now.get(path) !== connection
        )
        // the ring of the engine moves a few more
        assert.isAtMost(others.length, 2)
        assert.isEmpty([...site.putOut()])
      }),
    options
  )

  it.live(
    "with whenDatabaseIsAway: stop an outage stops every relay, and all come back",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 20 })
        const env = { RESTREAM_CLUSTER_WHEN_DATABASE_IS_AWAY: "stop" }
        const a = yield* site.start("a", env)
        yield* site.start("b", env)
        yield* site.settled("a", "b")
        yield* site.database.stop
        yield* Effect.repeat(Effect.sleep("10 millis"), {
          until: () => site.publishing().size === 0
        })
        yield* site.database.start
        yield* a.awaitLine(/the database responds again; acquiring shards/)
        yield* site.settled("a", "b")
        assert.isEmpty(engineLines(a.said()))
        assert.isEmpty([...site.putOut()])
        assert.isAtMost(site.mostReaders(), 20)
      }),
    options
  )

  for (const way of ["closed", "silent"] as const) {
    for (const policy of ["keep", "stop"] as const) {
      it.live(
        `one node's way to the database is ${way}, with ${policy}: the others take over`,
        () =>
          Effect.gen(function* () {
            const site = yield* FaultSite.make({ cameras: 20 })
            const env = { RESTREAM_CLUSTER_WHEN_DATABASE_IS_AWAY: policy }
            yield* site.start("a", env)
            const proxy = yield* FaultSite.makeProxy(site.database.port)
            yield* site.start("b", env, proxy.port)
            yield* site.settled("a", "b")
            const lost = yield* site.pathsOf("b")
            const before = site.publishing()
            yield* proxy.set(way)
            yield* site.awaitOthers(before, lost)
            yield* site.settled("a")
            assertOnce(site.putOut(), policy === "keep" ? lost : [])
            yield* proxy.set("open")
            yield* site.settled("a", "b")
            assertOnce(site.putOut(), policy === "keep" ? lost : [])
          }),
        options
      )
    }
  }

  it.live(
    "a node that is cut off ends no publisher of the node that has taken over",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 20, overridePublisher: "reject" })
        yield* site.start("a")
        const proxy = yield* FaultSite.makeProxy(site.database.port)
        const b = yield* site.start("b", {}, proxy.port)
        yield* site.settled("a", "b")
        const lost = yield* site.pathsOf("b")
        const before = site.publishing()
        yield* proxy.set("silent")
        yield* site.awaitOthers(before, lost)
        yield* site.settled("a")
        // it waits, because its lease is over
        yield* b.awaitLine(/waiting until no other daemon may relay it/)
        yield* Effect.sleep("3 seconds")
        assert.strictEqual(site.kicks(), lost.length)
        yield* proxy.set("open")
        yield* site.settled("a", "b")
        assert.strictEqual(site.kicks(), lost.length)
        assert.isEmpty([...site.putOut()])
      }),
    options
  )

  it.live(
    "the second of two nodes of one name ends with status 2, and the first is not disturbed",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 6 })
        yield* site.start("a")
        yield* site.settled("a")
        const before = site.publishing()
        const second = yield* site.start("a")
        assert.strictEqual((yield* second.exit).code, 2)
        assert.match(second.said(), /another node has the name a; give each node a name of its own/)
        assert.deepStrictEqual(site.publishing(), before)
      }),
    options
  )

  it.live(
    "behind a pooler in transaction mode the locks are rows, and nodes join and are killed",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 6 })
        const pooler = yield* TransactionPooler.make(site.database.port)
        yield* site.start("a", {}, pooler.port)
        yield* site.settled("a")
        const b = yield* site.start("b", {}, pooler.port)
        yield* site.settled("a", "b")
        const nodes = yield* site.sql<{ readonly runner: string }>`
          select runner from restream_runners`
        for (const { runner } of nodes) assert.include(runner, "/rows")
        yield* b.signal("SIGKILL")
        yield* b.exit
        yield* site.settled("a")
        assert.isEmpty([...site.putOut()])
      }),
    options
  )

  it.live(
    "with cluster.locks: rows nodes join, are killed and drain",
    () =>
      Effect.gen(function* () {
        const site = yield* FaultSite.make({ cameras: 20 })
        const env = { RESTREAM_CLUSTER_LOCKS: "rows" }
        yield* site.start("a", env)
        yield* site.settled("a")
        const b = yield* site.start("b", env)
        yield* site.settled("a", "b")
        yield* b.signal("SIGKILL")
        yield* b.exit
        yield* site.settled("a")
        const c = yield* site.start("c", env)
        yield* site.settled("a", "c")
        yield* c.signal("SIGTERM")
        assert.strictEqual((yield* c.exit).code, 0)
        yield* site.settled("a")
        // the rows of a database that was stopped are still there
        const before = site.publishing()
        yield* site.database.stop
        yield* Effect.sleep("6 seconds")
        yield* site.database.start
        yield* site.settled("a")
        assert.deepStrictEqual(site.publishing(), before)
        assert.isEmpty([...site.putOut()])
      }),
    options
  )
})
