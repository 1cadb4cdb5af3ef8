/** What went wrong with a camera in the last hour, counted by the minute. */

/** What is counted. */
export type Incident = "restart" | "stall"

/**
 * How a camera does, in one word that the status, the log and `restream check` share.
 *
 * - `good`: at most 2 restarts in the last hour.
 * - `fair`: at most 11, one in five minutes.
 * - `poor`: more, or it is out of reach, or waits longer than the restart delay because somebody has to
 *   mend something. The few seconds of a restart by themselves make no camera poor.
 */
export type Health = "good" | "fair" | "poor"

const minutes = 60
const minuteMs = 60_000

/**
 * Counts of the last hour. It takes 300 bytes a camera, however often that camera flaps.
 *
 * Its times are those of a monotonic clock, in milliseconds: an hour is an hour, whoever sets the clock on
 * the wall.
 */
export class History {
  readonly #restarts = new Uint16Array(minutes)
  readonly #stalls = new Uint16Array(minutes)
  #minute = 0
  /** All restarts since the camera was first seen. It only grows. */
  restarts = 0
  /** All stalls since the camera was first seen. It only grows. */
  stalls = 0

  /** @param now by the monotonic clock. */
  count(incident: Incident, now: number): void {
    this.#advance(now)
    const buckets = incident === "restart" ? this.#restarts : this.#stalls
    const slot = this.#minute % minutes
    buckets[slot] = Math.min((buckets[slot] ?? 0) + 1, 0xffff)
    if (incident === "restart") this.restarts++
    else this.stalls++
  }

  /** How often it happened in the last hour. @param now by the monotonic clock. */
  lastHour(incident: Incident, now: number): number {
    this.#advance(now)
    const buckets = incident === "restart" ? this.#restarts : this.#stalls
    return buckets.reduce((sum, count) => sum + count, 0)
  }

  /** Empties the minutes that have passed since the last call. */
  #advance(now: number): void {
    const minute = Math.floor(now / minuteMs)
    const passed = minute - this.#minute
    if (passed <= 0) return
    for (let i = 1; i <= Math.min(passed, minutes); i++) {
      const slot = (this.#minute + i) % minutes
      this.#restarts[slot] = 0
      this.#stalls[slot] = 0
    }
    this.#minute = minute
  }
}

/** @param isUp whether the camera is live, or on its way there. */
export const health = (restartsLastHour: number, isUp: boolean): Health => {
  if (!isUp || restartsLastHour > 11) return "poor"
  return restartsLastHour > 2 ? "fair" : "good"
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** The last hour in words, for the log: `health fair: 4 restarts, 2 stalls in the last hour`. */
export const describe = (word: Health, restarts: number, stalls: number): string => {
  const counts = stalls === 0 ? "" : `, ${counted(stalls, "stall")}`
  return `health ${word}: ${counted(restarts, "restart")}${counts} in the last hour`
}
