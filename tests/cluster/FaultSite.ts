/**
 * Nodes of a cluster as processes before one media server, with a database that can be stopped and ways to it that
 * can be cut. Each publisher that comes and goes is seen.
 */
import { NodeServices } from "@effect/platform-node"
import { CameraTable, Cluster, Shard } from "@restream/core"
import { PgClient } from "@effect/sql-pg"
import { EmbeddedPostgres, RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Exit, PubSub, Redacted, Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"
import * as Daemon from "../kit/Daemon.ts"
import { client } from "../kit/Postgres.ts"
import * as Proc from "../kit/Proc.ts"
import { standIn } from "../media-server/ApiServers.ts"

export const shards = 60
export const lease = "3s"
/** The engine asks for a shard again after a second. */
const restMs = 1_100
const table = { schema: undefined, name: "cameras" }

/** A way to the database: open, closed with a reset, or silent. */
export const makeProxy = (target: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<Socket>()
      let mode: "open" | "closed" | "silent" = "open"
      const clients = new Set<Socket>()
      const server = createServer((client) => {
        if (mode === "closed") return void client.resetAndDestroy()
        const upstream = connect(target, "127.0.0.1")
        clients.add(client)
        for (const [from, to] of [
          [client, upstream],
          [upstream, client]
        ] as const) {
          sockets.add(from)
          from.on("error", () => {})
          from.on("data", (chunk) => void (mode === "silent" || to.write(chunk)))
          from.on("close", () => {
            sockets.delete(from)
            if (clients.has(client)) to.destroy()
          })
        }
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const { port } = server.address() as { readonly port: number }
      return {
        port,
        server,
        /** Ends the connections of the clients; the server keeps its own. */
        dropClients: Effect.sync(() => {
          const dropped = [...clients]
          clients.clear()
          for (const client of dropped) client.resetAndDestroy()
        }),
        set: (next: typeof mode) =>
          Effect.sync(() => {
            mode = next
            // what was swallowed is missing: no session survives
            if (next !== "silent") for (const socket of sockets) socket.resetAndDestroy()
          })
      }
    }),
    ({ server, set }) =>
      Effect.andThen(
        set("closed"),
        Effect.sync(() => server.close())
      )
  )

export interface FaultSiteOptions {
  readonly cameras: number
  /** What happens to a second publisher of a path. Default: it replaces the first. */
  readonly overridePublisher?: "replace" | "reject"
}

/** All that it starts lives as long as the scope. */
export const make = Effect.fnUntraced(function* ({
  cameras,
  overridePublisher = "replace"
}: FaultSiteOptions) {
  const postgres = yield* Effect.provide(EmbeddedPostgres.makeCluster, NodeServices.layer)
  let running: Scope.Closeable | undefined
  let pid = 0
  const startDatabase = Effect.gen(function* () {
    running = yield* Scope.make()
    pid = yield* Scope.provide(postgres.start, running)
  }).pipe(Effect.orDie)
  const stopDatabase = Effect.suspend(() =>
    running === undefined ? Effect.void : Scope.close(running, Exit.void)
  )
  /** The process that listens, and one for each session. */
  const signalDatabase = (name: NodeJS.Signals) =>
    Effect.sync(() => {
      for (const { pid: one } of Proc.family(pid)) process.kill(one, name)
    })
  yield* Effect.addFinalizer(() => stopDatabase)
  yield* startDatabase
  const camera = yield* RtspServer.make({ resolve: () => "camera" })
  yield* TestPattern.publish(camera, "camera")
  const sink = yield* standIn({ overridePublisher })
  const sql = yield* client(postgres.dsn)
  for (const statement of CameraTable.initStatements(table, "restream_cameras")) {
    yield* sql.unsafe(statement)
  }
  yield* Effect.provideService(Cluster.createTables("restream"), PgClient.PgClient, sql)
  const paths = Array.from({ length: cameras }, (_, index) => `c${index + 1}`)
  const insert = (path: string) =>
    sql`insert into cameras ${sql.insert({ name: path, path, url: camera.url(path) })}`
  yield* Effect.forEach(paths, insert, { discard: true })

  /** The connection that publishes each path now. */
  const publishing = new Map<string, number>()
  const putOut = new Map<string, number>()
  let mostReaders = 0
  const events = yield* sink.server.events
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.gen(function* () {
        const event = yield* PubSub.take(events)
        if (event._tag === "Publishing") publishing.set(event.path, event.connection)
        if (event._tag !== "Ended" || event.path === undefined) return
        if (event.why === "replaced by another publisher") {
          putOut.set(event.path, (putOut.get(event.path) ?? 0) + 1)
        } else if (publishing.get(event.path) === event.connection) publishing.delete(event.path)
      })
    )
  )
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.gen(function* () {
        const readers = (yield* camera.path("camera"))?.readers.length ?? 0
        mostReaders = Math.max(mostReaders, readers)
        yield* Effect.sleep("5 millis")
      })
    )
  )

  const dsnAt = (port: number) => {
    const url = new URL(Redacted.value(postgres.dsn))
    url.port = String(port)
    return String(url)
  }
  const start = (
    name: string,
    env: Readonly<Record<string, string>> = {},
    databasePort = postgres.port
  ) =>
    Daemon.start({
      args: ["--cluster"],
      env: {
        PG_DSN: dsnAt(databasePort),
        MEDIA_SERVER_PORT: String(sink.rtspPort),
        RESTREAM_MEDIA_SERVER_API_URL: Redacted.value(sink.apiUrl),
        RESTREAM_CLUSTER_NAME: name,
        RESTREAM_CLUSTER_LEASE: lease,
        RESTREAM_CLUSTER_SHARDS: String(shards),
        RESTREAM_PROBE_PER_HOST: "32",
        RESTREAM_PROBE_RETRY_DELAYS: "300ms",
        RESTREAM_RELAY_RESTART_DELAY: "300ms",
        RESTREAM_RELAY_RESTART_BACKOFF: "no",
        RESTREAM_LOG_LEVEL: "debug",
        ...env
      }
    })

  /** The node that has each shard, by an advisory lock or by a row. */
  const holders = Effect.map(
    sql<{ readonly shard: number; readonly name: string }>`
      select objid::int - 1000000 as shard, replace(a.application_name, 'restream@', '') as name
        from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.objsubid = 2 and l.granted
      union all select split_part(shard_id, ':', 2)::int, split_part(address, ':', 1)
        from restream_locks where acquired_at > now()::timestamp - interval '3 seconds'`,
    (rows) => new Map(rows.map(({ name, shard }) => [shard, name]))
  ).pipe(Effect.orDie)

  /** The paths of the cameras whose shard a node has. */
  const pathsOf = (name: string) =>
    Effect.gen(function* () {
      const byShard = yield* holders
      const rows = yield* sql<{ readonly id: string; readonly path: string }>`
        select id::text, path from cameras`
      return rows.flatMap(({ id, path }) =>
        byShard.get(Shard.shardOf(id, shards)) === name ? [path] : []
      )
    })

  /** Done when every camera is published, these nodes have all shards, and nothing has changed for a while. */
  const settled = Effect.fnUntraced(function* (...names: ReadonlyArray<string>) {
    let before = ""
    let since = performance.now()
    for (;;) {
      const held = yield* holders
      const isWhole =
        held.size === shards && [...new Set(held.values())].sort().join() === names.join()
      const now = JSON.stringify([[...held].sort(), [...publishing].sort()])
      if (now !== before || !isWhole || publishing.size < cameras) since = performance.now()
      if (performance.now() - since > restMs) return
      before = now
      yield* Effect.sleep("20 millis")
    }
  })

  /** Done when each of the paths is published over another connection than before. */
  const awaitOthers = (before: ReadonlyMap<string, number>, which: ReadonlyArray<string>) =>
    Effect.repeat(Effect.sleep("10 millis"), {
      until: () =>
        which.every((path) => publishing.has(path) && publishing.get(path) !== before.get(path))
    })

  return {
    database: {
      port: postgres.port,
      dsn: Redacted.value(postgres.dsn),
      start: startDatabase,
      stop: stopDatabase,
      signal: signalDatabase
    },
    sql,
    paths,
    sink,
    insert,
    start,
    holders,
    pathsOf,
    settled,
    awaitOthers,
    /** The connection that publishes each path now. */
    publishing: (): ReadonlyMap<string, number> => new Map(publishing),
    /** How many publishers of each path were replaced so far. */
    putOut: (): ReadonlyMap<string, number> => new Map(putOut),
    /** The most connections that the cameras served at once. */
    mostReaders: () => mostReaders,
    /** How many publishers were ended by the API so far. */
    kicks: () => sink.requests.filter((request) => request.startsWith("POST")).length
  }
})
