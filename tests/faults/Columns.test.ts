/** What the columns of a table hold besides the values of the cameras: padding, and data of no use. */
import { assert, layer } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { databaseLayer } from "@restream/cli/demo"
import { requireDsn } from "@restream/config"
import { CameraSource, type CameraType, Restream, StreamUrl } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Context, Effect, Layer, Redacted, Result, SubscriptionRef } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import { database, type Given, settingsOf, start } from "../kit/Installation.ts"

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("columns", (it) => {
  it.effect("of type char(n) give values without padding, and a text keeps its last blank", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const camera = yield* RtspServer.make({
        resolve: () => "cam",
        settings: (path) => ({
          authentication: {
            username: "admin",
            password: Redacted.make(path.includes("blank") ? "secret  " : "secret")
          }
        })
      })
      yield* TestPattern.publish(camera, "cam")
      const sink = yield* RtspServer.make()
      yield* sql`create domain code as char(30)`
      yield* sql`create domain short_code as code check (length(value) < 30)`
      yield* sql`create table padded (id char(10), name char(20), type char(20), host char(40), port char(8),
        username char(20), password char(20), path char(30), channel char(5), stream code, enabled char(5),
        options char(80), note short_code)`
      yield* sql`insert into padded values ('1', 'Gate', 'site', '127.0.0.1', ${String(camera.port)},
        'admin', 'secret', 'gate', '', 'live', 't', '{"engine": "native"}', 'x')`
      yield* sql`create table plain (id int, type text, host text, port int, username text, password text,
        path text, stream text, note text)`
      yield* sql`insert into plain values (2, 'site', '127.0.0.1', ${camera.port}, 'admin', 'secret  ',
        'yard', 'blank', 'x')`
      const query = `select id, name, type, host, port, username, password, path, stream, enabled, options, note
          from padded`
      const other = `select id::text as id, type, host, port, username, password, path, stream, note from plain`
      const given = (query: string): Given => ({
        database: { query },
        cameraTypes: {
          site: "rtsp://{username}:{password}@{host}:{port}/{stream}/{note}"
        } as unknown as Record<string, unknown>
      })
      const padded = yield* start(settingsOf(dsn, sink.port, given(query)))
      const plain = yield* start(settingsOf(dsn, sink.port, given(other)))
      yield* padded.awaitState(1, "Live")
      yield* plain.awaitState(2, "Live")
      const names = (yield* padded.status.all).map(({ id, name }) => [String(id), name])
      assert.deepStrictEqual(names, [["1", "Gate"]])
      yield* sink.awaitPublisher("gate")
      yield* sink.awaitPublisher("yard")
    })
  )

  it.effect("that nothing reads are named once, with the name that was probably meant", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      yield* sql`create table devices (id int, url text, active bool, login text, passwrd text, note text)`
      yield* sql`insert into devices values (1, 'rtsp://127.0.0.1:1/live', true, 'admin', 'x', 'y')`
      const { log } = yield* start(
        settingsOf(dsn, 1, {
          database: { query: "select * from devices", pollInterval: "100ms" }
        })
      )
      yield* log.awaitLine(/^Info 1 camera: started/)
      assert.deepStrictEqual(log.matching(/nothing reads/), [
        "Warn database: nothing reads the columns active (did you mean enabled?), login (did you mean username?), passwrd (did you mean password?), note"
      ])
      yield* sql`alter table devices add column zone text`
      yield* log.awaitLine(/^Info database: nothing reads the column zone$/)
      assert.lengthOf(log.matching(/nothing reads/), 2)
    })
  )

  it.effect("of type inet and numeric give hosts and ports, whatever their names", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const camera = yield* RtspServer.make({ resolve: () => "cam" })
      yield* TestPattern.publish(camera, "cam")
      const sink = yield* RtspServer.make()
      yield* sql`create table devices (id int, type text, host inet, port numeric(8, 2), channel numeric(4, 1),
        addr inet, rtsp_port numeric(8, 2), path text)`
      yield* sql`insert into devices values
        (1, 'hikvision', '127.0.0.1/8', ${camera.port}, 2, null, null, 'vendor'),
        (2, 'site', null, null, null, '127.0.0.1/8', ${camera.port}, 'template'),
        (3, 'site', null, null, null, '127.0.0.1', 99999, 'bad')`
      const tree = yield* start(
        settingsOf(dsn, sink.port, {
          database: { query: "select * from devices" },
          cameraTypes: { site: "rtsp://{addr}:{rtsp_port}/live" } as never
        })
      )
      yield* tree.awaitState(1, "Live")
      yield* tree.awaitState(2, "Live")
      const { problem } = yield* tree.awaitState(3, "Invalid")
      assert.strictEqual(problem, "column rtsp_port: 99999 is out of range (1 to 65535)")
    })
  )

  /** The names of the columns that are fetched. */
  const fetched = Effect.fnUntraced(function* (
    given: Given,
    types: ReadonlyArray<CameraType.CameraType> = []
  ) {
    const { dsn, sql } = yield* database
    yield* sql`alter table cameras add column site text, add column zone text, add column thumbnail text`
    yield* sql`insert into cameras (url, site, zone, thumbnail)
      select 'rtsp://10.0.0.1/live', 'nord', 'a', repeat('x', 200000) from generate_series(1, 20)`
    const settings = yield* SubscriptionRef.make(settingsOf(dsn, 1, given))
    const { database: options } = yield* SubscriptionRef.get(settings)
    const services = yield* Layer.build(
      Restream.cameraTable(settings, types).pipe(
        Layer.provide(
          databaseLayer(
            Result.getOrThrow(requireDsn(yield* SubscriptionRef.get(settings))),
            options
          )
        ),
        Layer.provide(NodeServices.layer),
        Layer.orDie
      )
    )
    const { refresh } = Context.get(services, CameraSource)
    const columns = Effect.map(refresh, ({ rows }) => Object.keys(rows[0]!))
    return { columns, dsn, settings }
  })

  it.effect("are fetched only if a camera type or a template reads them", () =>
    Effect.gen(function* () {
      const { columns, dsn, settings } = yield* fetched({
        mediaServer: { pathTemplate: "{site}/{id}" }
      })
      const first = yield* columns
      assert.includeMembers(first, ["id", "url", "host", "options", "site"])
      assert.notIncludeMembers(first, ["thumbnail"])
      assert.notInclude(first, "zone")
      yield* SubscriptionRef.set(
        settings,
        settingsOf(dsn, 1, { cameraTypes: { acme: "rtsp://{host}/{zone|a}" } as never })
      )
      const second = yield* columns
      assert.include(second, "zone")
      assert.notInclude(second, "site")
    })
  )

  it.effect("are all fetched for a camera type that does not declare which it reads", () =>
    Effect.gen(function* () {
      const toUrl = () => Result.succeed(new StreamUrl({ scheme: "rtsp", host: "10.0.0.1" }))
      const { columns } = yield* fetched({}, [{ name: "acme", description: "", toUrl }])
      assert.include(yield* columns, "thumbnail")
    })
  )
})
