/** Deadlines of what a client waits for. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type RtspReason, RtspError } from "./RtspError.ts"

/**
 * An effect that must end in time, and otherwise fails with what `late` gives for the time in milliseconds.
 * An infinite time costs nothing: neither a fiber nor a timer is made for it.
 *
 * Where the whole process stood still, what came meanwhile counts as in time: timers are served before
 * sockets, and one round of the event loop brings it in.
 */
export const within =
  (time: Duration.Input, late: (afterMs: number) => RtspReason) =>
  <A, R>(effect: Effect.Effect<A, RtspError, R>): Effect.Effect<A, RtspError, R> => {
    const duration = Duration.fromInputUnsafe(time)
    if (!Duration.isFinite(duration)) return effect
    const isLate = Effect.suspend(() =>
      Effect.fail(new RtspError({ reason: late(Duration.toMillis(duration)) }))
    )
    return Effect.raceFirst(
      effect,
      Effect.sleep(duration).pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(isLate))
    )
  }
