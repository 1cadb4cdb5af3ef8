/**
 * Starts one child process at a time, with an iteration of the event loop in between.
 *
 * Starting a process blocks the main thread for 2.5 to 10 ms, depending on the memory of the daemon. Hundreds in a
 * row would starve everything else, above all the running relays.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

export interface SpawnLimiter {
  /** Runs an effect that starts a process, one at a time. Interruptible while it waits. */
  readonly withPermit: <A, E, R>(spawn: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** A limiter with its own queue. */
export const make = (): SpawnLimiter => {
  const permit = Semaphore.makeUnsafe(1)
  return {
    // yieldNow runs one iteration of the event loop, for sockets and timers
    withPermit: (spawn) => permit.withPermit(Effect.ensuring(spawn, Effect.yieldNow))
  }
}

/** The limiter of this process. Everything that starts processes shares it, because there is one main thread. */
export const SpawnLimiter = Context.Reference<SpawnLimiter>("@restream/core/process/SpawnLimiter", {
  defaultValue: make
})
