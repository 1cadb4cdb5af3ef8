/**
 * Deadlines by the time in which this process ran.
 *
 * A process that was stopped, or whose machine was asleep or starved it, finds all its timers due at once
 * when it goes on, and has read nothing of what came meanwhile. Whoever it waited for is not to blame.
 *
 * One fiber watches over all deadlines of a clock, while there are any: a probe of a hundred cameras has a
 * hundred of them, and a fiber with a timer for each was a tenth of what the probe cost.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { nowMs } from "../clock/Monotonic.ts"

/** A deadline is slept through in this many pieces at least: how well a standstill is noticed. */
const pieces = 4

/** A piece that lasts longer than twice its time by more than this has a standstill in it. */
const leastStandstillMs = 100

/** One deadline. */
interface Wait {
  readonly ms: number
  /** By the monotonic clock; put off by each standstill. */
  dueMs: number
  /** How many standstills it was put off by. */
  putOff: number
  isLate: boolean
  onLate: () => void
}

/** All deadlines of one clock. */
interface Watch {
  readonly waits: Set<Wait>
  watcher: Fiber.Fiber<void> | undefined
  /** When the watcher looks the next time. */
  looksAtMs: number
}

const watches = new WeakMap<Clock.Clock, Watch>()

const watchOf = (clock: Clock.Clock): Watch => {
  const known = watches.get(clock)
  if (known !== undefined) return known
  const watch: Watch = { waits: new Set(), watcher: undefined, looksAtMs: Infinity }
  watches.set(clock, watch)
  return watch
}

/**
 * An effect that must end in time. Otherwise it is interrupted, and what `orElse` gives for the time in
 * milliseconds runs in its place. An infinite time costs nothing.
 *
 * After a standstill a quarter of the time is left at least. A process that stands still again and again
 * ends the wait all the same: the fifth standstill counts.
 */
export const within =
  <A2, E2, R2>(time: Duration.Input, orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E | E2, R | R2> => {
    const duration = Duration.fromInputUnsafe(time)
    if (!Duration.isFinite(duration)) return effect
    const ms = Duration.toMillis(duration)
    return Clock.clockWith((clock) => {
      const watch = watchOf(clock)
      return Effect.flatMap(Effect.forkChild(effect, { startImmediately: true }), (fiber) => {
        const wait: Wait = {
          ms,
          dueMs: nowMs(clock) + ms,
          putOff: 0,
          isLate: false,
          onLate: () => {}
        }
        watch.waits.add(wait)
        return Effect.andThen(
          beginLooking(watch, clock, ms),
          awaitInTime(fiber, watch, wait, orElse)
        )
      })
    })
  }

const awaitInTime = <A, E, A2, E2, R2>(
  fiber: Fiber.Fiber<A, E>,
  watch: Watch,
  wait: Wait,
  orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R2> =>
  Effect.callback((resume) => {
    wait.onLate = () => {
      const inItsPlace = Effect.suspend(() => orElse(wait.ms))
      resume(Effect.andThen(Fiber.interrupt(fiber), inItsPlace))
    }
    if (wait.isLate) return wait.onLate()
    fiber.addObserver((exit) => {
      leave(watch, wait)
      resume(exit)
    })
    return Effect.suspend(() => {
      leave(watch, wait)
      return Fiber.interrupt(fiber)
    })
  })

const leave = (watch: Watch, wait: Wait): void => {
  watch.waits.delete(wait)
  if (watch.waits.size > 0) return
  watch.watcher?.interruptUnsafe()
  watch.watcher = undefined
}

/** Has the watcher look in time for a deadline. It is nobody's: whoever began it may leave first. */
const beginLooking = (watch: Watch, clock: Clock.Clock, ms: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const looksAtMs = nowMs(clock) + ms / pieces
    if (watch.watcher !== undefined && watch.looksAtMs <= looksAtMs) return Effect.void
    watch.watcher?.interruptUnsafe()
    watch.looksAtMs = looksAtMs
    return Effect.map(Effect.forkDetach(keepLooking(watch, clock)), (fiber) => {
      watch.watcher = fiber
    }).pipe(Effect.uninterruptible)
  })

/** Looks as long as anybody waits. */
const keepLooking = (watch: Watch, clock: Clock.Clock): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (watch.waits.size > 0) {
      return Effect.flatMap(look(watch, clock), () => keepLooking(watch, clock))
    }
    watch.watcher = undefined
    return Effect.void
  })

/** Sleeps for a piece, and tells those that are late. */
const look = (watch: Watch, clock: Clock.Clock): Effect.Effect<void> => {
  const before = nowMs(clock)
  let pieceMs = Infinity
  for (const { dueMs, ms } of watch.waits) {
    pieceMs = Math.min(pieceMs, ms / pieces, Math.max(0, dueMs - before))
  }
  watch.looksAtMs = before + pieceMs
  return Effect.flatMap(Effect.sleep(pieceMs), () => {
    const now = nowMs(clock)
    const stoodStillMs = now - before - pieceMs
    if (stoodStillMs > Math.max(pieceMs, leastStandstillMs)) putOff(watch, now - before)
    // timers are served before sockets: one round of the event loop brings in what came just in time
    return Effect.map(Effect.yieldNow, () => {
      for (const wait of watch.waits) {
        if (wait.dueMs > now) continue
        watch.waits.delete(wait)
        wait.isLate = true
        wait.onLate()
      }
    })
  })
}

/** How much of a piece we ran before we stood still is not known, so it does not count at all. */
const putOff = (watch: Watch, ms: number): void => {
  for (const wait of watch.waits) {
    if (wait.putOff === pieces) continue
    wait.putOff++
    wait.dueMs += ms
  }
}
