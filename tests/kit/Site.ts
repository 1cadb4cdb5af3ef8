/** All that a daemon needs around it: a table on a real PostgreSQL, cameras, and a media server. */
import { Programs } from "@restream/cli/demo"
import type { CameraRow } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Redacted, type Scope } from "effect"
import { anyFfmpeg, ffprobes } from "../engine/ffmpeg/Binaries.ts"
import { type Env, invocation, restream } from "./Command.ts"
import { database } from "./Installation.ts"
import { client, freshDatabase } from "./Postgres.ts"
import { type Running, start } from "./Spawn.ts"

/** A fresh table; one camera that serves every path; a media server. All live as long as the scope. */
export const make = Effect.gen(function* () {
  const { dsn, sql } = yield* database
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

export interface InstalledSite {
  readonly sql: Effect.Success<ReturnType<typeof client>>
  readonly dsn: string
  /** Serves as every camera, one a path. */
  readonly cameras: RtspServer["Service"]
  readonly mediaServer: RtspServer["Service"]
  /** Points a command at all of this. */
  readonly env: Env
  /** Starts the daemon; the scope kills it. It logs as JSON. */
  readonly startDaemon: (
    args?: ReadonlyArray<string>,
    env?: Env
  ) => Effect.Effect<Running, never, Scope.Scope>
  /** Succeeds once a daemon listens for changes of the table. Dies with the daemon's output after 60 s. */
  readonly awaitReady: (daemon: Running) => Effect.Effect<void>
}

/**
 * A site as a user makes it: the table by `restream db init`, and a daemon with the default delays. The
 * camera `cam1` sends the test pattern, with audio.
 */
export const asInstalled = Effect.gen(function* () {
  const dsn = Redacted.value(yield* freshDatabase)
  const sql = yield* client(Redacted.make(dsn))
  const initialized = yield* restream(["db", "init"], { PG_DSN: dsn })
  if (initialized.code !== 0) return yield* Effect.die(new Error(initialized.stderr))
  const cameras = yield* RtspServer.make()
  yield* TestPattern.publish(cameras, "cam1", { audio: true })
  const mediaServer = yield* RtspServer.make()
  const env = {
    PG_DSN: dsn,
    MEDIA_SERVER_PORT: String(mediaServer.port),
    RESTREAM_LOG_FORMAT: "json",
    // tests at the same time would want one port
    RESTREAM_HTTP_ENABLED: "no",
    RESTREAM_FFMPEG_PATH: Programs.ffmpeg(),
    RESTREAM_FFMPEG_FFPROBE_PATH: Programs.ffprobe()
  }
  const site: InstalledSite = {
    sql,
    dsn,
    cameras,
    mediaServer,
    env,
    startDaemon: (args = [], more = {}) => {
      const { command, environment } = invocation(["run", ...args], { ...env, ...more })
      return start(process.execPath, command, { env: environment })
    },
    awaitReady: (daemon) =>
      sql`select pid from pg_stat_activity
        where datname = current_database() and query ilike 'listen %'`.pipe(
        Effect.delay("20 millis"),
        Effect.repeat({ until: (listeners) => listeners.length > 0 }),
        Effect.timeout("25 seconds"),
        Effect.catch((error) =>
          Effect.die(new Error(`the daemon is not ready: ${daemon.said()}`, { cause: error }))
        ),
        Effect.asVoid
      )
  }
  return site
})
