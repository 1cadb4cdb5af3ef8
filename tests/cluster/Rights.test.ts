/**
 * A node whose database role lacks rights says so, sends an alert, is not ready, and joins as soon as they are
 * granted. The prefix of the tables has a capital letter, so that each statement has to quote it.
 */
import { assert, layer } from "@effect/vitest"
import type { NodeTable } from "@restream/core"
import { freePort } from "@restream/core/testing"
import { Effect } from "effect"
import * as Receiver from "../alerts/Receiver.ts"
import { restream } from "../kit/Command.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as NodeSite from "./NodeSite.ts"

const prefix = { RESTREAM_CLUSTER_TABLE_PREFIX: "Video" }

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect("a node without rights names the grants, and joins once it has them", () =>
    Effect.gen(function* () {
      const { settled, site, start } = yield* NodeSite.make(2)
      const initialized = yield* restream(["db", "init", "--cluster"], {
        ...site.env,
        ...prefix
      })
      const grants = initialized.stdout.match(/grant .+ to ROLE/g) ?? []
      assert.lengthOf(grants, 2)
      const grant = (statement: string) =>
        site.sql.unsafe(statement.replace("ROLE", "limited_node"))
      yield* site.sql.unsafe("create role limited_node login password 'limited'")
      yield* grant("grant select on cameras to ROLE")

      const dsn = new URL(site.env.PG_DSN)
      dsn.username = "limited_node"
      dsn.password = "limited"
      const port = yield* freePort
      const { received, url: webhook } = yield* Receiver.make()
      const env = {
        ...prefix,
        PG_DSN: String(dsn),
        RESTREAM_HTTP_ENABLED: "yes",
        RESTREAM_HTTP_PORT: String(port),
        RESTREAM_ALERTS_AFTER: "1s",
        RESTREAM_ALERTS_WEBHOOKS: JSON.stringify([{ name: "own", url: webhook }])
      }
      const { daemon } = yield* start("a", env)
      const readiness = Effect.map(
        Effect.promise(() => fetch(`http://127.0.0.1:${port}/health/ready`)),
        ({ status }) => status
      )
      const errors = () =>
        daemon
          .said()
          .replaceAll('\\"', '"')
          .match(/level=error.*/g) ?? []
      yield* until("the missing rights to be named", () => errors().length === 1, daemon.said)
      assert.match(
        errors()[0]!,
        /role limited_node lacks rights .*: select, insert, update, delete on "Video_runners"; .*; usage on "Video_runners_machine_id_seq"\. As their owner, run: grant select, .*; grant usage on sequence "Video_runners_machine_id_seq" to limited_node;/
      )
      assert.strictEqual(yield* readiness, 503)
      const status = yield* restream(["status"], env)
      assert.strictEqual(status.code, 1)
      assert.match(status.stdout, /has not joined .*\n- .*lacks rights on .*\n {2}As their owner/)

      const alert = { kind: "cluster", node: "a", count: 0 }
      const alerts = () => received.map(({ body }) => JSON.parse(body))
      yield* until("an alert", () => received.length === 1, daemon.said)
      assert.deepInclude(alerts()[0], { ...alert, event: "opened" })

      yield* grant(grants[0]!)
      yield* until(
        "the right on the sequence to be named",
        () => errors().length === 2,
        daemon.said
      )
      assert.match(errors()[1]!, /cluster: usage on "Video_runners_machine_id_seq"\. As/)
      assert.strictEqual(yield* readiness, 503)

      yield* grant(grants[1]!)
      yield* Effect.timeout(settled("a"), "30 seconds").pipe(
        Effect.catch(() => Effect.die(new Error(daemon.said())))
      )
      assert.strictEqual(yield* readiness, 200)
      assert.match(daemon.said(), /level=info .*the database accepts the queries of this node/)
      assert.strictEqual((yield* restream(["status"], env)).code, 0)
      assert.lengthOf(errors(), 2)
      yield* until("the end of the alert", () => received.length === 2, daemon.said)
      assert.deepInclude(alerts()[1], { ...alert, event: "resolved" })
      // another cluster in this database has a node of the same name
      const listed = yield* site.sql.withTransaction(
        Effect.gen(function* () {
          yield* site.sql`set local application_name = 'restream@a'`
          yield* site.sql`select pg_advisory_xact_lock(1, 1000001)`
          return yield* restream(["cluster", "--json"], env)
        })
      )
      const { nodes } = JSON.parse(listed.stdout) as { nodes: ReadonlyArray<NodeTable.NodeRow> }
      assert.deepStrictEqual(
        nodes.map(({ shards }) => shards),
        [NodeSite.shards]
      )
      assert.isEmpty(NodeSite.engineLines(daemon.said()))
    })
  )
})
