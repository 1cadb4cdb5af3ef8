/**
 * Detects media that stop advancing.
 *
 * The engine marks each advance; the watch sleeps until the last advance is too long ago. The clock is monotonic,
 * so that a change of the system time ends no relay.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface StallWatch {
  /** Marks an advance. Cheap enough for every packet. */
  readonly advance: () => void
  /** Whether media ever advanced. */
  readonly hasAdvanced: () => boolean
  /** The time since the last advance, or else since the watch was made, in milliseconds. */
  readonly silentMs: () => number
  /** Done when media did not advance for too long. Can be awaited more than once. */
  readonly stalled: Effect.Effect<void>
}

export interface StallWatchOptions {
  /** The longest time without an advance. */
  readonly timeout: Duration.Input
  /** The longest time until the first advance, from the making of the watch. Default: `timeout`. */
  readonly startTimeout?: Duration.Input | undefined
}

/** A watch that starts now. The watch forks no fiber: `stalled` runs in the fiber that awaits it. */
export const make = Effect.fnUntraced(function* (
  options: StallWatchOptions
): Effect.fn.Return<StallWatch> {
  const clock = yield* Clock.Clock
  const timeoutMs = Duration.toMillis(Duration.fromInputUnsafe(options.timeout))
  const startTimeoutMs = Duration.toMillis(
    Duration.fromInputUnsafe(options.startTimeout ?? options.timeout)
  )
  let last = clock.monotonicTimeNanosUnsafe()
  let hasAdvanced = false

  const silentMs = () => Number(clock.monotonicTimeNanosUnsafe() - last) / 1e6

  return {
    advance: () => {
      last = clock.monotonicTimeNanosUnsafe()
      hasAdvanced = true
    },
    hasAdvanced: () => hasAdvanced,
    silentMs,
    stalled: awaitStall({
      silentMs,
      timeoutMs: () => (hasAdvanced ? timeoutMs : startTimeoutMs),
      // the first advance shortens the rest of the wait, so no sleep is longer than a stall
      longestSleepMs: timeoutMs
    })
  }
})

/**
 * Done when nothing advanced for too long. Checks once per timeout, not per packet: a packet only stores its time.
 */
export const awaitStall = (options: {
  readonly silentMs: () => number
  readonly timeoutMs: () => number
  readonly longestSleepMs: number
}): Effect.Effect<void> =>
  Effect.gen(function* () {
    const remainingMs = () => options.timeoutMs() - options.silentMs()
    for (;;) {
      const sleepMs = remainingMs()
      if (sleepMs > 0) {
        yield* Effect.sleep(Math.ceil(Math.min(sleepMs, options.longestSleepMs)))
        continue
      }
      // After a suspension of the process, data that arrived meanwhile is still unread; one iteration of the event
      // loop reads it. Both checks find silence only if nothing arrived before the first.
      yield* Effect.yieldNow
      if (remainingMs() <= 0) return
    }
  })
