/**
 * The nodes of the cluster: which nodes exist, whether they may share the cameras, and which existed before an outage.
 *
 * A node whose heartbeat is older than the lease is gone. After an outage of the database every heartbeat is
 * old, and the first node that writes its heartbeat would see no other node and take every camera. So the nodes
 * that were known before a failure count for one and a half leases after the failure.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { make as makeRunner, type Runner } from "effect/cluster/Runner"
import type { RunnerStorage } from "effect/cluster/RunnerStorage"
import type { SqlClient } from "effect/sql/SqlClient"
import { formatMillis } from "../time/DurationText.ts"
import { nowMs } from "../time/Monotonic.ts"
import type { NodeView } from "./Ownership.ts"
import * as Shard from "./Shard.ts"

/** This node may not join. The message is one line that says what to do. */
export class ClusterError extends Data.TaggedError("ClusterError")<{ readonly message: string }> {}

export interface ClusterView {
  /** By name. */
  readonly nodes: ReadonlyArray<NodeView>
  /** Names a node with different settings, even one that may stay. */
  readonly problem: string | undefined
}

/** For how many leases the nodes that were known before an outage count. */
const graceLeases = 1.5

/** The port of each node for the engine, which connects to no node: the name identifies a node. */
export const port = 0

export type LockKind = "advisory" | "rows"

/** The engine's name for the shards. Nodes with different names would each relay every camera. */
export const groupOf = (shards: number, locks: LockKind): string =>
  `cameras/${Shard.version}/${shards}/${locks}`

/** What the nodes know of each other besides the shards. Nodes of earlier versions leave out some facts. */
export interface NodeFacts {
  /** A digest of the names and weights of several media servers. */
  readonly servers?: string | undefined
  /** In milliseconds. */
  readonly lease?: string | undefined
  readonly api?: string | undefined
  readonly machine?: string | undefined
}

/** The facts as further groups of a node, which the engine does not see. */
export const groupsOf = (facts: NodeFacts): ReadonlyArray<string> =>
  Object.entries(facts).flatMap(([name, fact]) => (fact === undefined ? [] : [`${name}/${fact}`]))

const factOf = ({ groups }: Runner, name: keyof NodeFacts): string | undefined =>
  groups.find((group) => group.startsWith(`${name}/`))?.slice(name.length + 1)

/** A node without its facts. */
const forEngine = (runner: Runner): Runner =>
  runner.groups.length < 2 ? runner : makeRunner({ ...runner, groups: runner.groups.slice(0, 1) })

export interface Nodes {
  /** The nodes with a heartbeat, and those that were known before a failure. */
  readonly getRunners: RunnerStorage["Service"]["getRunners"]
  /** Records that a query failed: the nodes known so far count for {@link graceLeases}. */
  readonly failed: Effect.Effect<void>
  readonly view: () => ReadonlyArray<NodeView>
}

export const make = Effect.fnUntraced(function* (
  storage: RunnerStorage["Service"],
  self: Runner,
  lease: Duration.Duration,
  onChanged: (view: ClusterView) => Effect.Effect<void>
) {
  const clock = yield* Clock.Clock
  const graceMs = graceLeases * Duration.toMillis(lease)
  let known: ReadonlyArray<readonly [Runner, boolean]> = []
  let graceUntilMs = -Infinity
  let views: ReadonlyArray<NodeView> = []

  const failed = Effect.sync(() => {
    graceUntilMs = nowMs(clock) + graceMs
  })

  const remember = Effect.fnUntraced(function* (
    runners: ReadonlyArray<readonly [Runner, boolean]>
  ) {
    known = runners
    const before = JSON.stringify(views)
    views = runners.map(([runner, isActive]) => ({
      name: runner.address.host,
      weight: runner.weight,
      isActive,
      isSelf: nameOf(runner) === nameOf(self),
      apiUrl: factOf(runner, "api"),
      machine: factOf(runner, "machine")
    }))
    views = views.toSorted((one, other) => (one.name < other.name ? -1 : 1))
    const problem =
      mismatch(self, runners) ?? otherServers(self, runners) ?? otherLease(self, runners)
    if (before !== JSON.stringify(views)) yield* onChanged({ nodes: views, problem })
  })

  const nodes: Nodes = {
    failed,
    view: () => views,
    getRunners: Effect.gen(function* () {
      const runners = yield* Effect.tapError(storage.getRunners, () => failed).pipe(
        Effect.catch((error) => (known.length > 0 ? Effect.succeed([]) : Effect.fail(error)))
      )
      const present = new Set(runners.map(([runner]) => nameOf(runner)))
      const missing =
        nowMs(clock) < graceUntilMs ? known.filter(([runner]) => !present.has(nameOf(runner))) : []
      const all = [...runners, ...missing]
      yield* remember(all)
      return all.map(([runner, isActive]) => [forEngine(runner), isActive] as const)
    })
  }
  return nodes
})

const nameOf = ({ address }: Runner): string => address.host

/** The difference that keeps two nodes from sharing the cameras. `undefined`: there is none. */
const mismatch = (
  self: Runner,
  runners: ReadonlyArray<readonly [Runner, boolean]>
): string | undefined => {
  for (const [runner] of runners) {
    const [theirs = ""] = runner.groups
    const [ours = ""] = self.groups
    if (theirs === ours) continue
    const [, version, shards, locks] = theirs.split("/")
    const [, ourVersion, ourShards, ourLocks] = ours.split("/")
    const what =
      shards !== ourShards
        ? `cluster.shards is ${shards} there and ${ourShards} here`
        : locks !== ourLocks
          ? `cluster.locks is ${locks} there and ${ourLocks} here`
          : `its version is ${version}, and ours is ${ourVersion}`
    return `node ${runner.address.host} has other settings: ${what}; all nodes must agree`
  }
  return undefined
}

/** A node that divides the cameras among other media servers. Such a node may stay: each camera has one owner. */
const otherServers = (
  self: Runner,
  runners: ReadonlyArray<readonly [Runner, boolean]>
): string | undefined => {
  const other = runners.find(([runner]) => factOf(runner, "servers") !== factOf(self, "servers"))
  return other === undefined
    ? undefined
    : `node ${other[0].address.host} has other media servers: the names and weights of mediaServers differ, so a camera that moves between the nodes changes its server; set them alike`
}

/** A node with another lease: one of the two seems dead to the other between its heartbeats. */
const otherLease = (
  self: Runner,
  runners: ReadonlyArray<readonly [Runner, boolean]>
): string | undefined => {
  const ours = factOf(self, "lease")
  for (const [runner] of runners) {
    const theirs = factOf(runner, "lease")
    if (theirs === undefined || ours === undefined || theirs === ours) continue
    return `node ${nameOf(runner)} has another lease: cluster.lease is ${formatMillis(Number(theirs))} there and ${formatMillis(Number(ours))} here, so the node with the longer one may lose its cameras between two heartbeats; set them alike`
  }
  return undefined
}

/**
 * Done when this node may join. A node with the same name may be this node before a crash, so `admit` waits until
 * that heartbeat has expired. Fails if a running node has other settings or the same name. Waits while the database
 * is unreachable.
 */
export const admit = Effect.fnUntraced(function* (
  storage: RunnerStorage["Service"],
  self: Runner,
  lease: Duration.Duration
) {
  const clock = yield* Clock.Clock
  const startedMs = nowMs(clock)
  for (;;) {
    const found = yield* Effect.option(storage.getRunners)
    if (found._tag === "None") {
      yield* Effect.sleep("500 millis")
      continue
    }
    const problem = mismatch(self, found.value)
    if (problem !== undefined) return yield* new ClusterError({ message: problem })
    if (!found.value.some(([runner]) => nameOf(runner) === nameOf(self))) return
    if (nowMs(clock) - startedMs > 2 * Duration.toMillis(lease)) {
      return yield* new ClusterError({
        message: `another node has the name ${self.address.host}; give each node a name of its own (cluster.name)`
      })
    }
    yield* Effect.sleep("100 millis")
  }
})

/**
 * Waits for nodes whose heartbeat is old. After an outage of the database every heartbeat is old and every lock may
 * be free: a node that joins at this moment would see no other node and take every camera. The wait ends after one
 * and a half leases, because such nodes may be gone.
 */
export const awaitSilent = Effect.fnUntraced(function* (
  sql: SqlClient,
  tablePrefix: string,
  self: Runner,
  lease: Duration.Duration
) {
  const clock = yield* Clock.Clock
  const leaseMs = Duration.toMillis(lease)
  const untilMs = nowMs(clock) + graceLeases * leaseMs
  while (nowMs(clock) < untilMs) {
    const silent = yield* Effect.option(
      sql`select from ${sql(`${tablePrefix}_runners`)} where runner::json -> 'address' ->> 'host' <> ${nameOf(self)}
        and last_heartbeat < now()::timestamp - ${leaseMs} * interval '1 millisecond' limit 1`
    )
    if (silent._tag === "Some" && silent.value.length === 0) return
    yield* Effect.sleep("100 millis")
  }
})
