/** The clock that nobody can set: for whatever lasts, or is due. */
import type * as Clock from "effect/Clock"

/** The monotonic time in milliseconds, from a beginning that means nothing. */
export const nowMs = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
