/**
 * Limits what a peer may send that is neither media nor the response to a request: provisional responses,
 * unexpected responses and requests, empty lines, and garbage.
 *
 * Reading such bytes costs CPU time that all other cameras need, and a deadline alone would allow them for the
 * whole time of a probe, or as long as some media arrive in between. A connection therefore has a budget, which
 * media and time refill.
 */
import type * as Clock from "effect/Clock"
import { nowMs } from "../../time/Monotonic.ts"

/** The budget, in bytes. */
const maxBytes = 1_048_576

/** The cost of a message, in bytes: parsing it takes at least as much CPU time as this many bytes of garbage. */
export const messageBytes = 4_096

/** The refill by time alone, in bytes per millisecond: one message per second. */
const bytesPerMs = messageBytes / 1_000

export class WasteBudget {
  readonly #clock: Clock.Clock
  #spent = 0
  #spentAtMs = 0

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Counts useless bytes. Returns whether the budget is exceeded. */
  spend(bytes: number): boolean {
    const now = nowMs(this.#clock)
    this.#spent = Math.max(0, this.#spent - (now - this.#spentAtMs) * bytesPerMs) + bytes
    this.#spentAtMs = now
    return this.#spent > maxBytes
  }

  /** Counts bytes of media. */
  refill(bytes: number): void {
    if (this.#spent > 0) this.#spent = Math.max(0, this.#spent - bytes)
  }
}
