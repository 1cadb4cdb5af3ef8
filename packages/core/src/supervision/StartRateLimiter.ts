/**
 * Spreads starts over time: after a power cut, a thousand cameras must not load this process, the media server and the
 * network at once.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Semaphore from "effect/Semaphore"
import { nowMs } from "../time/Monotonic.ts"

export interface StartRateLimiter {
  /** Waits until a start is allowed: at once, unless another one started just before. */
  readonly acquire: Effect.Effect<void>
}

/** The number of starts that may follow each other without a gap after a late timer. */
const mostAtOnce = 4

/**
 * @param spacing the mean time between two starts; each gap is between half and one and a half of it. A function is
 * called for each start.
 */
export const make = (spacing: Duration.Input | (() => Duration.Input)): StartRateLimiter => {
  // One at a time, in order. An interrupted caller leaves the queue, and no time is reserved for it.
  const queue = Semaphore.makeUnsafe(1)
  /** When the last start was due, and when it was. */
  let lastMs = -Infinity
  let startedMs = -Infinity
  // monotonic: if the wall clock were set back, nothing would start until it has caught up
  const now = Effect.map(Clock.Clock, nowMs)
  return {
    acquire: Effect.flatMap(now, (askedMs) =>
      queue.withPermit(
        Effect.gen(function* () {
          const mean = typeof spacing === "function" ? spacing() : spacing
          const meanMs = Duration.toMillis(Duration.fromInputUnsafe(mean))
          const gapMs = meanMs * (0.5 + (yield* Random.next))
          const dueMs = lastMs + gapMs
          const waitMs = dueMs - (yield* now)
          if (waitMs > 0) yield* Effect.sleep(waitMs)
          const woken = yield* now
          // A busy machine fires each timer late. That is made up for, or a ramp would take many times as long; time
          // in which no start was requested, or that was reserved for an interrupted one, is not.
          const isLate = askedMs <= dueMs && (waitMs > 0 || startedMs - lastMs > 1)
          lastMs = isLate && woken - dueMs < meanMs * mostAtOnce ? dueMs : woken
          startedMs = woken
        })
      )
    )
  }
}
