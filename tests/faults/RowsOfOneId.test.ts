/** Rows with the same id, and rows without one: PostgreSQL returns them in the order of the heap. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import { database, settingsOf } from "../kit/Installation.ts"
import * as QuickTree from "./QuickTree.ts"

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "rows of one id",
  (it) => {
    it.effect("keep the relay that runs, and rows without an id keep their numbers", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        yield* sql`create table wild (id int, url text, type text, seen int)`
        yield* sql`insert into wild (id, url) values (1, 'rtsp://10.0.0.1/live'),
          (1, 'rtsp://10.0.0.2/live'), (1, 'rtsp://10.0.0.3/live')`
        yield* sql`insert into wild (type) values ('a'), ('b'), ('c')`
        const { awaitLive, fake, log, status } = yield* QuickTree.make(
          settingsOf(dsn, 1, { database: { query: "select * from wild", pollInterval: "100ms" } })
        )
        yield* awaitLive(1)
        const problems = Effect.map(status.all, (all) =>
          all.flatMap(({ id, state }) =>
            state._tag === "Invalid" ? [`${id} ${state.problem}`] : []
          )
        )
        const before = yield* problems
        assert.lengthOf(before, 5)
        // an UPDATE moves the row that runs behind the others, and the first row without an id as well
        for (const row of [1, 2, 3]) {
          yield* sql`update wild set seen = ${row} where url like '%.1/live' or type = 'a'`
          yield* sql`insert into wild (id, url) values (${row + 1}, 'rtsp://10.0.0.9/live')`
          yield* awaitLive(row + 1)
        }
        const first = fake.relays.filter(({ camera }) => camera.id === "1")
        assert.deepStrictEqual(
          first.map(({ camera, endedAt }) => [camera.url.host, endedAt]),
          [["10.0.0.1", undefined]]
        )
        assert.sameMembers([...(yield* problems)], [...before])
        assert.lengthOf(log.matching(/restarted|Invalid|removed/), 0)
      })
    )
  }
)
