/** Suspends the process as far as the process can tell: no timer fires and no socket is read. */
import { Effect } from "effect"

export const blockEventLoop = (ms: number): Effect.Effect<void> =>
  Effect.sync(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  })
