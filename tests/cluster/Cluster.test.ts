/**
 * Built daemons as the nodes of a cluster: join, drain, kill -9, a database that ends all sessions. Who relays a
 * camera, and whether two nodes do, is looked at all the time.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { NodeTable } from "@restream/core"
import { restream } from "../kit/Command.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as NodeSite from "./NodeSite.ts"

layer(Postgres.layer, { excludeTestServices: true, timeout: "90 seconds" })((it) => {
  it.effect(
    "nodes join, drain and are killed: each camera is relayed once, by the holder of its lock",
    () =>
      Effect.gen(function* () {
        const {
          initialize,
          publishers: publishersOf,
          relayedTwice,
          settled,
          site,
          start
        } = yield* NodeSite.make(20)
        const early = yield* start("early")
        assert.strictEqual((yield* early.daemon.exit).code, 2)
        assert.match(early.daemon.said(), /do not exist; create them with restream db init --cl/)
        yield* initialize

        const a = yield* start("a")
        yield* settled("a")
        const b = yield* start("b")
        yield* settled("a", "b")
        yield* b.daemon.signal("SIGTERM")
        assert.strictEqual((yield* b.daemon.exit).code, 0)
        assert.match(b.daemon.said(), /draining: handing \d+ shards over to 1 other node/)

        // three at once, one of which may not join
        const c = yield* start("c")
        const d = yield* start("d")
        const other = yield* start("other", { RESTREAM_CLUSTER_SHARDS: "20" })
        assert.strictEqual((yield* other.daemon.exit).code, 2)
        assert.match(other.daemon.said(), /cluster: node \w has other settings: cluster.shards is/)
        yield* settled("a", "c", "d")
        yield* a.daemon.signal("SIGKILL")
        yield* a.daemon.exit
        yield* settled("c", "d")

        const listed = yield* restream(["cluster", "--json"], site.env)
        const { nodes } = JSON.parse(listed.stdout) as {
          nodes: ReadonlyArray<NodeTable.NodeRow & { readonly leaseLeftMs: number }>
        }
        const living = nodes.filter(({ name }) => name !== "a")
        assert.deepStrictEqual(
          living.map(({ active, name }) => [name, active]),
          [
            ["c", true],
            ["d", true]
          ]
        )
        assert.isTrue(living.every(({ leaseLeftMs }) => leaseLeftMs > 0))
        assert.strictEqual(
          living.reduce((sum, { shards }) => sum + shards, 0),
          NodeSite.shards
        )
        assert.strictEqual((yield* restream(["cluster", "drain", "a1"], site.env)).code, 2)
        assert.strictEqual((yield* restream(["cluster", "drain", "c"], site.env)).code, 0)
        yield* settled("d")
        assert.strictEqual((yield* restream(["cluster", "drain", "d"], site.env)).code, 2)
        assert.strictEqual((yield* restream(["cluster", "resume", "c"], site.env)).code, 0)
        yield* settled("c", "d")

        // each node loses all its sessions, and the locks with them: no relay is touched
        const publishers = Effect.forEach(["c", "d"], publishersOf)
        const before = yield* publishers
        yield* site.sql`select pg_terminate_backend(pid) from pg_stat_activity
            where application_name like 'restream%' and datname = current_database()`
        yield* settled("c", "d")
        assert.deepStrictEqual(yield* publishers, before)
        // On a slow machine a node may lose its session while another node waits for a shard. It knows from the
        // next confirmation, and says which shards it has lost: no other camera is relayed twice.
        assert.isEmpty(yield* relayedTwice)

        // the last nodes end, and no line of the cluster engine is shown at the default level
        yield* Effect.forEach([c, d], ({ daemon }) => daemon.signal("SIGTERM"))
        for (const { daemon } of [c, d]) assert.strictEqual((yield* daemon.exit).code, 0)
        for (const { daemon } of [a, b, c, d]) {
          assert.isEmpty(NodeSite.engineLines(daemon.said()))
        }
      })
  )
})
