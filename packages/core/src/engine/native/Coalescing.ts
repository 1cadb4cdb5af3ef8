/**
 * Lets packets accumulate in the kernel, so that many are read at once.
 *
 * Over a network the packets of a frame arrive one by one. Each would wake the process, and cost a read and an
 * iteration of the event loop. After each iteration the thread therefore pauses for some milliseconds, and then
 * reads more from every connection, like interrupt coalescing of network cards. At 50 cameras this saves a third to
 * half of the CPU time of relaying. The thread pauses only if that saves time, and never while a relay starts.
 *
 * **It blocks the thread.** An exchange with a database, a camera or a client takes several iterations, each of
 * which would be delayed by the pause. The thread therefore does not pause for some milliseconds after data other
 * than packets of relays: only the first message of an exchange is delayed. The daemon turns this on; the library
 * does not.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Connection } from "../../rtsp/client/Connection.ts"
import { flowingRelays, startingRelays } from "./RelayLoad.ts"

/** Fewer relays wake the thread too seldom for a pause to save time. */
const leastRelays = 8

/**
 * How long the thread does not pause after an event other than a packet: the next message of the exchange may
 * follow.
 */
const exchangeMs = 5

/**
 * Pauses after each iteration of the event loop, for as long as the layer lives.
 *
 * @param period the least time between two iterations. The work of an iteration counts: the busier the thread,
 * the shorter the pause. Zero turns it off; 15 ms, less than half of a picture's duration, is good.
 */
export const layer = (period: Duration.Input): Layer.Layer<never> => {
  const periodMs = Duration.toMillis(Duration.fromInputUnsafe(period))
  if (periodMs <= 0) return Layer.empty
  return Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => {
        const neverNotified = new Int32Array(new SharedArrayBuffer(4))
        let isOn = true
        let pausedAt = performance.now()
        let exchangedAt = -Infinity
        let otherEvents = 0
        const pause = () => {
          if (!isOn) return
          if (flowingRelays() >= leastRelays && startingRelays() === 0) {
            const now = performance.now()
            // one event of the loop is one read of a socket
            const others = performance.nodeTiming.uvMetricsInfo.events - Connection.relayReads
            if (others > otherEvents) exchangedAt = now
            otherEvents = others
            if (now - exchangedAt >= exchangeMs) {
              const leftMs = periodMs - (now - pausedAt)
              if (leftMs > 0) Atomics.wait(neverNotified, 0, 0, leftMs)
            }
            pausedAt = performance.now()
          }
          // unreferenced: runs after an iteration that had work, and does not keep the event loop alive
          setImmediate(pause).unref()
        }
        pause()
        return () => {
          isOn = false
        }
      }),
      (stop) => Effect.sync(stop)
    )
  )
}
