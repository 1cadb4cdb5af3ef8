/**
 * Nodes of a cluster as processes, each with a media server of its own: so it is seen at any time which node
 * relays a camera, and whether two do.
 */
import { Shard } from "@restream/core"
import { RtspServer } from "@restream/core/testing"
import { Effect, type Scope } from "effect"
import { restream } from "../kit/Command.ts"
import * as Daemon from "../kit/Daemon.ts"
import * as Site from "../kit/Site.ts"

export const shards = 60
export const lease = "3s"
/** The engine asks for a shard again after a second. */
const restMs = 1_100

export interface Node {
  readonly name: string
  readonly daemon: Daemon.Daemon
  readonly sink: RtspServer["Service"]
}

/** The lines of the cluster engine in the log of a node that are shown without `log.level: debug`. */
export const engineLines = (log: string): ReadonlyArray<string> =>
  log
    .split("\n")
    .filter(
      (line) => !line.includes(" level=debug ") && /healthy|Shard lock|runner=|fiber=/.test(line)
    )

/** A site with so many cameras. All that it starts lives as long as the scope. */
export const make = Effect.fnUntraced(function* (cameras: number) {
  const site = yield* Site.make
  const paths = yield* site.insertCameras("native", cameras)
  const initialize = Effect.gen(function* () {
    const { code, stderr } = yield* restream(["db", "init", "--cluster"], {
      PG_DSN: site.env.PG_DSN
    })
    if (code !== 0) return yield* Effect.die(new Error(stderr))
  })
  const nodes = new Map<string, Node>()
  const twice = new Map<string, ReadonlyArray<string>>()

  const start = Effect.fnUntraced(function* (
    name: string,
    env: Readonly<Record<string, string>> = {},
    args: ReadonlyArray<string> = ["--cluster"]
  ): Effect.fn.Return<Node, never, Scope.Scope> {
    const sink = yield* Effect.orDie(RtspServer.make())
    const daemon = yield* Daemon.start({
      args,
      env: {
        ...site.env,
        MEDIA_SERVER_PORT: String(sink.port),
        RESTREAM_CLUSTER_NAME: name,
        RESTREAM_CLUSTER_LEASE: lease,
        RESTREAM_CLUSTER_SHARDS: String(shards),
        RESTREAM_LOG_LEVEL: "debug",
        ...env
      }
    })
    const node = { name, daemon, sink }
    nodes.set(name, node)
    return node
  })

  /** The nodes that relay each camera now. */
  const relaying = Effect.gen(function* () {
    const found = new Map<string, Array<string>>(paths.map((path) => [path, []]))
    for (const { name, sink } of nodes.values()) {
      for (const path of paths) {
        if ((yield* sink.path(path))?.publisher !== undefined) found.get(path)!.push(name)
      }
    }
    return found
  })

  /** The node that holds the lock of each camera's shard. */
  const holders = Effect.gen(function* () {
    const rows = yield* site.sql<{ readonly shard: number; readonly name: string }>`
      select objid::int - 1000000 as shard, a.application_name as name from pg_locks l
      join pg_stat_activity a using (pid) where locktype = 'advisory' and objsubid = 2 and granted
        and database = (select oid from pg_database where datname = current_database())`
    const byShard = new Map(rows.map(({ name, shard }) => [shard, name.replace("restream@", "")]))
    const cameras = yield* site.sql<{ readonly id: number; readonly path: string }>`
      select id::int, path from cameras`
    return {
      locks: rows.length,
      byPath: new Map(
        cameras.map(({ id, path }) => [path, byShard.get(Shard.shardOf(String(id), shards))])
      )
    }
  })

  yield* Effect.gen(function* () {
    for (const [path, names] of yield* relaying) {
      if (names.length > 1) twice.set(`${path}: ${names.join(" and ")}`, [path, ...names])
    }
    yield* Effect.sleep("10 millis")
  }).pipe(Effect.forever, Effect.forkScoped)

  /**
   * Done when each camera is relayed by the one node that holds its lock, all of the nodes hold some, and no lock
   * has moved for longer than the engine of a node may rest.
   */
  const settled = Effect.fnUntraced(function* (...names: ReadonlyArray<string>) {
    let before = ""
    let since = performance.now()
    for (;;) {
      const { byPath, locks } = yield* holders
      const now = yield* relaying
      const isRelayed = [...now].every(
        ([path, relays]) => relays.length === 1 && relays[0] === byPath.get(path)
      )
      const holding = [...new Set([...now.values()].flat())].sort().join()
      const state = JSON.stringify([...byPath])
      const isSame = state === before && isRelayed && locks === shards
      if (!isSame || holding !== names.join()) since = performance.now()
      if (performance.now() - since > restMs) return
      before = state
      yield* Effect.sleep("20 millis")
    }
  })

  /** The shards that a node has lost to another one, as it said. */
  const lostBy = (name: string): ReadonlyArray<number> =>
    [...(nodes.get(name)?.daemon.said() ?? "").matchAll(/taken over: shards ([\d, ]+)/g)].flatMap(
      ([, list = ""]) => list.split(", ").map(Number)
    )

  /** The cameras that two nodes relayed at once, though neither lost the lock. */
  const relayedTwice = Effect.gen(function* () {
    const cameras = yield* site.sql<{ readonly id: number; readonly path: string }>`
      select id::int, path from cameras`
    const shardOf = new Map(
      cameras.map(({ id, path }) => [path, Shard.shardOf(String(id), shards)])
    )
    return [...twice].flatMap(([seen, [path = "", ...names]]) =>
      names.some((name) => lostBy(name).includes(shardOf.get(path)!)) ? [] : [seen]
    )
  })

  /** How many publishers each path has had at the media server of a node. */
  const publishers = (name: string) =>
    Effect.forEach(paths, (path) =>
      Effect.map(nodes.get(name)!.sink.path(path), (now) => now?.publishers ?? 0)
    )

  return { site, paths, relayedTwice, initialize, start, settled, publishers }
})
