/** Built daemons as the nodes of a cluster whose table is so large that each node reads the rows of its shards. */
import { assert, layer } from "@effect/vitest"
import { Shard } from "@restream/core"
import { Effect } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import * as NodeSite from "./NodeSite.ts"

/** The table with 20,000 more rows, of which none is relayed. */
const query = `select id, name, url, path, options, enabled from cameras
  union all select 1000000 + n, null, null, null, null, false from generate_series(1, 20000) n`

layer(Postgres.layer, { excludeTestServices: true, timeout: "90 seconds" })((it) => {
  it.effect("each camera is relayed once, and two rows of one path are found", () =>
    Effect.gen(function* () {
      const { initialize, relayedTwice, settled, site, start } = yield* NodeSite.make(12)
      yield* initialize
      const env = { RESTREAM_DATABASE_QUERY: query }
      const a = yield* start("a", env)
      yield* settled("a")
      yield* a.daemon.awaitLine(/the table is large; reading only the rows of this node's shards/)
      const b = yield* start("b", env)
      yield* settled("a", "b")

      // of two rows of one path the first keeps it, whatever node has it
      const insertTwin = Effect.map(
        site.sql<{ readonly id: number }>`insert into cameras (name, path, url)
            values ('Twin', 'twin', 'rtsp://127.0.0.1:1/') returning id::int`,
        ([row]) => row!.id
      )
      const shardOf = (id: number) => Shard.shardOf(String(id), NodeSite.shards)
      const first = yield* insertTwin
      const second = yield* Effect.repeat(insertTwin, {
        until: (id) => shardOf(id) !== shardOf(first)
      })
      const told = new RegExp(`camera ${second} .*the path twin belongs to camera ${first}`)
      yield* Effect.raceFirst(a.daemon.awaitLine(told), b.daemon.awaitLine(told))
      yield* site.sql`delete from cameras where path = 'twin'`

      yield* a.daemon.signal("SIGKILL")
      yield* a.daemon.exit
      yield* settled("b")
      assert.isEmpty(yield* relayedTwice)
    })
  )
})
