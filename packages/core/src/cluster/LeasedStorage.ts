/**
 * The cluster engine's port for its locks, decorated: each lock that comes or goes is known to `ShardLeases`, and
 * no lock is given back before the cameras of its shard have ended.
 *
 * The engine asks; the locks are kept by two loops of our own. One confirms the locks that are held and writes
 * the heartbeat. The other acquires what the engine asked for last. So the engine's questions are answered
 * from memory: a database that does not respond, or a loop that stood still, lets no question of the engine
 * time out, after which it would give up every shard.
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
  /** Tells the other nodes to take the shards, and gives them back, a few at a time. */
  readonly drain: Effect.Effect<void, PersistenceError>
}

export interface LeasedStorageOptions {
  readonly address: RunnerAddress
  /** The engine's name for all shards, see `Nodes.groupOf`. */
  readonly group: string
  readonly lease: Duration.Duration
  readonly whenDatabaseIsAway: "keep" | "stop"
  /** Gives several locks back at once. Left out, or where it fails: the storage gives them back one by one. */
  readonly releaseLocks?: ReleaseLocks | undefined
  /** Whether earlier sessions of this node still hold locks; it ends them. */
  readonly endEarlierSessions?: Effect.Effect<boolean, unknown> | undefined
}

/** How often a lock is asked for that another node is just giving back. */
const acquireInterval = "40 millis"
/** How long after the engine's last question a lock is asked for. The engine asks every second. */
const acquireForMs = 3_000
/** How many shards are given back at a time: the gap of a camera is then its own. */
const releasePermits = 12
/** How often in a row the engine does not list a shard that we hold, before it has forgotten the shard. */
const strayMisses = 3
/** The engine does not list a shard before it asks for it again, which takes up to a second. */
const strayAfterMs = 2_500
/** How long before the end of the lease the cameras end, where they must not outlive it. */
const fenceMs = 500

/**
 * Decorates a storage. Its loops live as long as the scope.
 *
 * @param nodes learns of failures, and keeps nodes that were known before an outage.
 */
export const make = Effect.fnUntraced(function* (
  undecorated: RunnerStorage["Service"],
  leases: ShardLeases,
  nodes: Nodes,
  options: LeasedStorageOptions
): Effect.fn.Return<LeasedStorage, never, Scope.Scope> {
  const { address, endEarlierSessions, group, lease, releaseLocks, whenDatabaseIsAway } = options
  // closed after the engine, whose last calls still send queries
  const scope = yield* Scope.fork(yield* Effect.scope)
  const intervalMs = Duration.toMillis(lease) / 3
  const { nowMs } = leases
  const idOf = (shard: number) => ShardId.make(group, shard)
  const isRegistered = Latch.makeUnsafe(false)
  const isAsked = Latch.makeUnsafe(false)
  const acquiring = Semaphore.makeUnsafe(1)
  const releasing = Semaphore.makeUnsafe(releasePermits)
  /** The shards whose cameras have ended and whose locks are to be given back. `undefined`: no unlocking runs. */
  let unlockable: Map<number, Deferred.Deferred<void, PersistenceError>> | undefined
  /** The shards that the engine asked for last and does not have yet. */
  let wanted: ReadonlySet<number> = new Set()
  let askedAtMs = -Infinity
  const misses = new Map<HeldShard, number>()
  /** The shards that the engine gives back. Other nodes ask for their locks. */
  const returning = new Set<number>()
  const isDoubted = Latch.makeUnsafe(false)
  let isFenced = false
  let isDraining = false

  /**
   * The storage replaces the session of the locks after an operation that failed or took a third of the lease.
   * That frees the locks, and a node that waits for them gets them although our lease is not over.
   */
  const doubtOnError = <A>(operation: Effect.Effect<A, PersistenceError>) =>
    Effect.tapError(operation, () =>
      Effect.gen(function* () {
        yield* leases.doubted
        yield* isDoubted.open
        // where a camera may be dark, and must not be relayed twice
        if (whenDatabaseIsAway === "stop") yield* Effect.forkIn(leases.end([...returning]), scope)
      })
    )
  const storage = RunnerStorage.of({
    ...undecorated,
    acquire: (self, shardIds) => doubtOnError(undecorated.acquire(self, shardIds)),
    refresh: (self, shardIds) => doubtOnError(undecorated.refresh(self, shardIds)),
    release: (self, shardId) => doubtOnError(undecorated.release(self, shardId))
  })

  /** Whoever waits may be interrupted, the query may not: its answer would be lost, and the lock be held for ever. */
  const surely = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.flatMap(Effect.forkIn(effect, scope, { startImmediately: true }), Fiber.join)

  const missing = () => [...wanted].filter((shard) => leases.get(shard) === undefined)

  /** Asks once for the shards that are wanted and missing. */
  const attempt = acquiring.withPermit(
    Effect.gen(function* () {
      const shards = missing()
      if (shards.length === 0 || isFenced || isDraining) return
      const acquired = yield* storage.acquire(address, shards.map(idOf))
      yield* leases.granted(acquired.map(({ id }) => id))
    })
  )

  const acquirer = Effect.gen(function* () {
    yield* isAsked.await
    if (missing().length === 0 || nowMs() - askedAtMs > acquireForMs) yield* isAsked.close
    else yield* Effect.ignore(attempt)
    yield* Effect.sleep(acquireInterval)
  }).pipe(Effect.forever)

  const awaitLease = Effect.suspend(() =>
    leases.isValid() || isFenced
      ? Effect.void
      : Effect.repeat(Effect.sleep("50 millis"), { until: () => leases.isValid() || isFenced })
  )

  const releaseOneByOne = (shards: Iterable<number>) =>
    Effect.forEach(shards, (shard) => storage.release(address, idOf(shard)), { discard: true })

  /** Gives the locks of all shards back whose cameras have ended, until there are none. */
  const unlockAll = Effect.gen(function* () {
    for (;;) {
      const batch = unlockable
      if (batch === undefined || batch.size === 0) break
      unlockable = new Map()
      const shards = [...batch.keys()]
      const together =
        releaseLocks === undefined
          ? Effect.fail(undefined)
          : Effect.timeout(surely(releaseLocks(address, shards.map(idOf))), intervalMs)
      const exit = yield* Effect.exit(Effect.catch(together, () => releaseOneByOne(shards)))
      for (const done of batch.values()) Deferred.doneUnsafe(done, exit)
    }
    unlockable = undefined
  })

  /** Gives the lock of a shard back, together with those that wait for it. */
  const unlock = Effect.fnUntraced(function* (shard: number) {
    const done = Deferred.makeUnsafe<void, PersistenceError>()
    const isFirst = unlockable === undefined
    unlockable = (unlockable ?? new Map()).set(shard, done)
    if (isFirst) yield* Effect.forkIn(unlockAll, scope)
    yield* Deferred.await(done)
  })

  /** Ends the cameras of a shard and gives its lock back. */
  const giveBack = (shard: number) => {
    returning.add(shard)
    return releasing
      .withPermit(
        Effect.gen(function* () {
          const entry = leases.get(shard)
          if (entry === undefined) return
          // while the database is away nobody can take the shard, and its cameras would be dark
          yield* awaitLease
          yield* leases.end([shard])
          // it may have been found lost meanwhile
          if (leases.get(shard) !== entry) return
          yield* unlock(shard)
          misses.delete(entry)
          yield* leases.freed([shard])
        })
      )
      .pipe(Effect.ensuring(Effect.sync(() => returning.delete(shard))))
  }

  /** Ends the cameras of shards whose locks another node has. */
  const giveUp = Effect.fnUntraced(function* (lost: ReadonlyArray<HeldShard>) {
    const shards = lost.map(({ shard }) => shard)
    yield* leases.end(shards)
    yield* leases.freed(
      lost.filter((entry) => leases.get(entry.shard) === entry).map(({ shard }) => shard)
    )
  })

  const hasEarlierSession = Effect.mapError(
    surely(endEarlierSessions ?? Effect.succeed(false)),
    (cause) => new PersistenceError({ cause })
  )

  /** Confirms the locks that are held, and writes the heartbeat. */
  const confirm = Effect.gen(function* () {
    const sentAtMs = nowMs()
    const asked = leases.held()
    const confirmed = new Set(
      (yield* storage.refresh(
        address,
        asked.map(({ shard }) => idOf(shard))
      )).map(({ id }) => id)
    )
    const lost = asked.filter(
      (entry) =>
        !confirmed.has(entry.shard) &&
        entry.leaving === undefined &&
        leases.get(entry.shard) === entry
    )
    if (lost.length > 0 && !isFenced) {
      // a database that was restarted has forgotten the locks, and nobody may have asked for them yet
      const again = new Set(
        (yield* acquiring.withPermit(
          storage.acquire(
            address,
            lost.map(({ shard }) => idOf(shard))
          )
        )).map(({ id }) => id)
      )
      const taken = lost.filter(({ shard }) => !again.has(shard))
      // the server may not have noticed that our last session is gone: nobody else has these locks
      if (taken.length > 0 && (yield* hasEarlierSession)) {
        return yield* new PersistenceError({
          cause: "an earlier session of this node has the locks"
        })
      }
      if (taken.length > 0) {
        yield* Effect.logWarning(
          `another node has taken over ${taken.length} of ${asked.length} shards; stopping their relays`
        )
        yield* Effect.logDebug(`taken over: shards ${taken.map(({ shard }) => shard).join(", ")}`)
        yield* Effect.forkIn(giveUp(taken), scope)
      }
    }
    yield* leases.confirmed(sentAtMs)
  })

  let isAway = false
  const refresher = Effect.gen(function* () {
    const startedMs = nowMs()
    yield* isDoubted.close
    const exit = yield* Effect.exit(surely(confirm))
    if (Exit.isFailure(exit)) {
      yield* nodes.failed
      if (isAway) return yield* Effect.sleep(Math.min(intervalMs / 4, 250))
      // at once in a new session, where it is seen which locks were lost
      isAway = true
      return yield* Effect.logDebug("cannot confirm the shards", exit.cause)
    }
    isAway = false
    const restMs = Math.max(0, startedMs + intervalMs - nowMs())
    yield* Effect.raceFirst(Effect.sleep(restMs), isDoubted.await)
  }).pipe(Effect.forever)

  /** Ends all cameras before the lease is over, where no camera may outlive it. */
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

  /** The shards that the engine has forgotten. It acquired them while it rested, and wants them no more. */
  const strays = (listed: ReadonlySet<number>): ReadonlyArray<number> =>
    leases.held().flatMap((entry) => {
      if (entry.leaving !== undefined) return []
      const isWanted = wanted.has(entry.shard) && nowMs() - askedAtMs <= acquireForMs
      if (listed.has(entry.shard) || isWanted) {
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
    // until the others have seen it and ask for the shards
    yield* Effect.sleep(intervalMs / 2)
    // an answer that was on its way may still bring shards
    yield* acquiring.withPermit(Effect.void)
    while (leases.held().length > 0) {
      yield* Effect.forEach(leases.held(), ({ shard }) => giveBack(shard), {
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
      wanted = new Set(ids.map(({ id }) => id))
      askedAtMs = nowMs()
      yield* isAsked.open
      yield* Effect.ignore(surely(attempt))
      return ids.filter(({ id }) => {
        const entry = leases.get(id)
        return entry !== undefined && entry.leaving === undefined
      })
    }),
    refresh: Effect.fnUntraced(function* (_, shardIds) {
      const ids = [...shardIds]
      for (const shard of strays(new Set(ids.map(({ id }) => id)))) {
        yield* Effect.logDebug(`shard ${shard} is assigned to another node: giving it back`)
        // its cameras have ended: until it is given back they are dark
        yield* Effect.forkIn(Effect.retry(giveBack(shard), Schedule.spaced("250 millis")), scope)
      }
      // Without shards the engine asks whether the storage is back. Then it gives all shards back, and acquires its
      // share again.
      if (isFenced && (ids.length > 0 || !leases.isValid())) {
        return yield* new PersistenceError({ cause: new Error("the lease of the shards is over") })
      }
      return ids.filter(({ id }) => leases.get(id) !== undefined)
    }),
    release: (_, { id }) => {
      wanted = new Set([...wanted].filter((shard) => shard !== id))
      return surely(giveBack(id))
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
  return { drain: surely(drain), storage: leased }
})
