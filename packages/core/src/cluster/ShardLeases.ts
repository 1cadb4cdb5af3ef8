/**
 * The ownership of one node of a cluster: the shards that the node holds, and whether its lease is valid.
 *
 * A shard is free, held, or leaving. A leaving shard is still locked by this node, and its cameras are ending:
 * the lock must not be released before they have ended. The lease is measured by the monotonic clock, from
 * before the query that confirmed it, so that no other node can get a lock before the lease is over.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { CameraId } from "../camera/Camera.ts"
import type { Reason } from "../camera/Reason.ts"
import { nowMs } from "../time/Monotonic.ts"
import type { OwnershipChange, OwnershipService } from "./Ownership.ts"
import { shardOf } from "./Shard.ts"

export interface ShardLeasesOptions {
  readonly shards: number
  readonly lease: Duration.Duration
  /** What happens to the cameras when the lease is over and no other node is known to have the locks. */
  readonly whenDatabaseIsAway: "keep" | "stop"
}

/** A shard that this node holds. A shard that was lost and acquired again is another object. */
export interface HeldShard {
  readonly shard: number
  readonly sinceMs: number
  /** Set when the cameras of the shard start to end; done when they have ended. */
  leaving: Deferred.Deferred<void> | undefined
}

export interface ShardLeases {
  readonly ownership: OwnershipService
  /** The shards that this node holds, including those that are leaving. */
  readonly held: () => ReadonlyArray<HeldShard>
  readonly get: (shard: number) => HeldShard | undefined
  /** Adds shards whose locks this node has acquired. */
  readonly granted: (shards: Iterable<number>) => Effect.Effect<void>
  /** Ends the cameras of those shards that are held, and waits until they have ended. */
  readonly end: (shards: Iterable<number>) => Effect.Effect<void>
  /** Removes shards whose locks this node no longer has. */
  readonly freed: (shards: Iterable<number>) => Effect.Effect<void>
  /** Records that a query confirmed the locks. @param sentAtMs when the query was sent. */
  readonly confirmed: (sentAtMs: number) => Effect.Effect<void>
  /** Records that the session and its locks may be lost: the lease is invalid until it is confirmed. */
  readonly doubted: Effect.Effect<void>
  /** When the lease is over, in monotonic milliseconds. */
  readonly validUntilMs: () => number
  readonly isValid: () => boolean
  /** Sets whether another node is known, which may take over shards of this node. */
  readonly setHasOthers: (hasOthers: boolean) => Effect.Effect<void>
  readonly nowMs: () => number
}

/** A larger drift between the clocks means that the machine was suspended, which stops the monotonic clock. */
const maxDriftMs = 1_000

export const make = Effect.fnUntraced(function* (options: ShardLeasesOptions) {
  const clock = yield* Clock.Clock
  const now = () => nowMs(clock)
  const drift = () => clock.currentTimeMillisUnsafe() - now()
  const leaseMs = Duration.toMillis(options.lease)
  const held = new Map<number, HeldShard>()
  const shards = new Map<CameraId, number>()
  const subscribers = new Set<Queue.Queue<OwnershipChange>>()
  /** Incremented by each change that may allow a waiting camera to start. */
  const revision = yield* SubscriptionRef.make(0)
  const bump = SubscriptionRef.update(revision, (before) => before + 1)
  /** Incremented when shards are gained. */
  const arrivals = yield* SubscriptionRef.make(0)
  let validUntilMs = -Infinity
  let confirmedAtMs = -Infinity
  let doubtedAtMs = -Infinity
  let driftMs = drift()
  let hasOthers = false

  const shardOfCamera = (id: CameraId): number => {
    const known = shards.get(id)
    if (known !== undefined) return known
    const shard = shardOf(id, options.shards)
    shards.set(id, shard)
    return shard
  }
  const emit = (change: OwnershipChange) => {
    for (const queue of subscribers) Queue.offerUnsafe(queue, change)
  }
  const ended = (ending: Iterable<HeldShard>) => {
    for (const { leaving } of ending) {
      if (leaving !== undefined) Deferred.doneUnsafe(leaving, Effect.void)
    }
  }
  const isValid = () =>
    now() < validUntilMs &&
    confirmedAtMs >= doubtedAtMs &&
    Math.abs(drift() - driftMs) <= maxDriftMs
  const isOurs = (id: CameraId) => {
    const entry = held.get(shardOfCamera(id))
    return entry !== undefined && entry.leaving === undefined
  }
  const mayStart = (id: CameraId, lastEnd: Reason | undefined) =>
    isOurs(id) &&
    (isValid() ||
      (options.whenDatabaseIsAway === "keep" &&
        (!hasOthers || lastEnd?._tag !== "PublisherReplaced")))

  const changes = Stream.unwrap(
    Effect.acquireRelease(
      Effect.gen(function* () {
        const queue = yield* Queue.unbounded<OwnershipChange>()
        yield* Queue.offer(queue, {})
        subscribers.add(queue)
        return queue
      }),
      (queue) =>
        Effect.sync(() => {
          subscribers.delete(queue)
          // without a subscriber no camera runs
          if (subscribers.size === 0) ended(held.values())
        })
    ).pipe(Effect.map(Stream.fromQueue))
  )

  const leases: ShardLeases = {
    ownership: {
      isOurs,
      changes,
      shardOf: shardOfCamera,
      shards: {
        count: options.shards,
        ours: () => new Map([...held].filter(([, { leaving }]) => leaving === undefined)),
        came: Stream.map(SubscriptionRef.changes(arrivals), () => undefined)
      },
      mayStart,
      permit: (id, lastEnd) =>
        SubscriptionRef.changes(revision).pipe(
          Stream.filter(() => mayStart(id, lastEnd)),
          Stream.take(1),
          Stream.runDrain
        ),
      activeDaemon: Effect.succeed(undefined)
    },
    held: () => [...held.values()],
    get: (shard) => held.get(shard),
    granted: (granted) =>
      Effect.suspend(() => {
        const fresh = [...granted].filter((shard) => !held.has(shard))
        if (fresh.length === 0) return Effect.void
        const sinceMs = now()
        for (const shard of fresh) held.set(shard, { shard, sinceMs, leaving: undefined })
        emit({ shards: fresh, isHandOver: hasOthers })
        return Effect.andThen(
          SubscriptionRef.update(arrivals, (before) => before + 1),
          bump
        )
      }),
    end: (ending) =>
      Effect.suspend(() => {
        const entries = [...ending].flatMap((shard) => held.get(shard) ?? [])
        const fresh = entries.filter(({ leaving }) => leaving === undefined)
        for (const entry of fresh) entry.leaving = Deferred.makeUnsafe()
        if (subscribers.size === 0) ended(fresh)
        else if (fresh.length > 0) {
          emit({
            shards: fresh.map(({ shard }) => shard),
            settled: Effect.sync(() => ended(fresh))
          })
        }
        return Effect.forEach(
          entries,
          ({ leaving }) => (leaving === undefined ? Effect.void : Deferred.await(leaving)),
          { discard: true }
        )
      }),
    freed: (freed) =>
      Effect.sync(() => {
        for (const shard of freed) held.delete(shard)
      }),
    confirmed: (sentAtMs) =>
      Effect.suspend(() => {
        validUntilMs = Math.max(validUntilMs, sentAtMs + leaseMs)
        confirmedAtMs = Math.max(confirmedAtMs, sentAtMs)
        driftMs = drift()
        return bump
      }),
    doubted: Effect.sync(() => {
      doubtedAtMs = now()
    }),
    validUntilMs: () => validUntilMs,
    isValid,
    setHasOthers: (value) =>
      Effect.suspend(() => {
        if (hasOthers === value) return Effect.void
        hasOthers = value
        return bump
      }),
    nowMs: now
  }
  return leases
})
