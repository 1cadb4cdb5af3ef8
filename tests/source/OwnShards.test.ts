/** What a node of a cluster reads of a large table: the rows of its shards. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { parseTableName } from "@restream/config"
import {
  type CameraRow,
  CameraSource,
  CameraTable,
  type OwnedShards,
  PgCameraSource,
  Shard,
  type Snapshot
} from "@restream/core"
import { Effect, Layer, Option, Stream, SubscriptionRef } from "effect"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { recording } from "./RecordingClient.ts"

const count = 8
const channel = "restream_cameras"
const table = parseTableName("cameras")!

const shardOf = ({ id }: CameraRow) => Shard.shardOf(String(id), count)

/** The first ids of a shard. */
const idsIn = (shard: number) =>
  Array.from({ length: 200 }, (_, index) => index + 1).filter((id) => shardOf({ id }) === shard)

/** A source of a node that has some shards, and that has read what it needs. */
const node = Effect.fnUntraced(function* (
  ours: ReadonlyArray<number>,
  rows: number,
  options: Partial<PgCameraSource.PgCameraSourceOptions> = {}
) {
  const sql = yield* client(yield* freshDatabase)
  for (const statement of CameraTable.initStatements(table, channel)) yield* sql.unsafe(statement)
  yield* sql.unsafe(CameraTable.shardIndex(table, count))
  yield* sql`insert into cameras (name, url)
    select 'Camera ' || n, 'rtsp://h/' || n from generate_series(1, ${rows}) n`
  yield* sql`analyze cameras`
  const held = yield* SubscriptionRef.make<ReadonlyMap<number, object>>(
    new Map(ours.map((shard) => [shard, {}]))
  )
  const shards: OwnedShards = {
    count,
    ours: () => SubscriptionRef.getUnsafe(held),
    came: Stream.map(SubscriptionRef.changes(held), () => undefined)
  }
  const recorded = recording(sql)
  const source = yield* Layer.build(
    PgCameraSource.layer({
      query: CameraTable.selectAll(table),
      isTable: true,
      channel,
      shards,
      timing: Effect.succeed({ pollInterval: "1 hour" }),
      ...options
    }).pipe(Layer.provide(Layer.succeed(PgClient.PgClient, recorded.client)))
  )
  const cameras = yield* Effect.provideContext(CameraSource, source)
  yield* Effect.repeat(Effect.delay(Effect.sync(recorded.asked), "200 millis"), {
    until: (statements) => statements.length === 0
  })
  /** Done with the first snapshot of which this holds, and what was asked until then. */
  const awaitSnapshot = (isIt: (snapshot: Snapshot) => boolean) =>
    Effect.map(Stream.runHead(Stream.filter(cameras.snapshots, isIt)), (snapshot) => ({
      asked: recorded.asked(),
      snapshot: Option.getOrThrow(snapshot)
    }))
  return {
    sql,
    cameras,
    asked: recorded.asked,
    awaitSnapshot,
    hold: (ours: ReadonlyArray<number>) =>
      SubscriptionRef.update(held, (before) => {
        return new Map(ours.map((shard) => [shard, before.get(shard) ?? {}]))
      })
  }
})

const shardsOf = ({ rows }: Snapshot) => [...new Set(rows.map(shardOf))].toSorted()

/** A source looks by the fingerprint at any time, and once more when it begins to listen. */
const looks = ["count", "fingerprint"]
const withoutLooks = (asked: ReadonlyArray<string>) => asked.filter((one) => !looks.includes(one))

/** A look, and no rows. */
const assertLooks = (asked: ReadonlyArray<string>) =>
  assert.deepStrictEqual([...new Set(asked)], looks)

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  it.effect("reads the rows of its shards, and those of an added shard", () =>
    Effect.gen(function* () {
      const { asked, awaitSnapshot, cameras, hold, sql } = yield* node([2, 3], 20_000)
      const first = yield* cameras.refresh
      assert.deepStrictEqual(shardsOf(first), [2, 3])
      assert.deepStrictEqual([...first.shards!].toSorted(), [2, 3])
      assertLooks(asked())

      yield* hold([2, 3, 5])
      const came = yield* awaitSnapshot(({ shards }) => shards?.has(5) === true)
      assert.deepStrictEqual(withoutLooks(came.asked), ["shards"])
      assert.deepStrictEqual(shardsOf(came.snapshot), [2, 3, 5])
      // the rows that it came to are those of the table
      yield* cameras.refresh
      assertLooks(asked())

      // what changes while another node has the shard is read when the shard comes back
      const [id] = idsIn(3)
      yield* hold([2, 5])
      yield* sql`update cameras set name = 'Gate' where id = ${id!}`
      yield* hold([2, 3, 5])
      const back = yield* awaitSnapshot(({ rows }) => rows.some(({ name }) => name === "Gate"))
      assert.deepStrictEqual(shardsOf(back.snapshot), [2, 3, 5])
      assert.isFalse(back.asked.includes("rows"))
    })
  )

  it.effect("queries nothing after a notification of another node's rows", () =>
    Effect.gen(function* () {
      const { awaitSnapshot, sql } = yield* node([2, 3], 20_000)
      const [other] = idsIn(4)
      const [own] = idsIn(3)
      yield* sql`update cameras set name = 'Elsewhere' where id = ${other!}`
      yield* sql`update cameras set name = 'Here' where id = ${own!}`
      const { asked, snapshot } = yield* awaitSnapshot(({ rows }) =>
        rows.some(({ name }) => name === "Here")
      )
      assert.deepStrictEqual(withoutLooks(asked), ["ids"])
      assert.deepStrictEqual(shardsOf(snapshot), [2, 3])
    })
  )

  it.effect("reads the rows that claim one path, in any shard", () =>
    Effect.gen(function* () {
      const { asked, cameras, sql } = yield* node([2, 3], 20_000)
      const [own] = idsIn(3)
      const [other] = idsIn(4)
      yield* sql`update cameras set path = 'gate' where id in (${own!}, ${other!})`
      const { rows } = yield* cameras.refresh
      assert.deepStrictEqual(
        rows
          .filter(({ path }) => path === "gate")
          .map(({ id }) => id)
          .toSorted(),
        [own, other].toSorted()
      )
      assert.strictEqual(new Set(rows.map(({ id }) => id)).size, rows.length)
      asked()
      yield* cameras.refresh
      assertLooks(asked())
    })
  )

  it.effect("finds the rows of a shard by the index of db init --cluster", () =>
    Effect.gen(function* () {
      const { awaitSnapshot, hold, sql } = yield* node([2], 20_000)
      yield* hold([2, 5])
      yield* awaitSnapshot(({ shards }) => shards?.has(5) === true)
      const [use] = yield* sql<{ readonly scans: number }>`select idx_scan::int as scans
        from pg_stat_user_indexes where indexrelname = 'cameras_shard_of_8'`.pipe(
        Effect.repeat({ until: ([use]) => (use?.scans ?? 0) > 0 })
      )
      assert.isAtLeast(use!.scans, 1)
    })
  )

  it.effect("reads all rows of a smaller table, and of ids whose text is not that of SQL", () =>
    Effect.gen(function* () {
      const small = yield* node([2], 19_999)
      const snapshot = yield* small.cameras.refresh
      assert.isUndefined(snapshot.shards)
      assert.lengthOf(snapshot.rows, 19_999)
      const times = yield* node([2], 0, {
        query:
          "select timestamptz '2026-01-01' + n * interval '1 s' as id from generate_series(1, 20000) n"
      })
      assert.lengthOf((yield* times.cameras.refresh).rows, 20_000)
    })
  )
})
