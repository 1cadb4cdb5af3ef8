/**
 * What a cluster does to the pictures: nodes join, drain, are killed and cut off, and the database stops. The
 * nodes are built daemons with real relays; the media server's events tell each publisher that comes and goes.
 */
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { parseTableName } from "@restream/config"
import { CameraTable, Cluster } from "@restream/core"
import { EmbeddedPostgres, RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Exit, PubSub, Redacted, Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { createServer, connect, type Socket } from "node:net"
import * as Daemon from "../kit/Daemon.ts"

export const clusterCases = ["join", "drain", "kill", "cutoff", "database"] as const

export interface ClusterBenchOptions {
  readonly cameras: number
  readonly cases: ReadonlyArray<(typeof clusterCases)[number]>
  /** How often each case is measured. */
  readonly runs: number
  /** How long the database is stopped. */
  readonly outageSeconds: number
}

export interface ClusterMeasurement {
  readonly bench: "cluster"
  readonly case: (typeof clusterCases)[number]
  readonly cameras: number
  /** Cameras whose publisher changed. */
  readonly moved: number
  /** From the join or the signal to the last publisher that came. */
  readonly movedMs?: number
  /** The same where a node is lost. */
  readonly takenOverMs?: number
  /** The longest time for which a camera had no publisher. */
  readonly gapMsMax: number
  /** Publishers that found another one on their path. */
  readonly twoAtOnce: number
  /** The most times that one camera was put out. */
  readonly putOutMost: number
}

const table = parseTableName("cameras")!
const shards = 300
/** Longer than the engine of a node may rest. */
const restMs = 1_500

/** A way to the database that can be cut. */
const makeProxy = (target: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<Socket>()
      let isCut = false
      const server = createServer((client) => {
        if (isCut) return void client.destroy()
        const upstream = connect(target, "127.0.0.1")
        for (const socket of [client, upstream]) {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => {
            sockets.delete(socket)
            client.destroy()
            upstream.destroy()
          })
        }
        client.pipe(upstream).pipe(client)
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const address = server.address()
      return {
        server,
        port: typeof address === "object" && address !== null ? address.port : 0,
        cut: Effect.sync(() => {
          isCut = true
          for (const socket of sockets) socket.destroy()
        })
      }
    }),
    ({ cut, server }) =>
      Effect.andThen(
        cut,
        Effect.sync(() => server.close())
      )
  )

/** The publishers at the media server. */
const watch = Effect.fnUntraced(function* (sink: RtspServer["Service"]) {
  const events = yield* sink.events
  const publishing = new Map<string, number>()
  const endedAt = new Map<string, number>()
  const putOut = new Map<string, number>()
  const came = new Set<string>()
  let gapMsMax = 0
  let lastAt = 0
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.map(PubSub.take(events), (event) => {
        const now = performance.now()
        if (event._tag === "Publishing") {
          const since = endedAt.get(event.path)
          if (since !== undefined) gapMsMax = Math.max(gapMsMax, now - since)
          endedAt.delete(event.path)
          publishing.set(event.path, event.connection)
          came.add(event.path)
          lastAt = now
        }
        if (event._tag !== "Ended" || event.path === undefined) return
        if (event.why === "replaced by another publisher") {
          putOut.set(event.path, (putOut.get(event.path) ?? 0) + 1)
        } else if (publishing.get(event.path) === event.connection) {
          publishing.delete(event.path)
          endedAt.set(event.path, now)
        }
      })
    )
  )
  return {
    live: () => publishing.size,
    lastAt: () => lastAt,
    reset: () => {
      gapMsMax = 0
      lastAt = performance.now()
      putOut.clear()
      came.clear()
    },
    report: () => ({
      moved: came.size,
      gapMsMax: Math.round(gapMsMax),
      twoAtOnce: [...putOut.values()].reduce((sum, count) => sum + count, 0),
      putOutMost: Math.max(0, ...putOut.values())
    })
  }
})

/** Runs all cases, one after the other, and tells each measurement. */
export const cluster = (
  { cameras, cases, outageSeconds, runs }: ClusterBenchOptions,
  tell: (measurement: ClusterMeasurement) => void
): Promise<void> =>
  Effect.gen(function* () {
    const database = yield* EmbeddedPostgres.makeCluster
    let running = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(running, Exit.void))
    yield* Scope.provide(database.start, running)
    const camera = yield* RtspServer.make({ resolve: () => "camera" })
    yield* TestPattern.publish(camera, "camera")
    const sink = yield* RtspServer.make()
    const seen = yield* watch(sink)
    const sql = yield* PgClient.make({ url: database.dsn })
    for (const statement of CameraTable.initStatements(table, "restream_cameras")) {
      yield* sql.unsafe(statement)
    }
    yield* Effect.provideService(Cluster.createTables("restream"), PgClient.PgClient, sql)
    yield* sql`insert into cameras (name, url)
      select 'Camera ' || n, ${camera.url("")} || 'c' || n from generate_series(1, ${cameras}) n`

    const start = (name: string, port = database.port) => {
      const url = new URL(Redacted.value(database.dsn))
      url.port = String(port)
      return Daemon.start({
        args: ["--cluster"],
        env: {
          PG_DSN: String(url),
          MEDIA_SERVER_PORT: String(sink.port),
          RESTREAM_CLUSTER_NAME: name,
          RESTREAM_PROBE_PER_HOST: "32"
        }
      })
    }
    /** Which node has each shard. */
    const owners = Effect.map(
      sql<{ readonly shard: number; readonly name: string }>`
        select objid::int - 1000000 as shard, a.application_name as name from pg_locks l
        join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.objsubid = 2 and l.granted order by 1`,
      (rows) => rows.map(({ name }) => name.replace("restream@", ""))
    )
    /** Done when all cameras are published, by just these nodes, and nothing has changed for a while. */
    const settled = Effect.fnUntraced(function* (...names: ReadonlyArray<string>) {
      let before = ""
      let since = performance.now()
      for (;;) {
        const held = yield* owners
        const now = held.join()
        const isWhole = held.length === shards && [...new Set(held)].sort().join() === names.join()
        const isSame = now === before && isWhole && seen.live() === cameras
        if (!isSame) since = performance.now()
        if (performance.now() - Math.max(since, seen.lastAt()) > restMs) return
        before = now
        yield* Effect.sleep("20 millis")
      }
    })
    /** Does something to the nodes; measured if the case is wanted. */
    const perform = Effect.fnUntraced(function* (
      name: ClusterMeasurement["case"],
      by: "movedMs" | "takenOverMs",
      fault: Effect.Effect<unknown>,
      ...names: ReadonlyArray<string>
    ) {
      seen.reset()
      yield* fault
      const from = performance.now()
      yield* settled(...names)
      if (!cases.includes(name)) return
      const tookMs = Math.max(0, Math.round(seen.lastAt() - from))
      tell({ bench: "cluster", case: name, cameras, [by]: tookMs, ...seen.report() })
    })
    const hasJoined = (name: string) =>
      sql`select 1 from restream_runners where address like ${`${name}:%`}`.pipe(
        Effect.orDie,
        Effect.repeat({ until: (rows) => rows.length > 0 })
      )

    yield* start("a")
    yield* settled("a")
    const joinAndDrain = Effect.gen(function* () {
      const b = yield* start("b")
      yield* perform("join", "movedMs", hasJoined("b"), "a", "b")
      yield* perform("drain", "movedMs", b.signal("SIGTERM"), "a")
      yield* b.exit
    })
    const kill = Effect.gen(function* () {
      const c = yield* start("c")
      yield* settled("a", "c")
      yield* perform("kill", "takenOverMs", c.signal("SIGKILL"), "a")
    })
    const cutOff = Effect.gen(function* () {
      const proxy = yield* makeProxy(database.port)
      const d = yield* start("d", proxy.port)
      yield* settled("a", "d")
      yield* perform("cutoff", "takenOverMs", proxy.cut, "a")
      yield* d.signal("SIGKILL")
      yield* d.exit
    })
    const outage = Effect.gen(function* () {
      yield* Scope.close(running, Exit.void)
      yield* Effect.sleep(outageSeconds * 1000)
      running = yield* Scope.make()
      yield* Scope.provide(database.start, running)
      yield* Effect.retry(sql`select 1`, { times: 20 })
    }).pipe(Effect.orDie)
    const stopDatabase = Effect.gen(function* () {
      const e = yield* start("e")
      yield* settled("a", "e")
      yield* perform("database", "movedMs", outage, "a", "e")
      yield* e.signal("SIGTERM")
      yield* settled("a")
    })
    const steps = [
      { cases: ["join", "drain"], run: joinAndDrain },
      { cases: ["kill"], run: kill },
      { cases: ["cutoff"], run: cutOff },
      { cases: ["database"], run: stopDatabase }
    ] as const
    for (const step of steps) {
      if (!cases.some((name) => (step.cases as ReadonlyArray<string>).includes(name))) continue
      for (let run = 0; run < runs; run++) yield* Effect.scoped(step.run)
    }
  }).pipe(Effect.scoped, Effect.provide([Reactivity.layer, NodeServices.layer]), Effect.runPromise)
