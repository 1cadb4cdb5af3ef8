/** The table of the cameras' states, on a real PostgreSQL. */
import { assert, layer } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { parseTableName } from "@restream/config"
import { MemoryCameraSource, Rates, Reason, StatusStore, StatusTable } from "@restream/core"
import { Context, Effect, Exit, Layer, Redacted, Scope, SubscriptionRef } from "effect"
import { Reactivity } from "effect/reactivity"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { idOf } from "../kit/Installation.ts"
import * as Log from "../kit/Log.ts"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { layer as treeLayer, row } from "../kit/Tree.ts"

const table = parseTableName('ops."Camera status"')!
const quick = {
  table,
  hostname: "here",
  interval: "20 millis",
  refreshInterval: "1 hour",
  retryDelay: "50 millis",
  statementTimeout: "300 millis"
} as const

/** The table and a role that may write it; and the rows as they are read. */
const database = Effect.gen(function* () {
  const dsn = yield* freshDatabase
  const sql = yield* client(dsn)
  for (const statement of [
    ...StatusTable.initStatements(table),
    ...StatusTable.initStatements(table)
  ]) {
    yield* sql.unsafe(statement)
  }
  const role = `writer_${new URL(Redacted.value(dsn)).pathname.slice(1)}`
  yield* sql.unsafe(`create role ${role} login password 'secret'`)
  yield* sql.unsafe(`grant usage on schema ops to ${role}`)
  yield* sql.unsafe(StatusTable.grantStatement(table, role))
  return {
    sql,
    role,
    dsn: Redacted.make(Redacted.value(dsn).replace(/\/\/[^@]*@/, `//${role}:secret@`)),
    rows: sql<Row>`select * from ops."Camera status" order by id`
  }
})

interface Row {
  readonly id: string
  readonly name: string | null
  readonly state: string
  readonly since: Date
  readonly reason: string | null
  readonly bitrate: string | bigint | number
  readonly last_video: Date | null
  readonly updated_at: Date
  readonly instance: string
}

/** Cameras 1 (live), 2 (refused) and 3 (invalid), whose states are kept in the table. */
const running = Effect.fnUntraced(function* (
  dsn: Redacted.Redacted,
  options: Partial<StatusTable.StatusTableOptions> = {}
) {
  const fake = FakeEngine.make()
  const { answer } = fake
  fake.answer = (camera) =>
    camera.id === "2"
      ? Effect.fail(new Reason.Unauthorized({ credentials: "wrong" }))
      : answer(camera)
  const log = Log.make()
  const services = yield* log.capture(
    Layer.build(
      StatusTable.layer({ ...quick, ...options }).pipe(
        Layer.provideMerge(Rates.layer),
        Layer.provideMerge(treeLayer([fake], [row(1), row(2), row(3, { url: null, name: null })])),
        Layer.provide(
          Layer.effect(PgClient.PgClient, PgClient.make({ url: dsn })).pipe(
            Layer.provide(Reactivity.layer)
          )
        )
      )
    )
  )
  return {
    fake,
    log,
    store: Context.get(services, StatusStore),
    setRows: (rows: Parameters<typeof treeLayer>[1]) =>
      SubscriptionRef.set(Context.get(services, MemoryCameraSource.CameraRows), rows)
  }
})

/** Done when the rows fit. */
const until = <E>(
  rows: Effect.Effect<ReadonlyArray<Row>, E>,
  fits: (rows: ReadonlyArray<Row>) => boolean
) => Effect.repeat(Effect.delay(rows, "10 millis"), { until: fits })

const states = (rows: ReadonlyArray<Row>) => rows.map(({ id, state }) => `${id} ${state}`).join()

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "the status table",
  (it) => {
    it.effect("has a row per camera, writes changes, and deletes removed cameras", () =>
      Effect.gen(function* () {
        const { dsn, rows, sql } = yield* database
        yield* sql`insert into ops."Camera status" (id, state, since, bitrate, updated_at, instance)
        values ('old', 'ok', now(), 0, now() - interval '1 hour', 'there/1'),
          ('other', 'ok', now(), 0, now(), 'there/2')`
        const { setRows, store } = yield* running(dsn)
        const [one, two, three] = yield* until(
          rows,
          (all) => states(all) === "1 ok,2 down,3 invalid,other ok"
        )
        assert.deepInclude(one, { name: "Camera 1", reason: null, instance: `here/${store.boot}` })
        assert.strictEqual(one!.last_video!.getTime() > 0, true)
        assert.match(two!.reason ?? "", /wrong user name or password/)
        assert.strictEqual(two!.since.getTime(), (yield* store.get(idOf(2)))!.since)
        assert.strictEqual(three!.name, "3")

        // only what changed is written
        yield* setRows([row(1), row(2, { name: "Yard\u0000 \ud800 'x\"" }), row(4)])
        const [again, renamed, , other] = yield* until(
          rows,
          (all) => states(all) === "1 ok,2 down,4 ok,other ok" && all[1]!.name !== "Camera 2"
        )
        assert.deepStrictEqual(again!.updated_at, one!.updated_at)
        assert.strictEqual(renamed!.name, "Yard\\x00 \ufffd 'x\"")
        // a row of another daemon that runs
        assert.strictEqual(other!.instance, "there/2")
        // a join is what it is for
        const joined = yield* sql`select c.n, s.state from generate_series(1, 4) c (n)
        left join ops."Camera status" s on s.id = c.n::text
          and s.updated_at > now() - interval '90 seconds' order by c.n`
        assert.deepStrictEqual(
          joined.map(({ state }) => state),
          ["ok", "down", null, "ok"]
        )
      })
    )

    it.effect("writes every row again after a while, so that an old row means no daemon", () =>
      Effect.gen(function* () {
        const { dsn, rows } = yield* database
        yield* running(dsn, { refreshInterval: "100 millis" })
        const [first] = yield* until(rows, (all) => states(all) === "1 ok,2 down,3 invalid")
        yield* until(rows, (all) => all.every(({ updated_at }) => updated_at > first!.updated_at))
      })
    )

    it.effect("logs a missing privilege once, and resumes when it is granted", () =>
      Effect.gen(function* () {
        const { dsn, role, rows, sql } = yield* database
        yield* sql.unsafe(`revoke insert on ops."Camera status" from ${role}`)
        const { fake, log } = yield* running(dsn)
        yield* log.awaitLine(
          /may not write the status table ops\.Camera status; grant it select, insert/
        )
        yield* sql.unsafe(`grant insert on ops."Camera status" to ${role}`)
        yield* until(rows, (all) => states(all) === "1 ok,2 down,3 invalid")
        yield* log.awaitLine(/status table ops\.Camera status is up to date again/)
        assert.lengthOf(log.matching(/may not write/), 1)
        assert.lengthOf(fake.relays, 1)
      })
    )

    it.effect("logs how to create a missing table", () =>
      Effect.gen(function* () {
        const { dsn, rows, sql } = yield* database
        yield* sql`alter table ops."Camera status" rename to elsewhere`
        const { log } = yield* running(dsn)
        yield* log.awaitLine(
          /does not exist; create it: restream db init --status; relays are unaffected/
        )
        yield* sql`alter table ops.elsewhere rename column reason to why`
        yield* sql`alter table ops.elsewhere rename to "Camera status"`
        yield* log.awaitLine(/other columns than restream db init --status gives it: .*"reason"/)
        yield* sql`alter table ops."Camera status" rename column why to reason`
        yield* until(rows, (all) => states(all) === "1 ok,2 down,3 invalid")
      })
    )

    it.effect("reports an outage of the database as one incident, and then writes everything", () =>
      Effect.gen(function* () {
        const { dsn, role, rows, sql } = yield* database
        const { fake, log, setRows } = yield* running(dsn)
        yield* until(rows, (all) => states(all) === "1 ok,2 down,3 invalid")
        yield* sql.unsafe(`alter role ${role} nologin`)
        yield* sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role}`
        // what changes meanwhile is not lost
        yield* setRows([row(1), row(5)])
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => fake.relays.length === 2 })
        yield* log.awaitLine(/cannot be written: .*not permitted to log in; relays are unaffected/)
        yield* sql.unsafe(`alter role ${role} login`)
        yield* until(rows, (all) => states(all) === "1 ok,5 ok")
        yield* log.awaitLine(/is up to date again/)
        assert.isAtMost(log.matching(/cannot be written/).length, 2)
      })
    )

    it.effect("delays nothing while a statement hangs, not even its own end", () =>
      Effect.gen(function* () {
        const { dsn, rows, sql } = yield* database
        const scope = yield* Scope.make()
        const { fake, log, setRows } = yield* running(dsn).pipe(Scope.provide(scope))
        yield* until(rows, (all) => states(all) === "1 ok,2 down,3 invalid")
        yield* Effect.gen(function* () {
          yield* sql`lock table ops."Camera status" in access exclusive mode`
          yield* setRows([row(1), row(6)])
          yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => fake.relays.length === 2 })
          yield* log.awaitLine(/cannot be written: no response within 300ms/)
          yield* Scope.close(scope, Exit.void)
        }).pipe(sql.withTransaction)
        assert.isDefined(fake.relays[1]!.endedAt)
      })
    )
  }
)
