/** The delay before the next probe of an unreachable camera. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Reason, RetryPace } from "../camera/Reason.ts"

export interface RetryPolicy {
  /** The delays after the first, second, … consecutive failure. The last delay repeats for ever. */
  readonly delays: ReadonlyArray<Duration.Duration>
  /** Random jitter on each delay, as a fraction (0.1 = ±10 %), so that cameras do not retry in step. */
  readonly jitter: number
  /** The delay after a wrong password: cameras lock accounts. */
  readonly lockoutDelay: Duration.Duration
  /** The delay after a failure that only an operator can resolve. */
  readonly rejectedDelay: Duration.Duration
}

/** Starts a series of delays: makes a function that returns the delay after each input, without waiting. */
export type Delays<Input> = Effect.Effect<(input: Input) => Effect.Effect<Duration.Duration>>

/** The delays of the slow paces; each schedule defines its own `backoff`. */
export const slowDelay = (
  pace: Exclude<RetryPace, "backoff">,
  policy: Pick<RetryPolicy, "lockoutDelay" | "rejectedDelay">
): Duration.Duration => (pace === "lockout" ? policy.lockoutDelay : policy.rejectedDelay)

/**
 * The delay from each failure to the next attempt.
 *
 * @param current the policy, read at each failure.
 */
export const make = (current: Effect.Effect<RetryPolicy>): Delays<{ readonly reason: Reason }> =>
  Effect.sync(() => {
    let failures = 0
    return ({ reason }) =>
      Effect.map(Effect.all([current, Random.next]), ([policy, random]) => {
        const step = policy.delays[Math.min(failures++, policy.delays.length - 1)] ?? Duration.zero
        return reason.pace === "backoff"
          ? Duration.times(step, 1 + policy.jitter * (2 * random - 1))
          : slowDelay(reason.pace, policy)
      })
  })
