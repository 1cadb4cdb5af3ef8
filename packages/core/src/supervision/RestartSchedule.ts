/** When a relay that ended is started again. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Reason } from "../camera/Reason.ts"
import { type RetryPolicy, slowDelay } from "./RetrySchedule.ts"

export interface RestartPolicy extends Pick<RetryPolicy, "lockoutDelay" | "rejectedDelay"> {
  /** The time from a relay's end to its restart. Default 5 s. */
  readonly delay: Duration.Duration
  /** Whether a camera that only flaps is restarted ever more slowly. With `false`: `delay` for ever. */
  readonly backoff: boolean
  /** The slowest that such a camera gets. Default 60 s. */
  readonly maxDelay: Duration.Duration
}

/** How a relay's life ended. */
export interface RelayEnd {
  readonly reason: Reason
  /** How long media reached the server; 0 if none ever did. */
  readonly uptime: Duration.Duration
  /** Whether the camera had to wait for the media server before this life: then its last end was not its own. */
  readonly afterOutage: boolean
}

/** A life shorter than this is a flap. */
export const minStableUptime = Duration.seconds(10)
/** From so many flaps in a row on, the restarts slow down. */
export const flapThreshold = 5
/** A life at least this long is health, and makes all flaps forgotten. */
export const resetUptime = Duration.seconds(60)

/** How many flaps count after another life has ended. Pure. */
export const countFlaps = (flaps: number, { afterOutage, uptime }: RelayEnd): number => {
  const before = afterOutage ? Math.max(0, flaps - 1) : flaps
  if (Duration.isLessThan(uptime, minStableUptime)) return before + 1
  // a life of middling length breaks a row, but is not yet health for a camera that was slowed down
  const isSlowed = before >= flapThreshold
  return isSlowed && Duration.isLessThan(uptime, resetUptime) ? before : 0
}

/**
 * Recurs for ever; its output is the delay until the restart.
 *
 * The delay stays at `delay` until {@link flapThreshold} lives in a row were shorter than
 * {@link minStableUptime}; that one and each further short life doubles it, up to `maxDelay`. A life of
 * {@link resetUptime} brings it back.
 *
 * @param current the policy, read at each step.
 */
export const make = (
  current: Effect.Effect<RestartPolicy>
): Schedule.Schedule<Duration.Duration, RelayEnd> =>
  Schedule.fromStep(
    Effect.sync(() => {
      let flaps = 0
      return (_now: number, end: RelayEnd) =>
        Effect.map(current, (policy): [Duration.Duration, Duration.Duration] => {
          flaps = countFlaps(flaps, end)
          const delay = delayAfter(policy, end, flaps)
          return [delay, delay]
        })
    })
  )

const delayAfter = (
  policy: RestartPolicy,
  { uptime, reason }: RelayEnd,
  flaps: number
): Duration.Duration => {
  switch (reason.pace) {
    case "backoff":
      return flapDelay(policy, flaps)
    case "evicted":
      return Duration.isLessThan(uptime, resetUptime) ? policy.rejectedDelay : policy.delay
    default:
      return slowDelay(reason.pace, policy)
  }
}

const flapDelay = (policy: RestartPolicy, flaps: number): Duration.Duration => {
  const doublings = policy.backoff ? Math.max(0, flaps - flapThreshold + 1) : 0
  const slowest = Duration.max(policy.maxDelay, policy.delay)
  return Duration.min(Duration.times(policy.delay, 2 ** Math.min(doublings, 30)), slowest)
}
