/**
 * Lets one child process start at a time, with a breath between two.
 *
 * Starting a process blocks the main thread for 2.5 to 10 ms, the longer the more memory the daemon
 * has. Hundreds in a row would starve everything else, above all the relays that run.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

export interface SpawnLimiter {
  /** Runs what starts a process when it is its turn. Interruptible while it waits. */
  readonly withPermit: <A, E, R>(spawn: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** A limiter with a queue of its own. */
export const make = (): SpawnLimiter => {
  const permit = Semaphore.makeUnsafe(1)
  return {
    // yieldNow lets the event loop turn once, so that sockets and timers come in between
    withPermit: (spawn) => permit.withPermit(Effect.ensuring(spawn, Effect.yieldNow))
  }
}

/** The limiter of this process. All that starts processes shares it, because the main thread is one. */
export const SpawnLimiter = Context.Reference<SpawnLimiter>("@restream/core/process/SpawnLimiter", {
  defaultValue: make
})
