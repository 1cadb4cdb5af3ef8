/** The monotonic clock, which cannot be set: for durations and deadlines. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** The monotonic time in milliseconds, from an arbitrary origin. */
export const nowMs = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** The same as an effect. */
export const now: Effect.Effect<number> = Clock.clockWith((clock) =>
  Effect.sync(() => nowMs(clock))
)
