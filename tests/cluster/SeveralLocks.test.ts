/** The lock of a daemon with several media servers: one for each, with a real PostgreSQL. */
import { assert, layer } from "@effect/vitest"
import { OneHolder } from "@restream/core"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Scope } from "effect"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"

const optionsFor = (hostname: string, ...mediaServers: ReadonlyArray<string>) => ({
  cameras: { query: "select 1" },
  mediaServers,
  hostname
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect("daemons with a media server in common relay one after the other", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const start = Effect.fnUntraced(function* (name: string, ...servers: ReadonlyArray<string>) {
        const sql = yield* client(url)
        return yield* OneHolder.make(optionsFor(name, ...servers)).pipe(
          Effect.provideService(PgClient.PgClient, sql)
        )
      })
      const firstScope = yield* Scope.make()
      const first = yield* Scope.provide(start("one", "b:1", "a:1"), firstScope)
      yield* first.permitted
      // no media server in common
      yield* (yield* start("other", "d:1", "e:1")).permitted
      const same = yield* start("two", "a:1", "b:1")
      const overlapping = yield* start("three", "b:1", "c:1")
      const isStandby = (daemon: OneHolder.OneHolder) =>
        daemon.activeDaemon.pipe(
          Effect.delay("20 millis"),
          Effect.repeat({ until: (name) => name !== undefined }),
          Effect.map((name) => assert.include(name, "@one"))
        )
      yield* isStandby(same)
      yield* isStandby(overlapping)
      yield* Scope.close(firstScope, Exit.void)
      // one of the two has both of its locks now, and the other one waits for it
      yield* Effect.raceFirst(same.permitted, overlapping.permitted)
      const [winner, loser] = same.isOurs("1" as never) ? [same, overlapping] : [overlapping, same]
      assert.isTrue(winner.isOurs("1" as never))
      assert.isFalse(loser.isOurs("1" as never))
    })
  )
})
