/** LISTEN on connections that deliver no notifications, or that are ended. */
import { assert, layer } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { parseTableName } from "@restream/config"
import { type CameraRow, CameraSource, CameraTable, PgCameraSource } from "@restream/core"
import { EmbeddedPostgres } from "@restream/core/testing"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { withLog } from "../kit/Log.ts"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { awaitIds, observe, row } from "./CameraSourceContract.ts"
import * as DeafProxy from "./DeafProxy.ts"

const table = parseTableName("cameras")!
const channel = "restream_cameras"

/** A database with a table of cameras, a proxy before it, and the source that reads through the proxy. */
const site = Effect.gen(function* () {
  const url = yield* freshDatabase
  const sql = yield* client(url)
  yield* Effect.forEach(CameraTable.initStatements(table, channel), (each) => sql.unsafe(each))
  const add = ({ id, url }: CameraRow) =>
    sql`insert into cameras (id, url) overriding system value values (${id as number}, ${url as string})`
  yield* add(row(1))
  const server = new URL(Redacted.value(url))
  const proxy = yield* DeafProxy.make(Number(server.port))
  server.port = String(proxy.port)
  server.searchParams.set("application_name", "restream")
  const source = (options: Partial<PgCameraSource.PgCameraSourceOptions>) =>
    PgCameraSource.layer({ query: CameraTable.selectAll(table), channel, ...options }).pipe(
      Layer.provide(Layer.effect(PgClient.PgClient, client(Redacted.make(server.href))))
    )
  return { add, proxy, source, sql }
})

type Site = Effect.Success<typeof site>

/** A test while the source reads; `prepare` runs before the source is built. */
const whileReading = (
  options: Partial<PgCameraSource.PgCameraSourceOptions>,
  test: (
    site: Site & {
      readonly lines: ReadonlyArray<string>
      readonly seen: Effect.Success<typeof observe>
    }
  ) => Effect.Effect<void, unknown, Postgres | Scope.Scope>,
  prepare: (site: Site) => Effect.Effect<unknown, unknown> = () => Effect.void
) =>
  withLog((lines) =>
    Effect.gen(function* () {
      const here = yield* site
      yield* prepare(here)
      yield* Effect.gen(function* () {
        const seen = yield* observe
        yield* awaitIds(seen, ["1"])
        yield* test({ ...here, lines, seen })
      }).pipe(Effect.scoped, Effect.provide(here.source(options)))
    })
  )

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.sleep("20 millis"), { until: condition })

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  it.effect("polls where notifications do not arrive, and logs that once", () =>
    whileReading(
      {
        timing: Effect.succeed({ pollInterval: "100 millis" }),
        listenTiming: {
          proofTimeout: "300 millis",
          retryDelay: "200 millis",
          stableAfter: "500 millis"
        }
      },
      Effect.fnUntraced(function* ({ add, lines, proxy, seen }) {
        yield* until(() => lines.length > 0)
        const before = proxy.count()
        yield* until(() => proxy.count() >= before + 3)
        assert.deepStrictEqual(lines, [
          "Warn database: notifications unavailable: no response to our NOTIFY within 0.3 s: a connection pooler in transaction mode or a proxy drops notifications; polling only; retrying in 0.2 s"
        ])
        yield* add(row(2))
        yield* awaitIds(seen, ["1", "2"])
        proxy.dropsNotifications = false
        yield* until(() => lines.length > 1)
        assert.deepStrictEqual(lines.slice(1), ["Info database: notifications resumed"])
      }),
      ({ proxy }) => Effect.sync(() => (proxy.dropsNotifications = true))
    )
  )

  for (const [what, fits] of [
    ["the session that listens", ({ listens }) => listens],
    ["all sessions", () => true]
  ] as ReadonlyArray<[string, (connection: { readonly listens: boolean }) => boolean]>) {
    it.effect(`listens again after a proxy dropped ${what} without closing it`, () =>
      whileReading(
        {
          timing: Effect.succeed({ pollInterval: "1 hour", fetchTimeout: "1 second" }),
          listenTiming: {
            proofInterval: "200 millis",
            proofTimeout: "500 millis",
            stableAfter: "500 millis"
          }
        },
        Effect.fnUntraced(function* ({ add, lines, proxy, seen, sql }) {
          const proven = sql`select pid from pg_stat_activity where application_name = 'restream'
            and datname = current_database() and query = 'select 1'`
          yield* Effect.repeat(proven, { until: (rows) => rows.length > 0 })
          // a read that is under way would be lost as well, and be reported first
          yield* add(row(3))
          yield* awaitIds(seen, ["1", "3"])
          const reading = sql`select from pg_stat_activity where application_name = 'restream'
            and datname = current_database() and state <> 'idle'`
          yield* Effect.repeat(Effect.delay(reading, "100 millis"), {
            until: (rows) => rows.length === 0
          })
          proxy.swallow(fits)
          yield* until(() => lines.length > 0)
          assert.match(
            lines[0]!,
            /^Warn database: notifications unavailable: .*no response to .*NOTIFY within .*; changes are found by polling until they resume$/
          )
          yield* until(() => lines.length > 1)
          assert.deepStrictEqual(lines.slice(1), ["Info database: notifications resumed"])
          yield* add(row(2))
          yield* awaitIds(seen, ["1", "2", "3"])
        })
      )
    )
  }

  it.effect("continues to listen while no other session can be opened", () =>
    whileReading(
      {
        timing: Effect.succeed({ pollInterval: "1 hour" }),
        listenTiming: { proofInterval: "100 millis" }
      },
      Effect.fnUntraced(function* ({ add, lines, proxy, seen, sql }) {
        const [database] = yield* sql<{ name: string }>`select current_database() as name`
        const elsewhere = yield* client((yield* Postgres).dsn)
        const allowConnections = (isAllowed: boolean) =>
          elsewhere.unsafe(`alter database ${database!.name} allow_connections ${isAllowed}`)
        const ours = sql<{
          pid: number
          listens: boolean
        }>`select pid, query = 'select 1' as listens
          from pg_stat_activity where application_name = 'restream' and datname = current_database()`
        const isProven = Effect.repeat(ours, {
          until: (all) => all.some(({ listens }) => listens)
        })
        const before = proxy.count()
        yield* allowConnections(false)
        for (const { listens, pid } of yield* isProven) {
          if (!listens) yield* sql`select pg_terminate_backend(${pid}, 5000)`
        }
        // each NOTIFY of ours needs another session, and gets none
        yield* until(() => proxy.count() >= before + 3)
        yield* allowConnections(true)
        yield* add(row(2))
        yield* awaitIds(seen, ["1", "2"])
        // a read may have failed meanwhile, and notifications did not
        assert.deepStrictEqual(
          lines.filter((line) => line.includes("notifications")),
          []
        )
      })
    )
  )

  it.effect("polls where the role may not NOTIFY, and logs that once", () =>
    whileReading(
      {
        timing: Effect.succeed({ pollInterval: "100 millis" }),
        listenTiming: { retryDelay: "100 millis" }
      },
      Effect.fnUntraced(function* ({ add, lines, proxy, seen }) {
        yield* until(() => lines.length > 0)
        const before = proxy.count()
        yield* until(() => proxy.count() >= before + 3)
        yield* add(row(2))
        yield* awaitIds(seen, ["1", "2"])
        assert.deepStrictEqual(lines, [
          "Warn database: notifications unavailable: the role may not use them: permission denied for NOTIFY; polling only; retrying in 0.1 s"
        ])
      }),
      ({ proxy }) => Effect.sync(() => (proxy.refusesNotify = true))
    )
  )

  it.effect("reads through a pooler that allows no transaction", () =>
    Effect.gen(function* () {
      const { proxy, source } = yield* site
      proxy.refusesTransactions = true
      const { rows } = yield* Effect.provide(
        Effect.flatMap(CameraSource, ({ refresh }) => refresh),
        source({})
      )
      assert.deepStrictEqual(
        rows.map(({ id }) => id),
        [1]
      )
    })
  )

  it.effect("reads again after a proxy dropped a session at the end of a read", () =>
    Effect.gen(function* () {
      const { add, proxy, source } = yield* site
      proxy.swallowsRollbacks = true
      yield* Effect.gen(function* () {
        const seen = yield* observe
        yield* until(() => proxy.swallowed() > 0)
        proxy.swallowsRollbacks = false
        yield* add(row(2))
        yield* awaitIds(seen, ["1", "2"])
      }).pipe(
        Effect.scoped,
        Effect.provide(
          source({
            channel: undefined,
            timing: Effect.succeed({ pollInterval: "100 millis", fetchTimeout: "1 second" })
          })
        )
      )
    })
  )

  it.effect("keeps a session that would be ended for being idle", () =>
    whileReading(
      {
        timing: Effect.succeed({ pollInterval: "100 millis" }),
        listenTiming: { proofInterval: "200 millis" }
      },
      Effect.fnUntraced(function* ({ lines, sql }) {
        // the server's own clock tells that a session has lived for three timeouts
        const old = sql`select pid from pg_stat_activity where application_name = 'restream'
          and datname = current_database() and query = 'select 1'
          and backend_start < clock_timestamp() - interval '3 s'`
        yield* Effect.repeat(old, { until: (rows) => rows.length > 0 })
        assert.deepStrictEqual(lines, [])
      }),
      Effect.fnUntraced(function* ({ sql }) {
        const [database] = yield* sql<{ name: string }>`select current_database() as name`
        yield* sql.unsafe(`alter database ${database!.name} set idle_session_timeout to '1s'`)
      })
    )
  )

  it.effect("polls a standby, logs that once, and listens after it was promoted", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { dsn } = yield* EmbeddedPostgres.makeStandby
        const sql = yield* client(dsn)
        yield* Effect.gen(function* () {
          const seen = yield* observe
          yield* awaitIds(seen, ["1"])
          yield* until(() => lines.length > 0)
          assert.deepStrictEqual(lines, [
            "Warn database: notifications unavailable: the server is a standby, which sends none; polling only; retrying in 0.1 s"
          ])
          yield* sql`select pg_promote()`
          yield* until(() => lines.length > 1)
          assert.deepStrictEqual(lines.slice(1), ["Info database: notifications resumed"])
        }).pipe(
          Effect.scoped,
          Effect.provide(
            PgCameraSource.layer({
              query: "select 1 as id",
              channel,
              listenTiming: { retryDelay: "100 millis", stableAfter: "500 millis" }
            }).pipe(Layer.provide(Layer.succeed(PgClient.PgClient, sql)))
          )
        )
      }).pipe(Effect.provide(NodeServices.layer), Effect.scoped)
    )
  )
})
