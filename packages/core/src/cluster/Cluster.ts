/**
 * One node of a cluster: shares the cameras of one table with the other nodes.
 *
 * The cluster engine of Effect decides which node has which shard, and keeps the locks in PostgreSQL. This file
 * builds the engine without messages, so no node opens a port for the others. The locks determine which cameras
 * are ours (`LeasedStorage.ts`, `ShardLeases.ts`).
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as MessageStorage from "effect/cluster/MessageStorage"
import { make as makeRunner } from "effect/cluster/Runner"
import { make as makeAddress } from "effect/cluster/RunnerAddress"
import { RunnerHealth } from "effect/cluster/RunnerHealth"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import { SqlClient } from "effect/sql/SqlClient"
import { createHash } from "node:crypto"
import * as ClusterRights from "./ClusterRights.ts"
import * as EngineLog from "./EngineLog.ts"
import * as LeasedStorage from "./LeasedStorage.ts"
import * as LockSession from "./LockSession.ts"
import * as Nodes from "./Nodes.ts"
import * as NodeTable from "./NodeTable.ts"
import * as OneHolder from "./OneHolder.ts"
import { Ownership, type OwnershipService } from "./Ownership.ts"
import { Refusals } from "../probing/Refusals.ts"
import * as SharedRefusals from "./SharedRefusals.ts"
import * as ShardLeases from "./ShardLeases.ts"
import { named } from "./TableNames.ts"

export { createTables } from "./ClusterTables.ts"

export interface ClusterOptions {
  /** The name of this node. Two nodes with the same name exclude each other. */
  readonly name: string
  /** The share of the shards, relative to the other nodes. */
  readonly weight: number
  /** The number of shards; the same on every node. */
  readonly shards: number
  /** How long the other nodes wait for a node that is silent. */
  readonly lease: Duration.Duration
  readonly whenDatabaseIsAway: "keep" | "stop"
  readonly locks: "auto" | Nodes.LockKind
  /** A digest of the names and weights of the media servers, where there are several. Default: there is one. */
  readonly servers?: string | undefined
  /** Where the other nodes reach the HTTP API of this node. Default: nowhere. */
  readonly apiUrl?: string | undefined
  /** The host name of this machine: only its own nodes can use a loopback address. */
  readonly machine: string
  /** The prefix of the cluster's tables; one for each cluster in a database. */
  readonly tablePrefix: string
  /** The key of the digests by which a table holds refused credentials; the same on every node. */
  readonly refusalsKey: Redacted.Redacted
  /** The lock that excludes a daemon without a cluster. `undefined`: none. */
  readonly guard: Omit<OneHolder.OneHolderOptions, "isNode"> | undefined
}

/** How long a node that shuts down waits for the other nodes to take over its cameras. */
export const drainTimeout = Duration.seconds(10)

export class Cluster extends Context.Service<
  Cluster,
  {
    readonly name: string
    /** Done when this node has joined the cluster. */
    readonly hasJoined: Effect.Effect<void>
    /** Fails when this node may not join the cluster; never done otherwise. */
    readonly failed: Effect.Effect<never, Nodes.ClusterError>
    /** Hands the cameras over to the other nodes and waits for the end. Done at once if there is no other node. */
    readonly drain: Effect.Effect<void>
    /** How many shards this node holds. */
    readonly shardCount: Effect.Effect<number>
  }
>()("@restream/core/cluster/Cluster") {}

const make = Effect.fnUntraced(function* (options: ClusterOptions) {
  const sql = yield* PgClient.PgClient
  const leases = yield* ShardLeases.make(options)
  const guard = options.guard && (yield* OneHolder.make({ ...options.guard, isNode: true }))
  const failed = yield* Deferred.make<never, Nodes.ClusterError>()
  const hasJoined = yield* Deferred.make<void>()
  let joined:
    | { readonly nodes: Nodes.Nodes; readonly drain: LeasedStorage.LeasedStorage["drain"] }
    | undefined
  let problem: ClusterRights.WatchedStorage["problem"] = () => undefined
  const address = makeAddress(options.name, Nodes.port)
  /** The same for all nodes of this cluster, so that each node recognizes the publishers of nodes that are gone. */
  let instance: string | undefined

  const views = yield* SubscriptionRef.make<Nodes.ClusterView>({ nodes: [], problem: undefined })
  const onChanged = (view: Nodes.ClusterView) =>
    Effect.andThen(
      leases.setHasOthers(view.nodes.some(({ isSelf }) => !isSelf)),
      SubscriptionRef.set(views, view)
    )
  yield* SubscriptionRef.changes(views).pipe(
    Stream.drop(1),
    Stream.runForEach(({ nodes, problem }) => {
      const names = nodes.map(({ isActive, name }) => (isActive ? name : `${name} (draining)`))
      return Effect.andThen(
        Effect.logInfo(`${nodes.length} node${nodes.length === 1 ? "" : "s"}: ${names.join(", ")}`),
        problem === undefined ? Effect.void : Effect.logError(problem)
      )
    }),
    Effect.annotateLogs("module", "cluster"),
    Effect.forkScoped
  )

  const join = Effect.gen(function* () {
    const locks = yield* lockKind(sql, options)
    yield* requireTables(sql, options.tablePrefix)
    instance = yield* instanceOf(sql, options.tablePrefix)
    if (guard !== undefined) yield* guard.permitted
    const group = Nodes.groupOf(options.shards, locks)
    const groups = [
      group,
      ...Nodes.groupsOf({
        servers: options.servers,
        lease: String(Duration.toMillis(options.lease)),
        api: options.apiUrl,
        machine: options.machine
      })
    ]
    const self = makeRunner({ address, groups, weight: options.weight })
    const config = ShardingConfig.layer({
      runnerAddress: Option.some(address),
      runnerShardWeight: options.weight,
      availableShardGroups: [group],
      assignedShardGroups: [group],
      shardsPerGroup: options.shards,
      shardLockExpiration: options.lease,
      shardLockRefreshInterval: Duration.divideUnsafe(options.lease, 3),
      shardLockDisableAdvisory: locks === "rows",
      refreshAssignmentsInterval: Duration.divideUnsafe(options.lease, 12),
      // the delay of the engine's loop after a failure
      entityMessagePollInterval: Duration.millis(500)
    })
    const session = LockSession.make(sql, { locks, tablePrefix: options.tablePrefix })
    const watched = ClusterRights.watch(
      Context.get(
        yield* Layer.build(
          SqlRunnerStorage.layerStorage({ prefix: options.tablePrefix }).pipe(
            Layer.provide([config, Layer.succeed(SqlClient, session.client)])
          )
        ),
        RunnerStorage
      ),
      sql,
      options.tablePrefix
    )
    const { storage } = watched
    problem = watched.problem
    yield* Nodes.admit(storage, self, options.lease)
    yield* Nodes.awaitSilent(sql, options.tablePrefix, self, options.lease)
    yield* endEarlierSessions(sql, storage, session, options.name)
    const nodes = yield* Nodes.make(storage, self, options.lease, onChanged)
    const leased = yield* LeasedStorage.make(storage, leases, nodes, {
      ...options,
      address,
      group,
      releaseLocks: session.release,
      endEarlierSessions: session.endEarlier()
    })
    joined = { nodes, drain: leased.drain }
    const ofEngine = yield* EngineLog.restore({
      ...leased.storage,
      register: (runner, healthy) =>
        Effect.tap(leased.storage.register(makeRunner({ ...runner, groups }), healthy), () =>
          Deferred.succeed(hasJoined, undefined)
        )
    })
    yield* Layer.build(
      Sharding.layer.pipe(
        Layer.provide(Runners.layerNoop),
        Layer.provide([
          config,
          MessageStorage.layerNoop,
          Layer.succeed(RunnerStorage, ofEngine),
          // only the heartbeats say whether a node is alive
          Layer.succeed(RunnerHealth, {
            isAlive: ({ host }) =>
              Effect.sync(() =>
                nodes.view().some(({ isActive, name }) => name === host && isActive)
              )
          })
        ])
      )
    ).pipe(EngineLog.demote)
  })

  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* join.pipe(
    Scope.provide(scope),
    Effect.catchTag("ClusterError", (error) => Deferred.fail(failed, error)),
    Effect.annotateLogs("module", "cluster"),
    Effect.forkScoped
  )

  const drain = Effect.gen(function* () {
    const held = leases.held().length
    if (joined === undefined || held === 0) return
    const others = joined.nodes.view().filter(({ isActive, isSelf }) => isActive && !isSelf)
    if (others.length === 0) return
    yield* Effect.logInfo(
      `draining: handing ${held} shards over to ${others.length} other node${others.length === 1 ? "" : "s"}`
    )
    yield* joined.drain
  }).pipe(
    Effect.timeoutOption(drainTimeout),
    Effect.catch(() => Effect.logWarning("cannot hand the cameras over: no database")),
    Effect.annotateLogs("module", "cluster"),
    Effect.asVoid
  )

  const shared = guard === undefined ? leases.ownership : guardedOwnership(guard, leases.ownership)
  const ownership: OwnershipService = {
    ...shared,
    publisher: (id) =>
      instance !== undefined && shared.isOurs(id)
        ? { instance, isExclusive: leases.isValid() }
        : undefined,
    node: options.name,
    membership: () => ({
      hasJoined: Deferred.isDoneUnsafe(hasJoined),
      shards: leases.held().length,
      hasOthers: joined?.nodes.view().some(({ isSelf }) => !isSelf) === true,
      problem: problem()
    }),
    ready: Effect.raceFirst(
      Deferred.await(hasJoined),
      Effect.repeat(Effect.delay(shared.activeDaemon, "250 millis"), {
        until: (daemon) => daemon !== undefined
      })
    ).pipe(Effect.asVoid),
    nodes: () => joined?.nodes.view() ?? []
  }
  const cluster = Cluster.of({
    name: options.name,
    hasJoined: Deferred.await(hasJoined),
    failed: Deferred.await(failed),
    drain,
    shardCount: Effect.sync(() => leases.held().length)
  })
  const refusals = yield* SharedRefusals.make({ ...options, key: options.refusalsKey })
  return Context.make(Cluster, cluster).pipe(
    Context.add(Ownership, ownership),
    Context.add(Refusals, refusals)
  )
})

/** The ownership of a node that releases its cameras when a daemon outside the cluster has taken over. */
const guardedOwnership = (
  guard: OneHolder.OneHolder,
  leases: OwnershipService
): OwnershipService => ({
  ...leases,
  isOurs: (id) => guard.isOurs(id) && leases.isOurs(id),
  changes: Stream.merge(leases.changes, guard.changes),
  mayStart: (id, lastEnd) => guard.isOurs(id) && leases.mayStart(id, lastEnd),
  permit: (id, lastEnd) => Effect.andThen(guard.permitted, leases.permit(id, lastEnd)),
  activeDaemon: guard.activeDaemon
})

/** Joins the cluster in the layer's scope; closing the scope releases all locks. Never fails; see `Cluster.failed`. */
export const layer = (options: ClusterOptions): Layer.Layer<Cluster, never, PgClient.PgClient> =>
  Layer.effectContext(make(options))

/**
 * Ends the sessions of an earlier process of this node that still hold locks, unless a node of the same name runs.
 */
const endEarlierSessions = Effect.fnUntraced(
  function* (
    sql: PgClient.PgClient,
    storage: RunnerStorage["Service"],
    session: LockSession.LockSession,
    name: string
  ) {
    const runners = yield* storage.getRunners
    if (runners.some(([{ address }]) => address.host === name)) return
    yield* session.endEarlier(sql.config.applicationName)
  },
  // after a failure the locks are requested until the server has ended the session
  (effect) => Effect.ignore(effect)
)

/** Retries until the database responds. */
const retryUntilSuccess = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A> =>
  Effect.retry(effect, Schedule.spaced("500 millis")).pipe(Effect.orDie)

const lockKind = (
  sql: PgClient.PgClient,
  { locks }: ClusterOptions
): Effect.Effect<Nodes.LockKind> => {
  if (locks !== "auto") return Effect.succeed(locks)
  return retryUntilSuccess(
    Effect.gen(function* () {
      const [row] = yield* sql.unsafe<{ readonly version: number }>(
        "select current_setting('server_version_num')::int as version"
      ).unprepared
      // before PostgreSQL 14 a suspended node keeps its session; a pooler in transaction mode has no sessions
      return Number(row?.version) < 140_000 || (yield* OneHolder.hasTransactionPooler(sql))
        ? "rows"
        : "advisory"
    })
  )
}

/**
 * The name of a cluster: identifies its tables in one database of one server and its replicas. `undefined`: the role
 * may not read the identity of the server, so another cluster could have the same name.
 */
const instanceOf = (
  sql: PgClient.PgClient,
  tablePrefix: string
): Effect.Effect<string | undefined> =>
  sql<{ readonly identity: string }>`
    select system_identifier || ' ' || current_database() as identity from pg_control_system()`.pipe(
    Effect.map(([row]) =>
      createHash("sha256")
        .update(["restream cluster", row?.identity, tablePrefix].join("\n"))
        .digest("hex")
        .slice(0, 12)
    ),
    Effect.orElseSucceed(() => undefined)
  )

const requireTables = Effect.fnUntraced(function* (sql: PgClient.PgClient, prefix: string) {
  const [row] = yield* retryUntilSuccess(
    sql<{
      readonly exists: boolean
    }>`select to_regclass(${named(prefix, "runners")}) is not null as exists`
  )
  if (row?.exists === true) return
  return yield* new Nodes.ClusterError({
    message: NodeTable.missingTables(prefix)
  })
})
