/**
 * Loaded into the daemon of a benchmark before its own code, by `node --import`: tells how late its event
 * loop is when it is asked to. The product knows nothing of it.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"

/** How late the event loop was since the last report, in milliseconds. */
export interface LoopDelay {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()

const milliseconds = (nanoseconds: number) => Math.round(nanoseconds / 1e4) / 100

process.on("message", () => {
  process.send?.({
    p50: milliseconds(delay.percentile(50)),
    p99: milliseconds(delay.percentile(99)),
    max: milliseconds(delay.max)
  } satisfies LoopDelay)
  delay.reset()
})
// the benchmark is gone: so is its daemon
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"))
process.send?.({ ready: true })
