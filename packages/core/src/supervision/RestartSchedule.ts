/** The delay between the end of a relay and its restart. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Reason } from "../camera/Reason.ts"
import { type Delays, type RetryPolicy, slowDelay } from "./RetrySchedule.ts"

export interface RestartPolicy extends Pick<RetryPolicy, "lockoutDelay" | "rejectedDelay"> {
  /** The delay from the end of a relay to its restart. Default 5 s. */
  readonly delay: Duration.Duration
  /** Whether the delay doubles while a camera flaps. With `false`, it is always `delay`. */
  readonly backoff: boolean
  /** The longest doubled delay. Default 60 s. */
  readonly maxDelay: Duration.Duration
}

/** How a relay ended. */
export interface RelayEnd {
  readonly reason: Reason
  /** How long media reached the media server; 0 if no media did. */
  readonly uptime: Duration.Duration
  /** Whether the camera waited for the media server before this relay, so that the outage caused the previous end. */
  readonly afterOutage: boolean
}

/** A relay with a shorter uptime is a flap. */
export const minStableUptime = Duration.seconds(10)
/** After this many consecutive flaps the delay doubles. */
export const flapThreshold = 5
/** A relay with this uptime is stable: it resets the count of flaps and of replacements. */
export const resetUptime = Duration.seconds(60)

/** The number of flaps after another relay has ended. Pure. */
const countFlaps = (flaps: number, { afterOutage, uptime }: RelayEnd): number => {
  const before = afterOutage ? Math.max(0, flaps - 1) : flaps
  if (Duration.isLessThan(uptime, minStableUptime)) return before + 1
  // an uptime between the two limits ends a series of flaps, but does not reset a doubled delay
  const isSlowed = before >= flapThreshold
  return isSlowed && Duration.isLessThan(uptime, resetUptime) ? before : 0
}

/**
 * The delay from each end of a relay to its restart.
 *
 * - Every end: `delay`.
 * - From {@link flapThreshold} consecutive relays with less than {@link minStableUptime} on, each such relay doubles
 *   the delay, up to `maxDelay`. An uptime of {@link resetUptime} resets the delay.
 * - Replaced by another publisher: `delay` the first time. Replaced again, without {@link resetUptime} in
 *   between: `rejectedDelay`, so that two publishers of one path do not replace each other for ever.
 * - Rejected by the media server: `rejectedDelay`. Refused credentials: `lockoutDelay`.
 *
 * @param current the policy, read at each end.
 */
export const make = (current: Effect.Effect<RestartPolicy>): Delays<RelayEnd> =>
  Effect.sync(() => {
    let flaps = 0
    let replacements = 0
    return (end) =>
      Effect.map(current, (policy) => {
        flaps = countFlaps(flaps, end)
        replacements = countReplacements(replacements, end)
        return delayAfter(policy, end, flaps, replacements)
      })
  })

/** How often another publisher replaced the relay since the camera was last stable. Pure. */
const countReplacements = (replacements: number, { reason, uptime }: RelayEnd): number => {
  const before = Duration.isLessThan(uptime, resetUptime) ? replacements : 0
  return reason.pace === "evicted" ? before + 1 : before
}

const delayAfter = (
  policy: RestartPolicy,
  { reason }: RelayEnd,
  flaps: number,
  replacements: number
): Duration.Duration => {
  switch (reason.pace) {
    case "backoff":
      return flapDelay(policy, flaps)
    case "evicted":
      return replacements > 1 ? policy.rejectedDelay : policy.delay
    default:
      return slowDelay(reason.pace, policy)
  }
}

const flapDelay = (policy: RestartPolicy, flaps: number): Duration.Duration => {
  const doublings = policy.backoff ? Math.max(0, flaps - flapThreshold + 1) : 0
  const slowest = Duration.max(policy.maxDelay, policy.delay)
  return Duration.min(Duration.times(policy.delay, 2 ** Math.min(doublings, 30)), slowest)
}
