/**
 * Spreads starts over time, so that a thousand cameras after a power cut come up as a ramp and not as a
 * wall: neither this process nor the media server nor the network gets all of them at once.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Semaphore from "effect/Semaphore"
import { nowMs } from "../time/Monotonic.ts"

export interface StartRateLimiter {
  /** Waits for the next free moment. At once where nobody started just before. */
  readonly acquire: Effect.Effect<void>
}

/** After a timer that came late, so many starts may follow each other without a gap. */
const mostAtOnce = 4

/**
 * @param spacing the mean time between two starts; each gap is between half and one and a half of it. A
 * function is asked anew for each start.
 */
export const make = (spacing: Duration.Input | (() => Duration.Input)): StartRateLimiter => {
  // One at a time, in order. Who is interrupted leaves the queue, and no time is kept for it.
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
          // A busy machine wakes us late each time: made up for, or a ramp would take many times as long. A
          // time in which nobody asked, or somebody who left was to start, is not.
          const isLate = askedMs <= dueMs && (waitMs > 0 || startedMs - lastMs > 1)
          lastMs = isLate && woken - dueMs < meanMs * mostAtOnce ? dueMs : woken
          startedMs = woken
        })
      )
    )
  }
}
