/**
 * Notices when media stand still.
 *
 * The engine marks each advance; the watch sleeps until the last advance is too long ago. It goes by
 * the monotonic clock, so that setting the system's time stops no relay.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

export interface StallWatch {
  /** Media advanced just now. Cheap enough for every packet. */
  readonly advance: () => void
  /** Whether media advanced at all. */
  readonly hasAdvanced: () => boolean
  /** The time since the last advance, or since the watch was made, in milliseconds. */
  readonly silentMs: () => number
  /** Done when media stood still for too long. It can be waited for more than once. */
  readonly stalled: Effect.Effect<void>
}

export interface StallWatchOptions {
  /** How long media may stand still. */
  readonly timeout: Duration.Input
  /** How long the first advance may take, from the making of the watch on. Default: `timeout`. */
  readonly startTimeout?: Duration.Input | undefined
}

/** A watch that runs from now on. It holds no fiber; whoever waits for `stalled` does. */
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
      // the first advance shortens what remains, so no sleep is longer than a stall may be
      longestSleepMs: timeoutMs
    })
  }
})

/**
 * Done when it was silent for too long. It looks once per time-out and not per packet, so whoever counts
 * packets by the thousand has only to note when the last one came.
 */
export const awaitStall = (options: {
  readonly silentMs: () => number
  readonly timeoutMs: () => number
  readonly longestSleepMs: number
}): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (;;) {
      // Where the whole process stood still, what came meanwhile waits to be read, and timers are served
      // before sockets: one round of the event loop brings it in.
      yield* Effect.yieldNow
      const remainingMs = options.timeoutMs() - options.silentMs()
      if (remainingMs <= 0) return
      yield* Effect.sleep(Math.ceil(Math.min(remainingMs, options.longestSleepMs)))
    }
  })
