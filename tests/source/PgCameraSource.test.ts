import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { type CameraRow, CameraSource, CameraTable, PgCameraSource } from "@restream/core"
import { Effect, Exit, Fiber, Layer, Queue, Redacted } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { client, freshDatabase, Postgres } from "../support/Postgres.ts"
import { awaitIds, cameraSourceContract, observe, row } from "./CameraSourceContract.ts"

const table = CameraTable.parseTableName("video.cameras")!
const channel = "restream_cameras"

const initialize = (sql: PgClient.PgClient) =>
  Effect.forEach(CameraTable.initStatements(table, channel), (statement) => sql.unsafe(statement), {
    discard: true
  })

/** All in one transaction: whoever looks sees the old rows or the new ones. */
const setRows = (rows: ReadonlyArray<CameraRow>) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`delete from video.cameras`
        for (const { id, name, url } of rows) {
          yield* sql`insert into video.cameras (id, name, url) overriding system value
            values (${id as number}, ${name as string}, ${url as string})`
        }
      })
    )
  )

const database = Layer.effect(
  PgClient.PgClient,
  Effect.gen(function* () {
    const sql = yield* client(yield* freshDatabase)
    yield* initialize(sql)
    return sql
  })
)

const source = (options: Partial<PgCameraSource.PgCameraSourceOptions> = {}) =>
  PgCameraSource.layer({
    query: CameraTable.selectAll(table),
    channel,
    // so seldom that what a test sees comes from a notification
    pollInterval: "1 hour",
    ...options
  })

const sourceWith = (
  rows: ReadonlyArray<CameraRow>,
  options: Partial<PgCameraSource.PgCameraSourceOptions> = {}
) =>
  source(options).pipe(
    Layer.provideMerge(Layer.effectDiscard(setRows(rows))),
    Layer.provideMerge(database)
  )

const ids = (rows: ReadonlyArray<CameraRow>) => rows.map(({ id }) => String(id))

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  cameraSourceContract(it, "PgCameraSource by notifications", { layer: sourceWith, setRows })

  cameraSourceContract(it, "PgCameraSource by polling", {
    layer: (rows) =>
      source({ channel: undefined, pollInterval: "100 millis" }).pipe(
        Layer.provideMerge(Layer.effectDiscard(setRows(rows))),
        Layer.provideMerge(database)
      ),
    setRows
  })

  it.effect("makes its table once, however often it is told to, and keeps its rows", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* setRows([row(1)])
      yield* initialize(sql)
      const rows = yield* sql<CameraRow>`select * from video.cameras`
      assert.deepStrictEqual(
        Object.keys(rows[0]!),
        CameraTable.columns.map(([name]) => name)
      )
    }).pipe(Effect.provide(database))
  )

  it.effect("sends one notification for a statement, however many rows it changes", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const heard = yield* sql.listen(channel)
      yield* sql`insert into video.cameras (url) select 'rtsp://h/' || n from generate_series(1, 1000) n`
      yield* sql`update video.cameras set enabled = false`
      yield* sql`delete from video.cameras`
      yield* sql`truncate video.cameras`
      // a marker of our own tells when all of them have come
      yield* sql.notify(channel, "end")
      const payloads: Array<string> = []
      while (payloads.at(-1) !== "end") payloads.push((yield* Queue.take(heard)).payload)
      assert.deepStrictEqual(payloads, ["", "", "", "", "end"])
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect("reads another's table through a query, with the right to read and no other", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const owner = yield* client(url)
      yield* owner`create table devices (device_no int, label text, addr inet, extra jsonb)`
      yield* owner`insert into devices values (7, 'Gate', '10.0.0.7', '{"audio":"drop"}')`
      yield* owner`create role reader login password 'read'`
      yield* owner`grant select on devices to reader`
      const reader = yield* client(
        Redacted.make(Redacted.value(url).replace(/\/\/[^@]*@/, "//reader:read@"))
      )
      const query = `select device_no as id, label as name, 'axis' as type, host(addr) as host,
        extra as options from devices`
      yield* Effect.gen(function* () {
        const { rows } = yield* (yield* CameraSource).refresh
        assert.deepStrictEqual(rows, [
          { id: 7, name: "Gate", type: "axis", host: "10.0.0.7", options: { audio: "drop" } }
        ])
      }).pipe(
        Effect.provide(
          source({ query }).pipe(Layer.provide(Layer.succeed(PgClient.PgClient, reader)))
        )
      )
    }).pipe(Effect.scoped)
  )

  it.effect("goes on when the table gains a column, or is dropped and made again", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const cameras = yield* CameraSource
      assert.deepStrictEqual(ids((yield* cameras.refresh).rows), ["1"])
      yield* sql`alter table video.cameras add column site text default 'nord'`
      assert.strictEqual((yield* cameras.refresh).rows[0]?.["site"], "nord")
      yield* sql`alter table video.cameras rename to away`
      const error = yield* Effect.flip(cameras.refresh)
      assert.strictEqual(error.reason._tag, "Misasked")
      assert.match(error.message, /video\.cameras" does not exist/)
      yield* sql`alter table video.away rename to cameras`
      assert.deepStrictEqual(ids((yield* cameras.refresh).rows), ["1"])
    }).pipe(Effect.provide(sourceWith([row(1)])))
  )

  it.effect("hears again after its sessions were ended, and sees what was changed meanwhile", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const seen = yield* observe
      yield* awaitIds(seen, ["1"])
      // the LISTEN's session must stand before it can be ended
      const listeners = sql<{ pid: number }>`select pid from pg_stat_activity
        where query ilike 'listen%' and pid <> pg_backend_pid()`
      const [listener] = yield* Effect.repeat(listeners, { until: (rows) => rows.length > 0 })
      yield* sql`select pg_terminate_backend(${listener!.pid})`
      yield* setRows([row(2)])
      yield* awaitIds(seen, ["2"])
      yield* Effect.repeat(listeners, {
        until: (rows) => rows.length > 0 && rows[0]!.pid !== listener!.pid
      })
      yield* setRows([row(3)])
      yield* awaitIds(seen, ["3"])
    }).pipe(Effect.scoped, Effect.provide(sourceWith([row(1)])))
  )

  it.effect("asks once more when its session is ended under the query, and once only", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const source = yield* CameraSource
      yield* source.refresh
      // ends the session of a query that waits for the lock on the table
      const endLook = Effect.gen(function* () {
        const waiting = sql<{ pid: number }>`select pid from pg_locks where not granted
          and relation = 'video.cameras'::regclass`
        const [session] = yield* Effect.repeat(waiting, { until: (rows) => rows.length > 0 })
        yield* sql`select pg_terminate_backend(${session!.pid}, 5000)`
      })
      const lookWhile = (ending: Effect.Effect<void, SqlError>) =>
        Effect.gen(function* () {
          const look = yield* sql.withTransaction(
            Effect.gen(function* () {
              yield* sql`lock table video.cameras in access exclusive mode`
              const look = yield* Effect.forkScoped(Effect.exit(source.refresh))
              yield* ending
              return look
            })
          )
          return yield* Fiber.join(look)
        }).pipe(Effect.scoped)
      const once = yield* lookWhile(endLook)
      assert.isTrue(Exit.isSuccess(once))
      const twice = yield* lookWhile(Effect.andThen(endLook, endLook))
      assert.isTrue(Exit.isFailure(twice))
    }).pipe(Effect.provide(sourceWith([row(1)], { channel: undefined })))
  )

  it.effect("says who was not let in, and at what", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const wrong = Redacted.make(Redacted.value(url).replace(/:[^:@]*@/, ":TopSecret1@"))
      const error = yield* Effect.gen(function* () {
        return yield* Effect.flip((yield* CameraSource).refresh)
      }).pipe(
        Effect.provide(source().pipe(Layer.provide(Layer.effect(PgClient.PgClient, client(wrong)))))
      )
      assert.strictEqual(error.reason._tag, "Denied")
      assert.match(error.message, /password authentication failed for user "postgres"/)
      assert.notInclude(JSON.stringify(error), "TopSecret1")
    })
  )
})
