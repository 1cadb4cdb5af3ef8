/** A program whose logger throws at every line. */
import { assert, layer } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { defaultSettings } from "@restream/config"
import { type CameraState, Restream, StatusStore } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Context, Effect, Layer, Logger, Stream } from "effect"
import { client, Postgres } from "../kit/Postgres.ts"
import { addRows, database, row } from "../kit/Installation.ts"

let lines = 0
const throwing = Logger.make(() => {
  lines++
  throw new Error("the logger's disk is full")
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  it.effect("loses no camera, no change of the table and no media server", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const camera = yield* RtspServer.make()
      const sink = yield* RtspServer.make()
      yield* TestPattern.publish(camera, "cam")
      const add = (id: number) =>
        addRows(sql, [row(id, camera.url("cam"), { options: { engine: "native" } })])
      yield* add(1)
      const settings = {
        ...defaultSettings,
        mediaServer: { ...defaultSettings.mediaServer, port: sink.port }
      }
      const services = yield* Layer.build(
        Restream.layer(settings).pipe(
          Layer.provide(Restream.cameraTable(settings)),
          Layer.provide(Layer.effect(PgClient.PgClient, client(dsn))),
          Layer.provide(NodeServices.layer),
          Layer.provide(Logger.layer([throwing]))
        )
      )
      const status = Context.get(services, StatusStore)
      const awaitState = (id: number, tag: CameraState.Tag) =>
        Stream.concat(
          Stream.fromEffect(status.all),
          Stream.mapEffect(status.changes, () => status.all)
        ).pipe(
          Stream.filter((all) =>
            all.some((each) => each.id === String(id) && each.state._tag === tag)
          ),
          Stream.runHead
        )
      yield* awaitState(1, "Live")
      yield* sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`
      yield* add(2)
      yield* awaitState(2, "Live")
      yield* sql`alter table cameras rename to away`
      yield* sink.kick("cam1")
      yield* awaitState(1, "Restarting")
      yield* sql`alter table away rename to cameras`
      yield* awaitState(1, "Live")
      yield* add(3)
      yield* awaitState(3, "Live")
      assert.isAbove(lines, 0)
    })
  )
})
