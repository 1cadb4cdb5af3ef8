/** The delay before an unreachable camera is probed again. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { Reason, RetryPace } from "../camera/Reason.ts"

export interface RetryPolicy {
  /** The delays after the first, second, … failure in a row; the last one repeats for ever. */
  readonly delays: ReadonlyArray<Duration.Duration>
  /** Random jitter on each delay, as a fraction (0.1 = ±10 %), so that cameras do not retry in step. */
  readonly jitter: number
  /** The delay after a wrong password: cameras lock accounts. */
  readonly lockoutDelay: Duration.Duration
  /** The delay after a failure that only an operator can resolve. */
  readonly rejectedDelay: Duration.Duration
}

/** The delays of the slow paces; `backoff` has its own in each schedule. */
export const slowDelay = (
  pace: Exclude<RetryPace, "backoff">,
  policy: Pick<RetryPolicy, "lockoutDelay" | "rejectedDelay">
): Duration.Duration => (pace === "lockout" ? policy.lockoutDelay : policy.rejectedDelay)

/**
 * Recurs for ever; its output is the delay until the next attempt.
 *
 * @param current the policy, read at each step.
 */
export const make = (
  current: Effect.Effect<RetryPolicy>
): Schedule.Schedule<Duration.Duration, { readonly reason: Reason }> =>
  Schedule.fromStep(
    Effect.sync(() => {
      let failures = 0
      return (_now: number, { reason }: { readonly reason: Reason }) =>
        Effect.map(
          Effect.all([current, Random.next]),
          ([policy, random]): [Duration.Duration, Duration.Duration] => {
            const step =
              policy.delays[Math.min(failures++, policy.delays.length - 1)] ?? Duration.zero
            const delay =
              reason.pace === "backoff"
                ? Duration.times(step, 1 + policy.jitter * (2 * random - 1))
                : slowDelay(reason.pace, policy)
            return [delay, delay]
          }
        )
    })
  )
