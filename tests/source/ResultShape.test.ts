/** Results of another shape than the last good one: a read that would spoil every camera counts as failed. */
import { assert, layer } from "@effect/vitest"
import { CameraSource, PgCameraSource } from "@restream/core"
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"

/** A table of twelve cameras, of which so many have a password; and the source that reads it. */
const site = Effect.fnUntraced(function* (
  passwords: number,
  options: Partial<PgCameraSource.PgCameraSourceOptions> = {}
) {
  const sql = yield* client(yield* freshDatabase)
  yield* sql`create table devices (id int, password text, note text)`
  const insert = sql`insert into devices
    select n, case when n <= ${passwords}::int then 'x' end, 'y' from generate_series(1, 12) n`
  yield* insert
  const services = yield* Layer.build(
    PgCameraSource.layer({
      query: "select * from devices order by id",
      timing: Effect.succeed({ pollInterval: "1 hour" }),
      ...options
    }).pipe(Layer.provide(Layer.succeed(PgClient.PgClient, sql)))
  )
  const { refresh } = Context.get(services, CameraSource)
  const problem = Effect.map(Effect.flip(refresh), ({ message }) => message)
  yield* refresh
  return { insert, problem, refresh, sql }
})

const emptied =
  "column password is empty in every row, which is accepted if it lasts (supervisor.massStopDelay)"

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "a result of another shape",
  (it) => {
    it.effect("without the values of a column that ten rows had is a failed read", () =>
      Effect.gen(function* () {
        const { problem, refresh, sql } = yield* site(10)
        yield* sql`update devices set password = ''`
        assert.strictEqual(yield* problem, emptied)
        // one row with a value is enough
        yield* sql`update devices set password = 'z' where id = 12`
        yield* refresh
        // and nine rows with a value never are so many
        yield* sql`update devices set password = 'z' where id <= 8`
        yield* refresh
        yield* sql`update devices set password = null`
        yield* refresh
      })
    )

    it.effect("names all columns that are empty", () =>
      Effect.gen(function* () {
        const { problem, sql } = yield* site(12)
        yield* sql`update devices set password = null, note = null`
        assert.match(yield* problem, /^columns password, note are empty in every row/)
      })
    )

    it.effect("of fewer than ten rows is accepted", () =>
      Effect.gen(function* () {
        const { problem, refresh, sql } = yield* site(12)
        yield* sql`update devices set password = null`
        yield* sql`delete from devices where id > 10`
        assert.strictEqual(yield* problem, emptied)
        yield* sql`delete from devices where id > 9`
        yield* refresh
      })
    )

    it.effect("is compared with the last one that had rows", () =>
      Effect.gen(function* () {
        const { insert, problem, refresh, sql } = yield* site(12)
        yield* sql`delete from devices`
        yield* refresh
        yield* insert
        yield* sql`update devices set password = null`
        assert.strictEqual(yield* problem, emptied)
      })
    )

    it.effect("is accepted when it has lasted, and only then", () =>
      Effect.gen(function* () {
        const { problem, refresh, sql } = yield* site(12, {
          massStopDelay: Effect.succeed(Duration.seconds(1))
        })
        yield* sql`update devices set password = null`
        assert.strictEqual(yield* problem, emptied)
        yield* Effect.retry(refresh, Schedule.spaced("50 millis"))
        // from then on, no value is missed
        yield* refresh
        yield* sql`update devices set password = 'x'`
        yield* refresh
        yield* sql`update devices set password = null`
        assert.strictEqual(yield* problem, emptied)
      })
    )

    it.effect("is accepted at once without the protection", () =>
      Effect.gen(function* () {
        const { refresh, sql } = yield* site(12, { massStopDelay: Effect.succeed(undefined) })
        yield* sql`update devices set password = null`
        yield* refresh
        yield* sql`alter table devices drop column password`
        yield* refresh
      })
    )

    it.effect(
      "that lost columns is a failed read until they are back, as far as they are read",
      () =>
        Effect.gen(function* () {
          const { problem, refresh, sql } = yield* site(12, {
            known: Effect.succeed(new Set(["id", "password"]))
          })
          yield* sql`update devices set note = null`
          yield* sql`alter table devices drop column note`
          yield* refresh
          yield* sql`alter table devices rename column password to pwd`
          assert.strictEqual(
            yield* problem,
            "the result no longer has column password; if that is intended, restart restream"
          )
          yield* sql`alter table devices rename column pwd to password`
          yield* refresh
        })
    )
  }
)
