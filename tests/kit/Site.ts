/** All that a daemon needs around it: a table on a real PostgreSQL, cameras, and a media server. */
import type { TableName } from "@restream/config"
import { type CameraRow, CameraTable } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Redacted } from "effect"
import { anyFfmpeg, ffprobes } from "../engine/ffmpeg/Binaries.ts"
import { client, freshDatabase } from "./Postgres.ts"

const table: TableName = { schema: undefined, name: "cameras" }

/** A fresh table; one camera that serves every path; a media server. All live as long as the scope. */
export const make = Effect.gen(function* () {
  const dsn = yield* freshDatabase
  const sql = yield* client(dsn)
  yield* Effect.forEach(CameraTable.initStatements(table, "restream_cameras"), (statement) =>
    sql.unsafe(statement)
  )
  const camera = yield* RtspServer.make({ resolve: () => "camera" })
  yield* TestPattern.publish(camera, "camera")
  const sink = yield* RtspServer.make()

  const insert = (rows: ReadonlyArray<CameraRow>) =>
    Effect.forEach(rows, (row) => sql`insert into cameras ${sql.insert(row)}`, { discard: true })

  return {
    sql,
    camera,
    sink,
    insert,
    /** Inserts so many cameras of an engine, and gives their paths. */
    insertCameras: (engine: "native" | "ffmpeg", count: number) => {
      const names = Array.from({ length: count }, (_, index) => `${engine}${index + 1}`)
      return Effect.as(
        insert(
          names.map((name) => ({
            name,
            path: name,
            url: camera.url(name),
            options: JSON.stringify({ engine })
          }))
        ),
        names
      )
    },
    /** Done when media of all the paths arrive. */
    awaitLive: (paths: ReadonlyArray<string>) =>
      Effect.forEach(
        paths,
        (path) => Effect.andThen(sink.awaitPublisher(path), sink.awaitPackets(path)),
        { concurrency: "unbounded", discard: true }
      ),
    /** Settings for a daemon between the two, with times short enough for a test. */
    env: {
      PG_DSN: Redacted.value(dsn),
      MEDIA_SERVER_PORT: String(sink.port),
      RESTREAM_FFMPEG_PATH: anyFfmpeg,
      RESTREAM_FFMPEG_FFPROBE_PATH: ffprobes[0]!.path,
      RESTREAM_PROBE_PER_HOST: "32",
      RESTREAM_PROBE_RETRY_DELAYS: "300ms",
      RESTREAM_RELAY_RESTART_DELAY: "300ms",
      RESTREAM_RELAY_RESTART_BACKOFF: "no"
    }
  }
})
