/**
 * Decorates the cluster engine's storage of locks: `ShardLeases` gets each lock that is acquired or lost, and no lock
 * is released before the cameras of its shard have ended.
 *
 * Two loops keep the locks. One confirms the held locks and writes the heartbeat. The other acquires the shards
 * that the engine requested last. So the engine's calls are answered from memory. A call that waits for the database
 * could time out, and the engine would then release every shard.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { PersistenceError } from "effect/cluster/ClusterError"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import * as ShardId from "effect/cluster/ShardId"
import type { ReleaseLocks } from "./LockSession.ts"
import type { Nodes } from "./Nodes.ts"
import type { HeldShard, ShardLeases } from "./ShardLeases.ts"

export interface LeasedStorage {
  readonly storage: RunnerStorage["Service"]
  /** Marks this node as draining, and releases its shards, a few at a time. */
  readonly drain: Effect.Effect<void, PersistenceError>
}

export interface LeasedStorageOptions {
  readonly address: RunnerAddress
  /** The engine's name for all shards, see `Nodes.groupOf`. */
  readonly group: string
  readonly lease: Duration.Duration
  readonly whenDatabaseIsAway: "keep" | "stop"
  /** Releases several locks at once. If it is left out or fails, the storage releases them one by one. */
  readonly releaseLocks?: ReleaseLocks | undefined
  /** Ends earlier sessions of this node that still hold locks. Returns whether there were any. */
  readonly endEarlierSessions?: Effect.Effect<boolean, unknown> | undefined
}

/** How often a lock is requested that another node is just releasing. */
const acquireInterval = "40 millis"
/** How long after the engine's last request a lock is requested. The engine requests locks every second. */
const acquireForMs = 3_000
/** How many shards are released at a time, so that the gap of a camera does not include other shards. */
const releasePermits = 12
/** After this many consecutive calls in which the engine does not list a held shard, the engine has forgotten it. */
const strayMisses = 3
/** The engine does not list a new shard before its next request, which takes up to a second. */
const strayAfterMs = 2_500
/** How long before the end of the lease the cameras are stopped, if they must not outlive the lease. */
const fenceMs = 500

/**
 * Decorates a storage. Its loops live as long as the scope.
 *
 * @param nodes is notified of failures, and keeps nodes that were known before an outage.
 */
export const make = Effect.fnUntraced(function* (
  undecorated: RunnerStorage["Service"],
  leases: ShardLeases,
  nodes: Nodes,
  options: LeasedStorageOptions
): Effect.fn.Return<LeasedStorage, never, Scope.Scope> {
  const { address, endEarlierSessions, group, lease, releaseLocks, whenDatabaseIsAway } = options
  // closed after the engine, because the engine's last calls still send queries
  const scope = yield* Scope.fork(yield* Effect.scope)
  const intervalMs = Duration.toMillis(lease) / 3
  const { nowMs } = leases
  const idOf = (shard: number) => ShardId.make(group, shard)
  const isRegistered = Latch.makeUnsafe(false)
  const hasRequest = Latch.makeUnsafe(false)
  const acquiring = Semaphore.makeUnsafe(1)
  const releaseLimit = Semaphore.makeUnsafe(releasePermits)
  /** The shards whose cameras have ended and whose locks wait for their release. `undefined`: no release runs. */
  let unlockable: Map<number, Deferred.Deferred<void, PersistenceError>> | undefined
  /** The shards that the engine requested last and does not have yet. */
  let requested: ReadonlySet<number> = new Set()
  let requestedAtMs = -Infinity
  const misses = new Map<HeldShard, number>()
  /** The shards that the engine releases. Other nodes request their locks. */
  const releasing = new Set<number>()
  const isUncertain = Latch.makeUnsafe(false)
  let isFenced = false
  let isDraining = false

  /**
   * The storage replaces the session of the locks after an operation that failed or took a third of the lease.
   * That frees the locks, and a waiting node gets them although our lease is not over.
   */
  const suspectOnError = <A>(operation: Effect.Effect<A, PersistenceError>) =>
    Effect.tapError(operation, () =>
      Effect.gen(function* () {
        yield* leases.doubted
        yield* isUncertain.open
        // "stop": a camera may be without a relay, but must never have two
        if (whenDatabaseIsAway === "stop") yield* Effect.forkIn(leases.end([...releasing]), scope)
      })
    )
  const storage = RunnerStorage.of({
    ...undecorated,
    acquire: (self, shardIds) => suspectOnError(undecorated.acquire(self, shardIds)),
    refresh: (self, shardIds) => suspectOnError(undecorated.refresh(self, shardIds)),
    release: (self, shardId) => suspectOnError(undecorated.release(self, shardId))
  })

  /** Interrupts only the waiting caller, not the query: without its result a lock could be held for ever. */
  const detached = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.flatMap(Effect.forkIn(effect, scope, { startImmediately: true }), Fiber.join)

  const missing = () => [...requested].filter((shard) => leases.get(shard) === undefined)

  /** Requests the missing shards once. */
  const acquireMissing = acquiring.withPermit(
    Effect.gen(function* () {
      const shards = missing()
      if (shards.length === 0 || isFenced || isDraining) return
      const acquired = yield* storage.acquire(address, shards.map(idOf))
      yield* leases.granted(acquired.map(({ id }) => id))
    })
  )

  const acquirer = Effect.gen(function* () {
    yield* hasRequest.await
    if (missing().length === 0 || nowMs() - requestedAtMs > acquireForMs) yield* hasRequest.close
    else yield* Effect.ignore(acquireMissing)
    yield* Effect.sleep(acquireInterval)
  }).pipe(Effect.forever)

  const awaitLease = Effect.suspend(() =>
    leases.isValid() || isFenced
      ? Effect.void
      : Effect.repeat(Effect.sleep("50 millis"), { until: () => leases.isValid() || isFenced })
  )

  const releaseOneByOne = (shards: Iterable<number>) =>
    Effect.forEach(shards, (shard) => storage.release(address, idOf(shard)), { discard: true })

  /** Releases the locks of all shards whose cameras have ended, until there are none. */
  const unlockAll = Effect.gen(function* () {
    for (;;) {
      const batch = unlockable
      if (batch === undefined || batch.size === 0) break
      unlockable = new Map()
      const shards = [...batch.keys()]
      const together =
        releaseLocks === undefined
          ? Effect.fail(undefined)
          : Effect.timeout(detached(releaseLocks(address, shards.map(idOf))), intervalMs)
      const exit = yield* Effect.exit(Effect.catch(together, () => releaseOneByOne(shards)))
      for (const done of batch.values()) Deferred.doneUnsafe(done, exit)
    }
    unlockable = undefined
  })

  /** Releases the lock of a shard, together with the locks that wait for their release. */
  const unlock = Effect.fnUntraced(function* (shard: number) {
    const done = Deferred.makeUnsafe<void, PersistenceError>()
    const isFirst = unlockable === undefined
    unlockable = (unlockable ?? new Map()).set(shard, done)
    if (isFirst) yield* Effect.forkIn(unlockAll, scope)
    yield* Deferred.await(done)
  })

  /** Ends the cameras of a shard and releases its lock. */
  const releaseShard = (shard: number) => {
    releasing.add(shard)
    return releaseLimit
      .withPermit(
        Effect.gen(function* () {
          const entry = leases.get(shard)
          if (entry === undefined) return
          // while the database is unreachable no node can take the shard, and its cameras would have no relay
          yield* awaitLease
          yield* leases.end([shard])
          // the shard may have been lost meanwhile
          if (leases.get(shard) !== entry) return
          yield* unlock(shard)
          misses.delete(entry)
          yield* leases.freed([shard])
        })
      )
      .pipe(Effect.ensuring(Effect.sync(() => releasing.delete(shard))))
  }

  /** Ends the cameras of shards whose locks another node has. */
  const endLost = Effect.fnUntraced(function* (lost: ReadonlyArray<HeldShard>) {
    const shards = lost.map(({ shard }) => shard)
    yield* leases.end(shards)
    yield* leases.freed(
      lost.filter((entry) => leases.get(entry.shard) === entry).map(({ shard }) => shard)
    )
  })

  const hasEarlierSession = Effect.mapError(
    detached(endEarlierSessions ?? Effect.succeed(false)),
    (cause) => new PersistenceError({ cause })
  )

  /** Confirms the held locks, and writes the heartbeat. */
  const confirm = Effect.gen(function* () {
    const sentAtMs = nowMs()
    const held = leases.held()
    const confirmed = new Set(
      (yield* storage.refresh(
        address,
        held.map(({ shard }) => idOf(shard))
      )).map(({ id }) => id)
    )
    const lost = held.filter(
      (entry) =>
        !confirmed.has(entry.shard) &&
        entry.leaving === undefined &&
        leases.get(entry.shard) === entry
    )
    if (lost.length > 0 && !isFenced) {
      // a restarted database has lost the locks, and possibly no other node has requested them yet
      const again = new Set(
        (yield* acquiring.withPermit(
          storage.acquire(
            address,
            lost.map(({ shard }) => idOf(shard))
          )
        )).map(({ id }) => id)
      )
      const taken = lost.filter(({ shard }) => !again.has(shard))
      // if the server has not noticed the end of our last session, that session has these locks
      if (taken.length > 0 && (yield* hasEarlierSession)) {
        return yield* new PersistenceError({
          cause: "an earlier session of this node has the locks"
        })
      }
      if (taken.length > 0) {
        yield* Effect.logWarning(
          `another node has taken over ${taken.length} of ${held.length} shards; stopping their relays`
        )
        yield* Effect.logDebug(`taken over: shards ${taken.map(({ shard }) => shard).join(", ")}`)
        yield* Effect.forkIn(endLost(taken), scope)
      }
    }
    yield* leases.confirmed(sentAtMs)
  })

  let hasFailed = false
  const refresher = Effect.gen(function* () {
    const startedMs = nowMs()
    yield* isUncertain.close
    const exit = yield* Effect.exit(detached(confirm))
    if (Exit.isFailure(exit)) {
      yield* nodes.failed
      if (hasFailed) return yield* Effect.sleep(Math.min(intervalMs / 4, 250))
      // the first retry follows at once, in a new session, which finds out which locks were lost
      hasFailed = true
      return yield* Effect.logDebug("cannot confirm the shards", exit.cause)
    }
    hasFailed = false
    const restMs = Math.max(0, startedMs + intervalMs - nowMs())
    yield* Effect.raceFirst(Effect.sleep(restMs), isUncertain.await)
  }).pipe(Effect.forever)

  /** Ends all cameras before the lease is over, if no camera may outlive the lease. */
  const fence = Effect.gen(function* () {
    const isOver = nowMs() >= leases.validUntilMs() - fenceMs
    if (isOver && !isFenced && leases.held().length > 0) {
      isFenced = true
      yield* Effect.logWarning(
        "the lease of the shards cannot be renewed, because the database does not respond; stopping all relays (cluster.whenDatabaseIsAway)"
      )
      yield* leases.end(leases.held().map(({ shard }) => shard))
    }
    yield* Effect.sleep("50 millis")
  }).pipe(Effect.forever)

  const loops = [
    Effect.andThen(isRegistered.await, refresher),
    acquirer,
    ...(whenDatabaseIsAway === "stop" ? [Effect.andThen(isRegistered.await, fence)] : [])
  ]
  for (const loop of loops) {
    yield* Effect.forkIn(Effect.annotateLogs(loop, "module", "cluster"), scope)
  }

  /** Held shards that the engine neither lists nor requests any more. */
  const strays = (listed: ReadonlySet<number>): ReadonlyArray<number> =>
    leases.held().flatMap((entry) => {
      if (entry.leaving !== undefined) return []
      const isRequested = requested.has(entry.shard) && nowMs() - requestedAtMs <= acquireForMs
      if (listed.has(entry.shard) || isRequested) {
        misses.delete(entry)
        return []
      }
      const count = (misses.get(entry) ?? 0) + 1
      misses.set(entry, count)
      return count >= strayMisses && nowMs() - entry.sinceMs >= strayAfterMs ? [entry.shard] : []
    })

  const drain = Effect.gen(function* () {
    isDraining = true
    yield* storage.setRunnerHealth(address, false)
    // until the other nodes have seen the change and request the shards
    yield* Effect.sleep(intervalMs / 2)
    // a request in progress may still acquire shards
    yield* acquiring.withPermit(Effect.void)
    while (leases.held().length > 0) {
      yield* Effect.forEach(leases.held(), ({ shard }) => releaseShard(shard), {
        concurrency: "unbounded",
        discard: true
      })
    }
  })

  const leased = RunnerStorage.of({
    register: (runner, healthy) =>
      Effect.tap(storage.register(runner, healthy), () => isRegistered.open),
    unregister: storage.unregister,
    setRunnerHealth: storage.setRunnerHealth,
    getRunners: nodes.getRunners,
    acquire: Effect.fnUntraced(function* (_, shardIds) {
      const ids = [...shardIds]
      requested = new Set(ids.map(({ id }) => id))
      requestedAtMs = nowMs()
      yield* hasRequest.open
      yield* Effect.ignore(detached(acquireMissing))
      return ids.filter(({ id }) => {
        const entry = leases.get(id)
        return entry !== undefined && entry.leaving === undefined
      })
    }),
    refresh: Effect.fnUntraced(function* (_, shardIds) {
      const ids = [...shardIds]
      for (const shard of strays(new Set(ids.map(({ id }) => id)))) {
        yield* Effect.logDebug(`shard ${shard} is assigned to another node: giving it back`)
        // retried, because the cameras have ended and have no relay until the lock is released
        yield* Effect.forkIn(
          Effect.retry(releaseShard(shard), Schedule.spaced("250 millis")),
          scope
        )
      }
      // An engine without shards calls this to find out whether the storage works again. Then the engine releases all
      // shards, and acquires its share again.
      if (isFenced && (ids.length > 0 || !leases.isValid())) {
        return yield* new PersistenceError({ cause: new Error("the lease of the shards is over") })
      }
      return ids.filter(({ id }) => leases.get(id) !== undefined)
    }),
    release: (_, { id }) => {
      requested = new Set([...requested].filter((shard) => shard !== id))
      return detached(releaseShard(id))
    },
    releaseAll: () =>
      Effect.suspend(() => {
        const entries = leases.held()
        const shards = entries.map(({ shard }) => shard)
        return Effect.andThen(leases.end(shards), storage.releaseAll(address)).pipe(
          Effect.andThen(leases.freed(shards)),
          Effect.tap(() => {
            if (!isFenced) return Effect.void
            isFenced = false
            return Effect.logInfo("the database responds again; acquiring shards")
          })
        )
      })
  })
  return { drain: detached(drain), storage: leased }
})
