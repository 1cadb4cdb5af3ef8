/** Restarts and stalls of a camera in the last hour, counted per minute. */
import * as Schema from "effect/Schema"

/** What is counted. */
export type Counted = "restart" | "stall"

/**
 * A camera's health in one word, the same in the status, the log and `restream check`.
 *
 * - `good`: at most 2 restarts in the last hour.
 * - `fair`: at most 11, which is one in five minutes.
 * - `poor`: more; or the camera is unreachable; or an operator has to act before the camera can be restarted. A
 *   restart after a few seconds alone does not count as poor.
 */
export const Health = Schema.Literals(["good", "fair", "poor"])
export type Health = typeof Health.Type

const minutes = 60
const minuteMs = 60_000

/**
 * Counts of the last hour. Takes 300 bytes per camera, for any number of restarts.
 *
 * All times are milliseconds of a monotonic clock, so that setting the wall clock has no effect.
 */
export class History {
  readonly #restarts = new Uint16Array(minutes)
  readonly #stalls = new Uint16Array(minutes)
  /** The sum of each. */
  readonly #lastHour = { restart: 0, stall: 0 }
  #minute = 0
  /** All restarts since the camera was first seen. It only grows. */
  restarts = 0
  /** All stalls since the camera was first seen. It only grows. */
  stalls = 0

  /** @param now by the monotonic clock. */
  count(what: Counted, now: number): void {
    this.#advance(now)
    const buckets = what === "restart" ? this.#restarts : this.#stalls
    const slot = this.#minute % minutes
    const count = buckets[slot] ?? 0
    if (count < 0xffff) {
      buckets[slot] = count + 1
      this.#lastHour[what]++
    }
    if (what === "restart") this.restarts++
    else this.stalls++
  }

  /** The count of the last hour. @param now by the monotonic clock. */
  lastHour(what: Counted, now: number): number {
    this.#advance(now)
    return this.#lastHour[what]
  }

  /** Empties the minutes that have passed since the last call. */
  #advance(now: number): void {
    const minute = Math.floor(now / minuteMs)
    const passed = minute - this.#minute
    if (passed <= 0) return
    for (let i = 1; i <= Math.min(passed, minutes); i++) {
      const slot = (this.#minute + i) % minutes
      this.#lastHour.restart -= this.#restarts[slot] ?? 0
      this.#lastHour.stall -= this.#stalls[slot] ?? 0
      this.#restarts[slot] = 0
      this.#stalls[slot] = 0
    }
    this.#minute = minute
  }
}

/** @param isUp whether the camera is live or about to be live. */
export const health = (restartsLastHour: number, isUp: boolean): Health => {
  if (!isUp || restartsLastHour > 11) return "poor"
  return restartsLastHour > 2 ? "fair" : "good"
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/** The last hour as text, for the log: `health fair: 4 restarts, 2 stalls in the last hour`. */
export const describe = (word: Health, restarts: number, stalls: number): string => {
  const counts = stalls === 0 ? "" : `, ${counted(stalls, "stall")}`
  return `health ${word}: ${counted(restarts, "restart")}${counts} in the last hour`
}
