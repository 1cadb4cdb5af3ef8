/** Mistakes in the table or the query that would stop many relays at once. */
import { assert, layer } from "@effect/vitest"
import type { PgClient } from "@effect/sql-pg"
import { Effect, type Redacted } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import { database, type Given, settingsOf } from "../kit/Installation.ts"
import * as QuickTree from "./QuickTree.ts"

const insert = (sql: PgClient.PgClient, from: number, to: number) =>
  sql`insert into cameras (id, name, url, username, password) overriding system value
    select n, 'Camera ' || n, 'rtsp://10.0.0.' || n || '/live', 'admin', 'secret'
    from generate_series(${from}::int, ${to}::int) n`

/** Thirty live cameras; what a test sees comes from a notification, or from a read that a hold asks for. */
const thirty = Effect.fnUntraced(function* (
  more: (options: {
    readonly sql: PgClient.PgClient
    readonly dsn: Redacted.Redacted
  }) => Effect.Effect<Given, unknown> = () => Effect.succeed({})
) {
  const { dsn, sql } = yield* database
  yield* insert(sql, 1, 30)
  const given = yield* Effect.orDie(more({ dsn, sql }))
  const tree = yield* QuickTree.make(
    settingsOf(dsn, 1, {
      ...given,
      database: { pollInterval: "1 hour", ...given["database"] }
    })
  )
  yield* tree.awaitLive(30)
  const running = () => tree.fake.relays.filter(({ endedAt }) => endedAt === undefined).length
  return { ...tree, sql, running }
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "mass mistakes",
  (it) => {
    const held = /^Error camera list would stop \d+ of 30 relays at once/

    for (const [what, mistake, correction] of [
      [
        "rows that are deleted",
        (sql: PgClient.PgClient) => sql`delete from cameras where id > 3`,
        (sql: PgClient.PgClient) => insert(sql, 4, 30)
      ],
      [
        "rows that are disabled",
        (sql: PgClient.PgClient) => sql`update cameras set enabled = false`,
        (sql: PgClient.PgClient) => sql`update cameras set enabled = true`
      ],
      [
        "rows that become invalid",
        (sql: PgClient.PgClient) => sql`update cameras set url = 'none' where id > 2`,
        (sql: PgClient.PgClient) => sql`update cameras set url = 'rtsp://10.0.0.' || id || '/live'`
      ],
      [
        "rows that get other ids",
        (sql: PgClient.PgClient) =>
          Effect.andThen(
            sql`alter table cameras alter column id drop identity`,
            sql`update cameras set id = id + 100, path = 'cam' || id`
          ),
        (sql: PgClient.PgClient) =>
          sql`update cameras set id = id - 100, path = 'cam' || (id - 100)`
      ]
    ] as const) {
      it.effect(`hold ${what} until they are back, and stop no relay`, () =>
        Effect.gen(function* () {
          const { fake, log, running, sql } = yield* thirty()
          yield* mistake(sql)
          yield* log.awaitLine(held)
          assert.strictEqual(running(), 30)
          yield* correction(sql)
          yield* log.awaitLine(/^Info camera list has its cameras again: no relay was stopped/)
          assert.strictEqual(running(), 30)
          assert.lengthOf(fake.relays, 30)
        })
      )
    }

    it.effect("do not hinder a deliberate DELETE, which is applied when further reads agree", () =>
      Effect.gen(function* () {
        const { awaitLive, log, running, sql } = yield* thirty(() =>
          Effect.succeed({ supervisor: { massStopDelay: "1 second" } })
        )
        yield* sql`delete from cameras where id > 3`
        yield* log.awaitLine(held)
        assert.strictEqual(running(), 30)
        yield* awaitLive(3)
        assert.lengthOf(log.matching(/^Warn camera list still stops those relays/), 1)
        assert.lengthOf(log.matching(held), 1)
      })
    )

    it.effect("are no removal of half of the relays, or of nine relays", () =>
      Effect.gen(function* () {
        const { awaitLive, log, sql } = yield* thirty()
        yield* sql`delete from cameras where id > 15`
        yield* awaitLive(15)
        yield* sql`delete from cameras where id > 6`
        yield* awaitLive(6)
        assert.lengthOf(log.matching(/^Error/), 0)
      })
    )

    it.effect("are applied at once where the protection is disabled", () =>
      Effect.gen(function* () {
        const { awaitLive, log, sql } = yield* thirty(() =>
          Effect.succeed({ supervisor: { maxStopFraction: 1 } })
        )
        yield* sql`delete from cameras`
        yield* awaitLive(0)
        assert.lengthOf(log.matching(/^Error/), 0)
      })
    )

    const view = "create or replace view seen as select"
    /** Reads a view often: a change of a view sends no notification. */
    const throughView =
      (query = "select * from seen") =>
      ({ sql }: { readonly sql: PgClient.PgClient }) =>
        Effect.as(sql.unsafe(`${view} * from cameras`), {
          database: { query, pollInterval: "100ms" }
        } as Given)

    for (const [what, columns, problem] of [
      ["the column id", "id as number, name, url", "the result has no column id"],
      ["a column that cameras need", "id, name", "no longer has columns .*url"],
      ["a column that has a default", "id, name, url, username, password", "no longer has .*path"]
    ] as const) {
      it.effect(`count a result that lost ${what} as a failed read`, () =>
        Effect.gen(function* () {
          const { fake, log, running, sql } = yield* thirty(throughView())
          yield* sql.withTransaction(
            Effect.andThen(
              sql.unsafe("drop view seen"),
              sql.unsafe(`${view} ${columns} from cameras`)
            )
          )
          const line = yield* log.awaitLine(new RegExp(`^Error database: .*${problem}`))
          assert.match(line, /running relays are unaffected/)
          yield* sql.unsafe("drop view seen")
          yield* sql.unsafe(`${view} * from cameras`)
          yield* log.awaitLine(/^Info database: reachable again/)
          assert.strictEqual(running(), 30)
          assert.lengthOf(fake.relays, 30)
        })
      )
    }

    it.effect(
      "count passwords that are gone from every row as a failed read, and only at first",
      () =>
        Effect.gen(function* () {
          const { awaitLive, fake, log, running, sql } = yield* thirty(() =>
            Effect.succeed({ supervisor: { massStopDelay: "2 seconds" } })
          )
          yield* sql`update cameras set password = null`
          yield* log.awaitLine(/^Error database: column password is empty in every row/)
          assert.strictEqual(running(), 30)
          assert.lengthOf(fake.relays, 30)
          yield* Effect.repeat(Effect.sleep("20 millis"), {
            until: () => fake.relays.length === 60
          })
          yield* awaitLive(30)
        })
    )

    it.effect("leave a table alone that loses a column which nothing reads", () =>
      Effect.gen(function* () {
        const { awaitLive, log, sql } = yield* thirty(({ sql }) =>
          Effect.as(sql`alter table cameras add column note text default 'x'`, {})
        )
        yield* sql`alter table cameras drop column note`
        yield* insert(sql, 31, 31)
        yield* awaitLive(31)
        assert.lengthOf(log.matching(/^Error/), 0)
      })
    )
  }
)
