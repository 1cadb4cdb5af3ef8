/**
 * Deadlines by the time in which this process ran.
 *
 * A process that was stopped, or whose machine was asleep or starved it, finds all its timers due at once
 * when it goes on, and has read nothing of what came meanwhile. Whoever it waited for is not to blame.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** A deadline is slept through in this many pieces: a standstill costs it one of them at most. */
const pieces = 4

/** A piece that lasts longer than twice its time by more than this has a standstill in it. */
const leastStandstillMs = 100

/**
 * An effect that must end in time. Otherwise it is interrupted, and what `orElse` gives for the time in
 * milliseconds runs in its place. An infinite time costs nothing: neither a fiber nor a timer is made for it.
 *
 * After a standstill a quarter of the time is left at least. A process that stands still again and again
 * ends the wait all the same, after twice the time.
 */
export const within =
  <A2, E2, R2>(time: Duration.Input, orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E | E2, R | R2> => {
    const duration = Duration.fromInputUnsafe(time)
    if (!Duration.isFinite(duration)) return effect
    const ms = Duration.toMillis(duration)
    return Effect.raceFirst(
      effect,
      Effect.flatMap(sleep(ms), () => orElse(ms))
    )
  }

const sleep = Effect.fnUntraced(function* (ms: number) {
  const clock = yield* Clock.Clock
  const pieceMs = ms / pieces
  let forgiven = 0
  for (let left = pieces; left > 0;) {
    const before = clock.monotonicTimeNanosUnsafe()
    yield* Effect.sleep(pieceMs)
    const lateMs = Number(clock.monotonicTimeNanosUnsafe() - before) / 1e6 - pieceMs
    // how much of such a piece we ran is not known
    const stoodStill = lateMs > Math.max(pieceMs, leastStandstillMs)
    if (stoodStill && forgiven < pieces) forgiven++
    else left--
  }
  // timers are served before sockets: one round of the event loop brings in what came just in time
  yield* Effect.yieldNow
})
