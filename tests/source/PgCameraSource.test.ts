import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { parseTableName } from "@restream/config"
import { type CameraRow, CameraSource, CameraTable, PgCameraSource } from "@restream/core"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Queue,
  Redacted,
  Scope,
  Stream
} from "effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Log from "../kit/Log.ts"
import { withLog } from "../kit/Log.ts"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { recording } from "./RecordingClient.ts"
import { awaitIds, cameraSourceContract, observe, row } from "./CameraSourceContract.ts"

const table = parseTableName("video.cameras")!
const channel = "restream_cameras"

const initialize = (sql: PgClient.PgClient) =>
  Effect.forEach(
    [
      ...CameraTable.initStatements(table, channel),
      `create or replace function video.forget() returns int language sql volatile
        as 'delete from video.cameras returning 1'`
    ],
    (statement) => sql.unsafe(statement),
    { discard: true }
  )

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
    timing: Effect.succeed({ pollInterval: "1 hour" }),
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

/** The time that a read takes in a test, in milliseconds. */
const slowReadMs = 100

const ids = (rows: ReadonlyArray<CameraRow>) => rows.map(({ id }) => String(id))

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  cameraSourceContract(it, "PgCameraSource by notifications", { layer: sourceWith, setRows })

  cameraSourceContract(it, "PgCameraSource by polling", {
    layer: (rows) =>
      source({ channel: undefined, timing: Effect.succeed({ pollInterval: "100 millis" }) }).pipe(
        Layer.provideMerge(Layer.effectDiscard(setRows(rows))),
        Layer.provideMerge(database)
      ),
    setRows
  })

  it.effect("creates its table once, however often that is requested, and keeps its rows", () =>
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

  it.effect("makes its table with rights in the schema alone", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const owner = yield* client(url)
      yield* owner`create schema video`
      yield* owner`create role maker login password 'make'`
      yield* owner`grant usage, create on schema video to maker`
      const maker = yield* client(
        Redacted.make(Redacted.value(url).replace(/\/\/[^@]*@/, "//maker:make@"))
      )
      yield* initialize(maker)
      yield* initialize(maker)
      assert.deepStrictEqual(yield* maker`select * from video.cameras`, [])
    })
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

  /** What is notified of statements, one after another: the ids, or `any`. */
  const notified = (sql: PgClient.PgClient, statements: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const heard = yield* sql.listen(channel)
      for (const statement of statements) yield* sql.unsafe(statement)
      yield* sql.notify(channel, "end")
      const payloads: Array<string> = []
      while (payloads.at(-1) !== "end") payloads.push((yield* Queue.take(heard)).payload)
      return payloads
        .slice(0, -1)
        .map((payload) =>
          payload === ""
            ? "any"
            : (JSON.parse(payload) as { readonly ids: ReadonlyArray<string> }).ids.toSorted()
        )
    }).pipe(Effect.scoped)

  it.effect("names the rows that a statement changed, up to a hundred of them", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const hundred = Array.from({ length: 100 }, (_, index) => String(index + 1)).toSorted()
      assert.deepStrictEqual(
        yield* notified(sql, [
          "insert into video.cameras (url) select 'rtsp://h/' || n from generate_series(1, 100) n",
          "insert into video.cameras (url) select 'rtsp://h/' || n from generate_series(1, 101) n",
          "update video.cameras set name = 'Gate' where id in (7, 8)",
          // of these only one differs from what it was
          "update video.cameras set name = 'Gate' where id in (7, 8, 9)",
          "update video.cameras set enabled = true",
          "update video.cameras set enabled = false",
          "update video.cameras set id = default where id = 5",
          "delete from video.cameras where id <= 2",
          "delete from video.cameras where false",
          "delete from video.cameras",
          "truncate video.cameras"
        ]),
        [hundred, "any", ["7", "8"], ["9"], "any", ["202", "5"], ["1", "2"], "any", "any"]
      )
    }).pipe(Effect.provide(database))
  )

  it.effect("names ids of any type as they are, and none where they are too long", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`drop table video.cameras`
      yield* sql`create table video.cameras (id text, name text)`
      for (const statement of CameraTable.initStatements(table, channel, { watched: "all" })) {
        yield* sql.unsafe(statement)
      }
      const long = "x".repeat(4_000)
      assert.deepStrictEqual(
        yield* notified(sql, [
          `insert into video.cameras values ('9007199254740993', 'a'), ('it''s "b\\{},', 'b')`,
          `insert into video.cameras values ('${long}1', 'a'), ('${long}2', 'a')`,
          "insert into video.cameras values (null, 'a')",
          "update video.cameras set name = 'c' where id is null"
        ]),
        [["9007199254740993", "it's \"b\\{},"], "any", "any", "any"]
      )
    }).pipe(Effect.provide(database))
  )

  it.effect("replaces the trigger of an older version, which still works meanwhile", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`drop function video.cameras_notify() cascade`
      yield* sql.unsafe(`create function video.cameras_notify() returns trigger language plpgsql as $$
        begin perform pg_notify('${channel}', ''); return null; end $$`)
      yield* sql.unsafe(`create trigger cameras_notify
        after insert or delete or truncate or update of name on video.cameras
        for each statement execute function video.cameras_notify()`)
      const change = ["insert into video.cameras (name) values ('Gate')"]
      assert.deepStrictEqual(yield* notified(sql, change), ["any"])
      // the new function alone, as between two statements of the upgrade
      for (const statement of CameraTable.initStatements(table, channel).slice(0, 3)) {
        yield* sql.unsafe(statement)
      }
      assert.deepStrictEqual(yield* notified(sql, change), ["any"])
      yield* initialize(sql)
      assert.deepStrictEqual(yield* notified(sql, change), [["3"]])
    }).pipe(Effect.provide(database))
  )

  it.effect("notifies of a table without a column id, and names no rows", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`drop table video.cameras`
      yield* sql`create table video.cameras (number int, name text)`
      const options = { watched: "all", hasId: false } as const
      for (const statement of CameraTable.initStatements(table, channel, options)) {
        yield* sql.unsafe(statement)
      }
      assert.deepStrictEqual(
        yield* notified(sql, [
          "insert into video.cameras values (1, 'a')",
          "update video.cameras set number = 2",
          "delete from video.cameras"
        ]),
        ["any", "any", "any"]
      )
    }).pipe(Effect.provide(database))
  )

  it.effect("sends no notification for a column that restream does not read", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`alter table video.cameras add column last_seen timestamptz, add column note text`
      yield* setRows([row(1)])
      const heard = yield* sql.listen(channel)
      for (let n = 0; n < 50; n++)
        yield* sql`update video.cameras set last_seen = now(), note = 'x'`
      yield* sql.notify(channel, "after the other columns")
      for (const [column, type] of CameraTable.columns.slice(1)) {
        const value = type.startsWith("boolean")
          ? "false"
          : type.startsWith("integer")
            ? "7"
            : `'{"audio":"drop"}'`
        yield* sql.unsafe(`update video.cameras set ${column} = ${value}, note = 'y'`)
      }
      yield* sql.notify(channel, "end")
      const payloads: Array<string> = []
      while (payloads.at(-1) !== "end") payloads.push((yield* Queue.take(heard)).payload)
      assert.deepStrictEqual(payloads, [
        "after the other columns",
        ...CameraTable.columns.slice(1).map(() => `{"ids" : ["1"]}`),
        "end"
      ])
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect(
    "follows notifications that do not stop by reads that take a small share of the time",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const cameras = yield* CameraSource
        yield* cameras.refresh
        let reads = 0
        yield* Effect.forkScoped(
          Stream.runForEach(Stream.drop(cameras.snapshots, 1), () => Effect.sync(() => reads++))
        )
        const startedAt = performance.now()
        // what a trigger sends for fifty updates a second
        yield* Effect.forEach(
          Array.from({ length: 150 }),
          () => Effect.delay(sql.notify(channel, ""), "20 millis"),
          { discard: true }
        )
        const share = (reads * slowReadMs) / (performance.now() - startedAt)
        assert.isAtLeast(reads, 1)
        assert.isBelow(share, 0.15)
        // a change is not lost, although it came right after a read
        yield* setRows([row(2)])
        yield* Stream.runHead(Stream.filter(cameras.snapshots, ({ rows }) => rows[0]?.["id"] === 2))
      }).pipe(
        Effect.scoped,
        Effect.provide(
          sourceWith([row(1)], {
            query: `select c.* from (select pg_sleep(${slowReadMs / 1000})) s, video.cameras c`
          })
        )
      )
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
    })
  )

  it.effect("reads a column of any type: types that the driver does not support, as text", () =>
    Effect.gen(function* () {
      const sql = yield* client(yield* freshDatabase)
      const values = [
        ["null::int", null],
        ["7::int2", 7],
        ["8::int8", 8],
        ["9007199254740993::int8", "9007199254740993"],
        ["1.50::numeric", "1.50"],
        ["'NaN'::numeric", "NaN"],
        ["0.1::float8", 0.1],
        ["1e300::float8", 1e300],
        ["true", true],
        ["'Tür \"1\"'::text", 'Tür "1"'],
        ["'ab'::char(4)", "ab"],
        ["'c'::\"char\"", "c"],
        ["'n'::name", "n"],
        [`'{"audio": "drop", "n": [1.0, null]}'::jsonb`, { audio: "drop", n: [1, null] }],
        [`'{"a": "\\u0000"}'::json`, { a: "\u0000" }],
        ["point(13.4, 52.52)", "(13.4,52.52)"],
        ["'12.50'::money", "$12.50"],
        ["'101'::bit(3)", "101"],
        ["tsrange('2026-01-01', null)", '["2026-01-01 00:00:00",)'],
        [
          "'{{1,2},{3,4}}'::int[][]",
          [
            [1, 2],
            [3, 4]
          ]
        ],
        ["'\\x00ff'::bytea", "\\x00ff"],
        ["row(1, 'a')::spot", { x: 1, label: "a" }],
        ["row(1, 'a')", { f1: 1, f2: "a" }],
        ["'dome'::shape", "dome"],
        ["554::port", 554],
        ["'10.0.0.7'::inet", "10.0.0.7"],
        ["'10.0.0.0/8'::cidr", "10.0.0.0/8"],
        ["'08:00:2b:01:02:03'::macaddr", "08:00:2b:01:02:03"],
        ["'9f2c0000-0000-4000-8000-000000000001'::uuid", "9f2c0000-0000-4000-8000-000000000001"],
        ["'2026-01-02 03:04:05+00'::timestamptz", "2026-01-02T03:04:05+00:00"],
        ["'infinity'::timestamptz", "infinity"],
        ["'2026-01-02'::date", "2026-01-02"],
        ["'1 day 02:00'::interval", "1 day 02:00:00"],
        ["'(1,1),(0,0)'::box", "(1,1),(0,0)"],
        ["'<a/>'::xml", "<a/>"],
        ["'a & b'::tsquery", "'a' & 'b'"],
        // as an extension brings one: with input and output functions of its own
        ["'POINT(1 2)'::geometry", "POINT(1 2)"]
      ] as const
      for (const statement of [
        "set lc_monetary to 'C'",
        "create type spot as (x int, label text)",
        "create type shape as enum ('dome', 'bullet')",
        "create domain port as int check (value > 0)",
        "create type geometry",
        "create function geometry_in(cstring) returns geometry language internal strict immutable as 'textin'",
        "create function geometry_out(geometry) returns cstring language internal strict immutable as 'textout'",
        "create type geometry (input = geometry_in, output = geometry_out, internallength = variable)"
      ]) {
        yield* sql.unsafe(statement)
      }
      const columns = values.map(([value], index) => `${value} as c${index}`)
      const query = `select ${columns.join(", ")}`
      const { rows } = yield* Effect.provideService(
        PgCameraSource.fetchResult(query),
        PgClient.PgClient,
        sql
      )
      assert.deepStrictEqual(
        Object.values(rows[0]!).map((value, index) => [values[index]![0], value]),
        values.map(([sql, value]) => [sql, value])
      )
    })
  )

  for (const [what, query] of [
    [
      "a semicolon and a comment at its end",
      "select * from video.cameras; -- all\n/* of /* them */ */ ;"
    ],
    ["a comment that is no end", "select * from video.cameras -- ;"],
    ["comments in comments", "select /* a; /* b; */ c; */ * from video.cameras /**/;"],
    ["quoted names with semicolons", 'select *, 1 as ";"";" from video.cameras;'],
    ["a parameter's sign in a name", "select id, 1 as a$b$c, ';' as b$b$ from video.cameras;"],
    [
      "texts with semicolons",
      "select *, ';' || $x$;$x$ || e'\\';' as \"restream_row\" from video.cameras"
    ],
    ["a WITH and an order", "with a as (select * from video.cameras) select * from a order by id"],
    ["VALUES", "values (1, 'rtsp://h/1')"],
    ["a table alone", "table video.cameras"],
    ["columns of one name", "select a.*, b.* from video.cameras a join video.cameras b using (id)"],
    ["one row more from elsewhere", "select id from video.cameras union all select null limit 1"]
  ] as const) {
    it.effect(`takes a query with ${what}`, () =>
      Effect.gen(function* () {
        yield* setRows([row(1)])
        const { rows } = yield* PgCameraSource.fetchResult(query)
        assert.deepStrictEqual(
          rows.map((row) => row["id"] ?? row["column1"]),
          [1]
        )
      }).pipe(Effect.provide(database))
    )
  }

  for (const [query, said] of [
    ["", /syntax error at end of input/],
    ["-- nothing", /syntax error at end of input/],
    ["select * from video.cameras /* all; /* of */ them", /unterminated \/\* comment/],
    ["select * from video.cameras; /* all */ select 1", /cannot insert multiple commands/],
    ["select * from", /syntax error at end of input/],
    ["select * form video.cameras", /syntax error at or near "form"/],
    ["select ) from video.cameras", /syntax error at or near "\)"/],
    ["select 1; select 2", /cannot insert multiple commands/],
    ["select nme from video.cameras", /column "nme" does not exist/],
    ["select from video.cameras", "the query is not one SELECT of columns that only reads"],
    ["delete from video.cameras", "the query is not one SELECT of columns that only reads"],
    [
      "delete from video.cameras returning *",
      "the query is not one SELECT of columns that only reads"
    ],
    [
      "with gone as (delete from video.cameras returning *) select * from gone",
      "the query is not one SELECT of columns that only reads"
    ],
    ["analyze delete from video.cameras", /syntax error at or near "analyze"/],
    [
      "select video.forget() as id",
      "cannot execute DELETE in a read-only transaction; the query must only read"
    ],
    [
      "select *, nextval('video.cameras_id_seq') from video.cameras",
      "cannot execute nextval() in a read-only transaction; the query must only read"
    ],
    [
      "select * from video.cameras for update",
      "cannot execute SELECT FOR UPDATE in a read-only transaction; the query must only read"
    ]
  ] as const) {
    it.effect(`reports the problem of the query ${JSON.stringify(query)}, and runs nothing`, () =>
      Effect.gen(function* () {
        const { reason } = yield* Effect.flip((yield* CameraSource).refresh)
        assert.strictEqual(reason._tag, "InvalidQuery")
        if (typeof said === "string") assert.strictEqual(reason.detail, said)
        else assert.match(reason.detail, said)
        const sql = yield* PgClient.PgClient
        assert.lengthOf(yield* sql`select id from video.cameras`, 1)
      }).pipe(Effect.provide(sourceWith([row(1)], { query })))
    )
  }

  it.effect("fetches no value of a column that nothing reads", () =>
    Effect.gen(function* () {
      yield* setRows([row(1)])
      const { columns, rows } = yield* PgCameraSource.fetchResult(
        "select id, url, name, 2 as name from video.cameras",
        new Set(["id", "name"])
      )
      assert.deepStrictEqual(columns, ["id", "url", "name"])
      assert.deepStrictEqual(rows, [{ id: 1, name: 2 }])
    }).pipe(Effect.provide(database))
  )

  /** The sessions that listen. */
  const listeners = (sql: PgClient.PgClient) =>
    Effect.map(
      sql<{ pid: number }>`select pid from pg_stat_activity where pid <> pg_backend_pid()
        and datname = current_database() and query ilike 'listen%'`,
      (rows) => rows.map(({ pid }) => pid)
    )

  const insertMany = (sql: PgClient.PgClient, count: number) =>
    sql`insert into video.cameras (name, url)
      select 'Camera ' || n, 'rtsp://h/' || n from generate_series(1, ${count}) n`

  const recorded = (
    sql: PgClient.PgClient,
    options: Partial<PgCameraSource.PgCameraSourceOptions> = {}
  ) => {
    const { asked, client } = recording(sql)
    return Effect.map(
      Layer.build(
        source({ channel: undefined, ...options }).pipe(
          Layer.provide(Layer.succeed(PgClient.PgClient, client))
        )
      ),
      (services) => ({ asked, cameras: Context.get(services, CameraSource) })
    )
  }

  it.effect("reads the rows of a large table only when its fingerprint has changed", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* insertMany(sql, 1_000)
      const { asked, cameras } = yield* recorded(sql)
      const first = yield* cameras.refresh
      asked()
      const second = yield* cameras.refresh
      assert.deepStrictEqual(asked(), ["fingerprint"])
      assert.strictEqual(second.rows, first.rows)
      for (const change of [
        "update video.cameras set name = 'Gate' where id = 1",
        "insert into video.cameras (url) values ('rtsp://h/new')",
        "delete from video.cameras where id = 2"
      ]) {
        yield* sql.unsafe(change)
        const { rows } = yield* cameras.refresh
        assert.deepStrictEqual(asked(), ["fingerprint", "rows"])
        const all = yield* sql<CameraRow>`select * from video.cameras`
        assert.sameDeepMembers(
          rows.map(({ id, name }) => [Number(id), name]),
          all.map(({ id, name }) => [Number(id), name])
        )
        yield* cameras.refresh
        assert.deepStrictEqual(asked(), ["fingerprint"])
      }
      // the same rows in another place of the table
      yield* sql`update video.cameras set name = name`
      yield* cameras.refresh
      assert.deepStrictEqual(asked(), ["fingerprint"])
      // a column that was not there
      yield* sql`alter table video.cameras add column site text`
      const { rows } = yield* cameras.refresh
      assert.deepStrictEqual(asked(), ["rows"])
      assert.isTrue(rows.every((row) => row["site"] === null))
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect(
    "does not ask for the fingerprint of a small table, and notices that it is the same",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* insertMany(sql, 999)
        const { asked, cameras } = yield* recorded(sql)
        const first = yield* cameras.refresh
        asked()
        const second = yield* cameras.refresh
        assert.deepStrictEqual(asked(), ["rows"])
        assert.strictEqual(second.rows, first.rows)
      }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect("stops querying a fingerprint that differs at every read, and logs that once", () => {
    const log = Log.make()
    return Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* insertMany(sql, 1_000)
      const { asked, cameras } = yield* recorded(sql, {
        query: "select *, clock_timestamp() as seen from video.cameras"
      })
      for (let read = 0; read < 4; read++) yield* cameras.refresh
      asked()
      yield* cameras.refresh
      yield* cameras.refresh
      assert.deepStrictEqual(asked(), ["rows", "rows"])
      assert.lengthOf(log.everything().match(/the rows differ at every read/g) ?? [], 1)
    }).pipe(Effect.scoped, Effect.provide(database), log.capture)
  })

  /** A source that listens, after it has read all that it reads at first. */
  const listening = Effect.fnUntraced(function* (
    sql: PgClient.PgClient,
    options: Partial<PgCameraSource.PgCameraSourceOptions> = {}
  ) {
    const { asked, cameras } = yield* recorded(sql, { channel, ...options })
    yield* Effect.repeat(listeners(sql), { until: (pids) => pids.length > 0 })
    asked()
    // a notification that says nothing is answered after all that came before it
    yield* sql.notify(channel, "")
    const askedLately = Effect.delay(Effect.sync(asked), "300 millis")
    yield* Effect.repeat(askedLately, { until: (statements) => statements.includes("fingerprint") })
    yield* Effect.repeat(askedLately, { until: (statements) => statements.length === 0 })
    const change = Effect.fnUntraced(function* (
      statement: string,
      isSeen: (rows: ReadonlyArray<CameraRow>) => boolean
    ) {
      yield* sql.unsafe(statement)
      yield* Stream.runHead(Stream.filter(cameras.snapshots, ({ rows }) => isSeen(rows)))
      return asked()
    })
    return { asked, cameras, change }
  })

  const named = (name: string) => (rows: ReadonlyArray<CameraRow>) =>
    rows.some((row) => row["name"] === name)

  it.effect("reads of a large table the rows that a notification names", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* insertMany(sql, 1_000)
      const { asked, cameras, change } = yield* listening(sql, { isTable: true })
      for (const [statement, isSeen] of [
        ["update video.cameras set name = 'Gate' where id = 7", named("Gate")],
        [
          "insert into video.cameras (id, name) overriding system value values (9007199254740993, 'Far')",
          named("Far")
        ],
        [
          "update video.cameras set name = 'Farther' where id = 9007199254740993",
          (rows: ReadonlyArray<CameraRow>) => named("Farther")(rows) && !named("Far")(rows)
        ],
        [
          "delete from video.cameras where id = 7",
          (rows: ReadonlyArray<CameraRow>) => !named("Gate")(rows)
        ],
        [
          "update video.cameras set id = default where id = 9",
          (rows: ReadonlyArray<CameraRow>) => rows.some(({ id }) => id === 1001)
        ]
      ] as const) {
        assert.deepStrictEqual(yield* change(statement, isSeen), ["ids"])
      }
      // what the rows came to is what the table has
      const { rows } = yield* cameras.refresh
      assert.deepStrictEqual(asked(), ["fingerprint"])
      const all = yield* sql<CameraRow>`select id::text, name from video.cameras`
      assert.sameDeepMembers(
        rows.map(({ id, name }) => [String(id), name]),
        all.map(({ id, name }) => [id, name])
      )
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect("reads everything after the named rows where the query is not a table", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* insertMany(sql, 1_001)
      const { change } = yield* listening(sql, {
        query: "select id, name, count(*) over () as of from video.cameras where enabled"
      })
      // gone from the result, and not from the table; every other row depends on it
      const seen = yield* change("update video.cameras set enabled = false where id = 7", (rows) =>
        rows.every((row) => row["of"] === 1_000)
      )
      assert.deepStrictEqual(seen, ["ids", "fingerprint", "rows"])
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  for (const [what, payload] of [
    ["is empty", ""],
    ["is no JSON", "camera 7"],
    ["names no ids", `{"ids": 7}`],
    ["names ids of another type", `{"ids": ["Gate"]}`]
  ] as const) {
    it.effect(`reads a large table after a notification that ${what}`, () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* insertMany(sql, 1_000)
        yield* sql`alter table video.cameras disable trigger user`
        const { change } = yield* listening(sql, { isTable: true })
        yield* sql`update video.cameras set name = 'Gate' where id = 7`
        const seen = yield* change(`notify ${channel}, '${payload}'`, named("Gate"))
        assert.deepStrictEqual(
          seen.filter((question) => question !== "ids"),
          ["fingerprint", "rows"]
        )
      }).pipe(Effect.scoped, Effect.provide(database))
    )
  }

  it.effect("finds rows by texts that SQL and arrays quote", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`drop table video.cameras`
      yield* sql`create table video.cameras (id text primary key, name text)`
      for (const statement of CameraTable.initStatements(table, channel, { watched: "all" })) {
        yield* sql.unsafe(statement)
      }
      yield* sql`insert into video.cameras select n::text, 'x' from generate_series(1, 1000) n`
      const ids = ["", "null", "it's", 'a "b"', "c\\d'", "{e,f}", " g ", "Tür", "h\n"]
      for (const id of ids) yield* sql`insert into video.cameras values (${id}, 'x')`
      const { change } = yield* listening(sql, { isTable: true })
      for (const [index, id] of ids.entries()) {
        const name = `Camera ${index}`
        const update = `update video.cameras set name = '${name}' where id = '${id.replaceAll("'", "''")}'`
        const seen = yield* change(update, (rows) =>
          rows.some((row) => row["id"] === id && row["name"] === name)
        )
        assert.deepStrictEqual(seen, ["ids"])
      }
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect("reads from a server that makes no hashes", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* insertMany(sql, 1_000)
      // as before PostgreSQL 11
      yield* sql`alter function hashtextextended(text, bigint) rename to hashtext_later`
      const { asked, cameras } = yield* recorded(sql)
      assert.lengthOf((yield* cameras.refresh).rows, 1_000)
      asked()
      yield* sql`update video.cameras set name = 'Gate' where id = 1`
      const { rows } = yield* cameras.refresh
      assert.deepStrictEqual(asked(), ["rows"])
      assert.isTrue(rows.some(({ name }) => name === "Gate"))
    }).pipe(Effect.scoped, Effect.provide(database))
  )

  it.effect("continues when the table gains a column, or is dropped and created again", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const cameras = yield* CameraSource
      assert.deepStrictEqual(ids((yield* cameras.refresh).rows), ["1"])
      yield* sql`alter table video.cameras add column site text default 'nord'`
      assert.strictEqual((yield* cameras.refresh).rows[0]?.["site"], "nord")
      yield* sql`alter table video.cameras rename to away`
      const error = yield* Effect.flip(cameras.refresh)
      assert.strictEqual(error.reason._tag, "InvalidQuery")
      assert.strictEqual(
        error.message,
        'relation "video.cameras" does not exist: `restream db init` creates it; or set database.table or database.query'
      )
      yield* sql`alter table video.away rename to cameras`
      assert.deepStrictEqual(ids((yield* cameras.refresh).rows), ["1"])
    }).pipe(Effect.provide(sourceWith([row(1)])))
  )

  it.effect(
    "listens again after its sessions were ended, and reads what was changed meanwhile",
    () =>
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

  /** Done when the source has listened in so many sessions, one after another. */
  const awaitSessions = (sql: PgClient.PgClient, count: number) =>
    Effect.gen(function* () {
      const seen = new Set<number>()
      while (seen.size < count) for (const pid of yield* listeners(sql)) seen.add(pid)
    })

  const setIdleTimeout = (sql: PgClient.PgClient, to: string) =>
    Effect.flatMap(sql<{ name: string }>`select current_database() as name`, ([database]) =>
      sql.unsafe(`alter database ${database!.name} set idle_session_timeout to ${to}`)
    )

  /**
   * Ends each session of the source after a second, until the scope closes. A read that lost its session has
   * that second in the next one; it is tried twice.
   */
  const endSessions = (sql: PgClient.PgClient) =>
    sql`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'restream' and datname = current_database()
        and backend_start < clock_timestamp() - interval '1 s'`.pipe(
      Effect.delay("100 millis"),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )

  for (const [what, begin] of [
    [
      "by idle_session_timeout",
      (sql: PgClient.PgClient) =>
        Effect.asVoid(
          Effect.acquireRelease(setIdleTimeout(sql, "'1s'"), () =>
            Effect.orDie(setIdleTimeout(sql, "default"))
          )
        )
    ],
    ["by an administrator", endSessions]
  ] as const) {
    it.effect(`writes two lines in all while its sessions are ended every second, ${what}`, () =>
      withLog((lines) =>
        Effect.gen(function* () {
          const url = yield* freshDatabase
          const sql = yield* client(url)
          yield* initialize(sql)
          const ours = Redacted.make(`${Redacted.value(url)}?application_name=restream`)
          const ending = yield* Scope.fork(yield* Effect.scope)
          yield* Scope.provide(begin(sql), ending)
          const services = yield* Layer.build(
            source({
              timing: Effect.succeed({ pollInterval: "300 millis" }),
              listenTiming: { stableAfter: "3 seconds" }
            }).pipe(Layer.provide(Layer.effect(PgClient.PgClient, client(ours))))
          )
          yield* awaitSessions(sql, 6)
          yield* Scope.close(ending, Exit.void)
          const isOver = () => lines.some((line) => /resumed|stable$/.test(line))
          yield* Effect.repeat(Effect.sleep("50 millis"), { until: isOver })
          assert.match(
            lines[0]!,
            /^Warn database: notifications unavailable: terminating connection due to .*; changes are found by polling until they resume$/
          )
          assert.deepStrictEqual(lines.slice(1), ["Info database: notifications resumed"])
          yield* Context.get(services, CameraSource).refresh
        }).pipe(Effect.scoped)
      )
    )
  }

  it.effect("reads at once when its LISTEN session ends, also where no other one opens", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const mayListen = yield* Deferred.make<void>()
      let listens = 0
      const listensOnce = new Proxy(sql, {
        get: (target, key) =>
          key === "listen"
            ? (name: string) =>
                Effect.suspend(() =>
                  listens++ === 0
                    ? Effect.andThen(Deferred.await(mayListen), sql.listen(name))
                    : Effect.never
                )
            : Reflect.get(target, key)
      })
      yield* setRows([row(1)])
      yield* Effect.gen(function* () {
        const seen = yield* observe
        yield* awaitIds(seen, ["1"])
        // LISTEN begins with a look; behind it, only the end of the session can cause another
        yield* Deferred.succeed(mayListen, undefined)
        yield* awaitIds(seen, ["1"])
        // whatever changed while nobody listened is not notified
        yield* sql`alter table video.cameras disable trigger user`
        yield* setRows([row(2)])
        yield* sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and query ilike 'listen%'
            and pid <> pg_backend_pid()`
        yield* awaitIds(seen, ["2"])
      }).pipe(
        Effect.scoped,
        Effect.provide(source().pipe(Layer.provide(Layer.succeed(PgClient.PgClient, listensOnce))))
      )
    }).pipe(Effect.provide(database))
  )

  it.effect("shows no secret where the database quotes a value of a row", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip((yield* CameraSource).refresh)
      assert.strictEqual(
        error.message,
        'invalid input syntax for type integer: "rtsp://***@10.0.0.5/live"'
      )
      assert.notInclude(JSON.stringify(error), "TopSecret1")
    }).pipe(
      Effect.provide(
        sourceWith([{ ...row(1), url: "rtsp://admin:TopSecret1@10.0.0.5/live" }], {
          query: "select id, url::int as url from video.cameras",
          channel: undefined
        })
      )
    )
  )

  for (const [value, expected] of [
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", "9007199254740993"],
    ["-9007199254740993", "-9007199254740993"],
    ["1.50", "1.50"],
    ["15.0", "15.0"]
  ] as const) {
    // alone in its row: no other column may cause the look at the digits
    it.effect(`keeps the digits of ${value} where nothing else in the row has any`, () =>
      Effect.gen(function* () {
        const { rows } = yield* (yield* CameraSource).refresh
        assert.deepStrictEqual(rows, [{ id: expected }])
      }).pipe(
        Effect.provide(
          sourceWith([], { query: `select ${value}::numeric as id`, channel: undefined })
        )
      )
    )
  }

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

  it.effect("names the role and the database that refuse access", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const wrong = Redacted.make(Redacted.value(url).replace(/:[^:@]*@/, ":TopSecret1@"))
      const error = yield* Effect.gen(function* () {
        return yield* Effect.flip((yield* CameraSource).refresh)
      }).pipe(
        Effect.provide(source().pipe(Layer.provide(Layer.effect(PgClient.PgClient, client(wrong)))))
      )
      assert.strictEqual(error.reason._tag, "AccessDenied")
      assert.match(error.message, /password authentication failed for user "postgres"/)
      assert.notInclude(JSON.stringify(error), "TopSecret1")
    })
  )
})
