/** A whole installation: a database with the table, cameras, a media server, and the built program. */
import { Programs } from "@restream/cli/demo"
import { type RtspServer, RtspServer as Server, TestPattern } from "@restream/core/testing"
import { Effect, Redacted, type Scope } from "effect"
import { client, freshDatabase } from "../kit/Postgres.ts"
import { program } from "../kit/Program.ts"
import { run, type Running, start, type StartOptions } from "../kit/Spawn.ts"

export type Env = NonNullable<StartOptions["env"]>

/** What the program must not take from the machine that runs the tests. */
const cleanEnv: Env = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => /^(RESTREAM_|PG_DSN$|MEDIA_SERVER_)/.test(name))
    .map((name) => [name, undefined])
)

/** One of the program's commands: Node's arguments, and the environment. */
export const invocation = (args: ReadonlyArray<string>, env: Env = {}) => ({
  command: [program, ...args],
  environment: { ...cleanEnv, ...env }
})

/** Runs one of the program's commands to its end. */
export const restream = (args: ReadonlyArray<string>, env: Env = {}) => {
  const { command, environment } = invocation(args, env)
  return run(process.execPath, command, { env: environment })
}

export interface Installation {
  readonly sql: Effect.Success<ReturnType<typeof client>>
  readonly dsn: string
  /** Serves as every camera, one a path. */
  readonly cameras: RtspServer["Service"]
  readonly mediaServer: RtspServer["Service"]
  /** What points the program at all this. */
  readonly env: Env
  /** Starts the daemon; the scope ends it. Its log comes as JSON. */
  readonly startDaemon: (
    args?: ReadonlyArray<string>,
    env?: Env
  ) => Effect.Effect<Running, never, Scope.Scope>
  /** Done when a daemon listens for changes of the table. Dies with the daemon's output after 25 s. */
  readonly awaitReady: (daemon: Running) => Effect.Effect<void>
}

/** Makes one. Camera `cam1` shows the test pattern, with sound. */
export const make = Effect.gen(function* () {
  const dsn = Redacted.value(yield* freshDatabase)
  const sql = yield* client(Redacted.make(dsn))
  const initialized = yield* restream(["db", "init"], { PG_DSN: dsn })
  if (initialized.code !== 0) return yield* Effect.die(new Error(initialized.stderr))
  const cameras = yield* Server.make()
  yield* TestPattern.publish(cameras, "cam1", { audio: true })
  const mediaServer = yield* Server.make()
  const env = {
    PG_DSN: dsn,
    MEDIA_SERVER_PORT: String(mediaServer.port),
    RESTREAM_LOG_FORMAT: "json",
    // tests at the same time would want one port
    RESTREAM_HTTP_ENABLED: "no",
    RESTREAM_FFMPEG_PATH: Programs.ffmpeg(),
    RESTREAM_FFMPEG_FFPROBE_PATH: Programs.ffprobe()
  }
  const installation: Installation = {
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
  return installation
})
