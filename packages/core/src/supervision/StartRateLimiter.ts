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
  /** Waits until a start is allowed: at once, unless another start happened just before. */
  readonly acquire: Effect.Effect<void>
}

/** The maximum number of starts without a gap after a late timer. */
const mostAtOnce = 4

/**
 * @param spacing the mean time between two starts; each gap is between 0.5 and 1.5 times the mean. A function is
 * called for each start.
 */
export const make = (spacing: Duration.Input | (() => Duration.Input)): StartRateLimiter => {
  // One caller at a time, in order. An interrupted caller leaves the queue, and no time is reserved for it.
  const queue = Semaphore.makeUnsafe(1)
  /** When the last start was due, and when it happened. */
  let lastMs = -Infinity
  let startedMs = -Infinity
  // monotonic: after the wall clock was set back, no camera would start until the clock has caught up
  const now = Effect.map(Clock.Clock, nowMs)
  return {
    acquire: Effect.flatMap(now, (requestedMs) =>
      queue.withPermit(
        Effect.gen(function* () {
          const mean = typeof spacing === "function" ? spacing() : spacing
          const meanMs = Duration.toMillis(Duration.fromInputUnsafe(mean))
          const gapMs = meanMs * (0.5 + (yield* Random.next))
          const dueMs = lastMs + gapMs
          const waitMs = dueMs - (yield* now)
          if (waitMs > 0) yield* Effect.sleep(waitMs)
          const wokenMs = yield* now
          // A busy machine fires each timer late. The next gaps compensate for that, or a ramp would take many times
          // as long. They do not compensate for time without a request, or reserved for an interrupted start.
          const isLate = requestedMs <= dueMs && (waitMs > 0 || startedMs - lastMs > 1)
          lastMs = isLate && wokenMs - dueMs < meanMs * mostAtOnce ? dueMs : wokenMs
          startedMs = wokenMs
        })
      )
    )
  }
}
