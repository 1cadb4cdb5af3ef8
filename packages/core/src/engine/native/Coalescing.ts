/**
 * Lets packets gather in the kernel, so that many are read at once.
 *
 * Over a network the packets of a picture arrive one by one, and each would wake the process, cost a read
 * and a round of the event loop. A network card holds its interrupts back for the same reason. So after
 * each round the thread rests for some milliseconds, and then finds more to read on every connection: at 50
 * cameras that takes a third to a half off the CPU time of relaying. It rests only where it gains by it,
 * and never while a relay is being started.
 *
 * **It blocks the thread.** All else in it comes later by up to the pause: that is nothing to a daemon, and
 * too much for a service that answers requests. So the daemon switches it on and the library does not.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { flowingRelays, startingRelays } from "./RelayLoad.ts"

/** Fewer relays wake the thread too seldom for a rest to gain anything. */
const leastRelays = 8

/**
 * Rests after each round of the event loop, for as long as the layer lives.
 *
 * @param period how far apart the rounds are at least. What the work of a round took is no rest: the busier
 * the thread, the shorter it rests, so that nothing waits much longer than this. Zero switches it off;
 * 15 ms is good: less than half of a picture's time.
 */
export const layer = (period: Duration.Input): Layer.Layer<never> => {
  const periodMs = Duration.toMillis(Duration.fromInputUnsafe(period))
  if (periodMs <= 0) return Layer.empty
  return Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => {
        const never = new Int32Array(new SharedArrayBuffer(4))
        let isOn = true
        let restedAt = performance.now()
        const rest = () => {
          if (!isOn) return
          if (flowingRelays() >= leastRelays && startingRelays() === 0) {
            const leftMs = periodMs - (performance.now() - restedAt)
            if (leftMs > 0) Atomics.wait(never, 0, 0, leftMs)
            restedAt = performance.now()
          }
          // unreferenced: it comes after a round that had something to do, and causes none itself
          setImmediate(rest).unref()
        }
        rest()
        return () => {
          isOn = false
        }
      }),
      (stop) => Effect.sync(stop)
    )
  )
}
