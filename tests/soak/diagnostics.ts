/**
 * Loaded into the daemon before its own code, by `node --import`: tells of the process from within when it
 * is asked to. The product knows nothing of it.
 */
import { subscribe } from "node:diagnostics_channel"
import { queryObjects, writeHeapSnapshot } from "node:v8"

export interface Diagnostics {
  /** Before and after the garbage was collected, in megabytes. */
  readonly rssMb: number
  readonly rssAfterGcMb: number
  readonly heapMb: number
  /** Buffers and what else lies outside of the heap. */
  readonly externalMb: number
  /** Sockets, timers and pipes that the event loop knows. */
  readonly handles: number
  /** Fibers that something still holds, where they were asked for: counting them stops the process. */
  readonly fibers: number | undefined
  /** Processes that were started since the beginning. */
  readonly spawned: number
}

let spawned = 0
subscribe("child_process", () => {
  spawned++
})

/**
 * The class of the daemon's fibers. The daemon has a copy of Effect to itself, so its first fiber tells: the
 * one that runs stands in this global.
 */
let Fiber: (new () => object) | undefined
const currentFiber = "~effect/Fiber/currentFiber"
Object.defineProperty(globalThis, currentFiber, {
  configurable: true,
  get: () => undefined,
  set: (fiber: object | undefined) => {
    Fiber = fiber?.constructor as typeof Fiber
    Object.defineProperty(globalThis, currentFiber, {
      configurable: true,
      writable: true,
      value: fiber
    })
  }
})

const fiberCount = () =>
  Fiber === undefined ? 0 : (queryObjects(Fiber, { format: "count" }) as number)

const megabytes = (bytes: number) => Math.round((bytes / 1024 / 1024) * 1000) / 1000

export interface DiagnosticsQuestion {
  /** Only whether the process answers at all. */
  readonly ping?: boolean
  readonly fibers?: boolean
  /** Writes the heap to a file of this name, for whoever looks for a leak by hand. */
  readonly snapshot?: string
}

process.on("message", ({ fibers, ping, snapshot }: DiagnosticsQuestion) => {
  if (ping === true) {
    process.send?.({})
    return
  }
  const rssMb = megabytes(process.memoryUsage.rss())
  globalThis.gc?.()
  const { external, heapUsed, rss } = process.memoryUsage()
  if (snapshot !== undefined) writeHeapSnapshot(snapshot)
  process.send?.({
    rssMb,
    rssAfterGcMb: megabytes(rss),
    heapMb: megabytes(heapUsed),
    externalMb: megabytes(external),
    handles: process.getActiveResourcesInfo().length,
    fibers: fibers === true ? fiberCount() : undefined,
    spawned
  } satisfies Diagnostics)
})
// the soak is gone: so is its daemon
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"))
process.send?.({ ready: true })
