/**
 * Limits what a peer may send that is neither media nor the response to a request: provisional responses,
 * responses and requests that nobody waits for, empty lines, and garbage.
 *
 * Reading it costs CPU time that all other cameras need, and a deadline alone would let it go on for the whole
 * time of a probe, or for as long as some media arrive in between. So a connection has a budget, which media
 * and time refill.
 */
import type * as Clock from "effect/Clock"
import { nowMs } from "../../time/Monotonic.ts"

/** What may come at once, in bytes. */
const maxBytes = 1_048_576

/** What a message counts as, in bytes: it costs as much CPU time as so many bytes of garbage, or more. */
export const messageBytes = 4_096

/** What time alone refills, in bytes per millisecond: one message a second. */
const bytesPerMs = messageBytes / 1_000

export class WasteBudget {
  readonly #clock: Clock.Clock
  #spent = 0
  #spentAtMs = 0

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Counts bytes that were of no use. Returns whether the budget is exceeded. */
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
