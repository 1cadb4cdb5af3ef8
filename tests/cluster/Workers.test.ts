/** `restream run --cluster --workers N`: one process that starts and supervises the nodes of a machine. */
import { assert, layer } from "@effect/vitest"
import type { CameraSummary, Overview } from "@restream/core/http"
import { Effect } from "effect"
import { createServer } from "node:net"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "@restream/core/testing"
import { restream } from "../kit/Command.ts"
import * as Daemon from "../kit/Daemon.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Proc from "../kit/Proc.ts"
import * as Site from "../kit/Site.ts"

const cameras = 12

const isFree = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
    server.on("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/** The first of two free ports, one after the other. */
const freePorts = Effect.repeat(freePort, { until: (port) => isFree(port + 1) })

interface Report {
  readonly overview: Pick<Overview, "nodes" | "tally">
  readonly cameras: ReadonlyArray<CameraSummary>
}

const reportOf = (stdout: string) => JSON.parse(stdout) as Report

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-workers-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** The process of each worker that runs now, by its number. */
const workersOf = ({ pid }: Daemon.Daemon): ReadonlyMap<number, number> =>
  new Map(
    Proc.descendants(pid).flatMap((child) => {
      const [, number] = / --worker (\d+)/.exec(Proc.commandOf(child).join(" ")) ?? []
      return number === undefined ? [] : [[Number(number), child]]
    })
  )

const shards = 20

const makeSite = Effect.gen(function* () {
  const site = yield* Site.make
  const paths = yield* site.insertCameras("native", cameras)
  const initialized = yield* restream(["db", "init", "--cluster"], { PG_DSN: site.env.PG_DSN })
  assert.strictEqual(initialized.code, 0)
  return {
    ...site,
    paths,
    start: (env: Readonly<Record<string, string>> = {}) =>
      Daemon.start({
        args: ["--cluster", "--workers", "2"],
        env: {
          ...site.env,
          RESTREAM_CLUSTER_NAME: "m",
          RESTREAM_CLUSTER_SHARDS: String(shards),
          ...env
        }
      }),
    /** Done when both workers hold shards, and all cameras are live. */
    settled: Effect.andThen(
      site.sql<{ readonly node: string; readonly held: number }>`
        select a.application_name as node, count(*)::int as held
        from pg_locks l join pg_stat_activity a using (pid)
        where locktype = 'advisory' and objsubid = 2 and granted
          and database = (select oid from pg_database where datname = current_database())
        group by 1`.pipe(
        Effect.delay("20 millis"),
        Effect.repeat({
          until: (rows) =>
            rows.length === 2 && rows.reduce((sum, { held }) => sum + held, 0) === shards
        })
      ),
      site.awaitLive(paths)
    ),
    /** Done when nothing is connected to the cameras and to the media server. */
    deserted: Effect.andThen(site.sink.awaitConnections(0), site.camera.awaitConnections(0))
  }
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect(
    "a worker that hangs is killed and restarted while the other relays all cameras; signals reach both",
    () =>
      Effect.gen(function* () {
        const site = yield* makeSite
        // nobody reads the socket: it is there for the time of the watchdog
        const folder = yield* temporaryFolder
        const port = yield* freePorts
        const status = restream(["status", "--json"], {
          ...site.env,
          RESTREAM_HTTP_PORT: String(port)
        })
        const daemon = yield* site.start({
          RESTREAM_HTTP_ENABLED: "yes",
          RESTREAM_HTTP_PORT: String(port),
          RESTREAM_LOG_FILE: join(folder, "restream.log"),
          NOTIFY_SOCKET: "@restream-tests-nobody",
          WATCHDOG_USEC: "4000000"
        })
        yield* site.settled
        yield* daemon.awaitLine(/node=m-1 .*restream .* started/)
        yield* daemon.awaitLine(/node=m-2 .*restream .* started/)

        // the cameras of a shard that has just moved are on their way
        const whole = yield* status.pipe(
          Effect.map(({ stdout }) => reportOf(stdout)),
          Effect.repeat({ until: ({ overview }) => overview.tally.ok === cameras })
        )
        assert.deepStrictEqual(
          whole.overview.nodes?.map(({ name, state }) => [name, state]),
          [
            ["m-1", "ok"],
            ["m-2", "ok"]
          ]
        )
        assert.strictEqual(whole.overview.tally.ok, cameras)
        assert.deepStrictEqual([...new Set(whole.cameras.map(({ node }) => node))].sort(), [
          "m-1",
          "m-2"
        ])

        const before = workersOf(daemon)
        assert.deepStrictEqual([...before.keys()].sort(), [1, 2])
        process.kill(before.get(2)!, "SIGSTOP")
        // it is killed and runs again within seconds
        yield* Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${port}/api/overview`)
          return ((await response.json()) as Overview).nodes
        }).pipe(
          Effect.delay("50 millis"),
          Effect.repeat({ until: (nodes) => nodes?.[1]?.state === "unreachable" })
        )
        yield* daemon.awaitLine(/worker m-2 does not respond; killing it/)
        yield* daemon.awaitLine(/worker m-2 was ended by SIGKILL; restarting in 1s/)
        yield* until("another worker 2", () => workersOf(daemon).has(2))
        yield* site.settled
        assert.strictEqual(workersOf(daemon).get(1), before.get(1))
        assert.notStrictEqual(workersOf(daemon).get(2), before.get(2))

        yield* daemon.signal("SIGHUP")
        yield* daemon.awaitLine(/node=m-1 .*reload: nothing changed/)
        yield* daemon.awaitLine(/node=m-2 .*reload: nothing changed/)

        const last = [...workersOf(daemon).values()]
        yield* daemon.signal("SIGTERM")
        assert.strictEqual((yield* daemon.exit).code, 0)
        assert.isEmpty(last.filter((pid) => Proc.runs(pid)))
        yield* site.deserted
        assert.match(daemon.stderr.at(-1) ?? "", /restream stopped/)
        assert.notMatch(daemon.said(), /timed out/)
        assert.deepStrictEqual(readdirSync(folder).sort(), [
          "restream-1.log",
          "restream-2.log",
          "restream.log"
        ])
        assert.match(readFileSync(join(folder, "restream-2.log"), "utf8"), /node=m-2/)
      })
  )

  it.effect("no worker outlives its parent, after kill -9 and after a second signal", () =>
    Effect.gen(function* () {
      const site = yield* makeSite
      const killed = yield* site.start()
      yield* site.awaitLive(site.paths)
      const orphans = [...workersOf(killed).values()]
      assert.strictEqual(orphans.length, 2)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => orphans.filter(Proc.runs).forEach((pid) => process.kill(pid, "SIGKILL")))
      )
      yield* killed.signal("SIGKILL")
      yield* killed.exit
      yield* Proc.awaitGone(orphans)
      yield* site.deserted
      // the workers of the next parent have the same names, and need not wait for a lease
      assert.isEmpty(yield* site.sql`select address from restream_runners`)

      const daemon = yield* site.start()
      yield* site.awaitLive(site.paths)
      const workers = [...workersOf(daemon).values()]
      // a stopped process does not end in order
      for (const pid of workers) process.kill(pid, "SIGSTOP")
      yield* daemon.signal("SIGTERM")
      yield* daemon.signal("SIGINT")
      // either signal may arrive first
      assert.include([130, 143], (yield* daemon.exit).code)
      yield* Proc.awaitGone(workers)
      yield* site.deserted
    })
  )

  it.effect("the parent ends with status 2 when a worker may not join", () =>
    Effect.gen(function* () {
      const { env } = yield* Site.make
      const daemon = yield* Daemon.start({ args: ["--cluster", "--workers", "2"], env })
      assert.strictEqual((yield* daemon.exit).code, 2)
      assert.match(daemon.said(), /do not exist; create them with restream db init --cluster/)
      assert.match(daemon.said(), /ended with status 2; stopping all workers/)
    })
  )
})
