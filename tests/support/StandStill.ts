/** Stops the whole thread, as SIGSTOP or a machine that sleeps would: no timer and no socket is served. */
import { Effect } from "effect"

export const standStill = (ms: number): Effect.Effect<void> =>
  Effect.sync(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  })
