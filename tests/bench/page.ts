/** What the dashboard does to the browser: long tasks and frames, while cameras change, in a real Chromium. */
import { setTimeout as sleep } from "node:timers/promises"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { launch } from "../kit/Browser.ts"
import { Child } from "./Child.ts"
import type { LoopDelay } from "./loop-delay.ts"
import { percentile } from "./percentile.ts"

export interface PageOptions {
  readonly cameras: number
  /** Changes of state in a second. */
  readonly changes: number
  /** How long each view is measured. */
  readonly seconds: number
}

export interface PageMeasurement extends PageOptions {
  readonly bench: "page"
  /** What is looked at: the view is opened, is left alone, or is scrolled. */
  readonly view: "overview" | "list" | "list by bitrate" | "list, scrolled" | "wall" | "camera"
  /** From the request to the first row, or the first word. */
  readonly shownMs: number
  /** Tasks of the page above 50 ms: until it is shown, and then. */
  readonly longTasksMs: {
    readonly loading: ReadonlyArray<number>
    readonly shown: ReadonlyArray<number>
  }
  /**
   * Processor time of the longest tasks of the page, the longest first: until it is shown, and then. Other programs
   * of a busy machine make the tasks longer, and these not.
   */
  readonly taskCpuMs: {
    readonly loading: ReadonlyArray<number>
    readonly shown: ReadonlyArray<number>
  }
  /** Time from frame to frame. */
  readonly frameMs: { readonly p50: number; readonly p99: number; readonly max: number }
  /** How late the event loop of the daemon was meanwhile. */
  readonly daemonDelayMs: LoopDelay
  readonly domNodes: number
}

/** In the page, before its own scripts. */
const observe = `
  globalThis.measured = { tasks: [], frames: [] }
  new PerformanceObserver((list) => {
    for (const { duration, startTime } of list.getEntries()) measured.tasks.push([startTime, duration])
  }).observe({ type: "longtask", buffered: true })
  let last
  const onFrame = (at) => {
    if (last !== undefined) measured.frames.push([at, at - last])
    last = at
    requestAnimationFrame(onFrame)
  }
  requestAnimationFrame(onFrame)
`

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const views = [
  ["overview", "", ".sentence:has(svg)"],
  ["list", "cameras", "[role=rowgroup] [role=row]"],
  ["list by bitrate", "cameras?sort=bitrate", "[role=rowgroup] [role=row]"],
  ["list, scrolled", "cameras?sort=name", "[role=rowgroup] [role=row]"],
  ["camera", "cameras/7", "h1"]
] as const

interface TraceEvent {
  readonly name: string
  readonly ts: number
  readonly pid: number
  readonly tid: number
  /** Processor time in microseconds. */
  readonly tdur?: number
  readonly args: { readonly name?: string }
}

/** The tasks of the renderers' main threads, by a trace. */
const tasksOf = (trace: Buffer): ReadonlyArray<TraceEvent> => {
  const { traceEvents } = JSON.parse(trace.toString()) as {
    readonly traceEvents: ReadonlyArray<TraceEvent>
  }
  const threadOf = ({ pid, tid }: TraceEvent) => `${pid} ${tid}`
  const threads = new Set(
    traceEvents
      .filter(({ args, name }) => name === "thread_name" && args.name === "CrRendererMain")
      .map(threadOf)
  )
  return traceEvents.filter((event) => event.name === "RunTask" && threads.has(threadOf(event)))
}

/** When the page was shown, in the time of the trace. */
const markOf = (trace: Buffer): number => {
  const { traceEvents } = JSON.parse(trace.toString()) as {
    readonly traceEvents: ReadonlyArray<TraceEvent>
  }
  return traceEvents.find(({ name }) => name === "shown")?.ts ?? 0
}

const longest = (tasks: ReadonlyArray<TraceEvent>): ReadonlyArray<number> =>
  tasks
    .map(({ tdur = 0 }) => rounded(tdur / 1000))
    .sort((a, b) => b - a)
    .slice(0, 3)

const rounded = (ms: number) => Math.round(ms * 10) / 10

export async function* page(options: PageOptions): AsyncGenerator<PageMeasurement> {
  const port = await freePort()
  let onLive = () => {}
  const live = new Promise<void>((resolve) => {
    onLive = resolve
  })
  const { child } = await Child.start("page-daemon.ts", {
    args: [String(options.cameras), String(options.changes), String(port)],
    nodeArgs: ["--import", new URL("loop-delay.ts", import.meta.url).href],
    onEvent: () => onLive()
  })
  const browser = await launch()
  // the browser ends with its last page
  await browser.newPage()
  try {
    await Promise.race([
      live,
      child.exited.then((how) => Promise.reject(new Error(`the daemon ended: ${how}`)))
    ])
    for (const [view, hash, selector] of views) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
      const page = await context.newPage()
      await page.addInitScript(observe)
      await child.ask<LoopDelay>()
      await browser.startTracing(page, {
        categories: ["disabled-by-default-devtools.timeline", "blink.user_timing"]
      })
      const before = performance.now()
      await page.goto(`http://127.0.0.1:${port}/#/${hash}`)
      await page.locator(selector).first().waitFor()
      const shownMs = rounded(performance.now() - before)
      const shownAt = await page.evaluate<number>(`performance.mark("shown"), performance.now()`)
      const end = performance.now() + options.seconds * 1000
      if (view === "list, scrolled") {
        await page.locator("[role=table]").hover()
        while (performance.now() < end) {
          await page.mouse.wheel(0, 2000)
          await sleep(100)
        }
      } else await sleep(options.seconds * 1000)
      const { frames, tasks } = await page.evaluate<{
        readonly tasks: ReadonlyArray<readonly [number, number]>
        readonly frames: ReadonlyArray<readonly [number, number]>
      }>("measured")
      const trace = await browser.stopTracing()
      const events = tasksOf(trace)
      const markedAt = markOf(trace)
      const after = frames
        .filter(([at]) => at > shownAt)
        .map(([, ms]) => ms)
        .sort((a, b) => a - b)
      yield {
        bench: "page",
        ...options,
        view,
        shownMs,
        longTasksMs: {
          loading: tasks.filter(([at]) => at <= shownAt).map(([, ms]) => ms),
          shown: tasks.filter(([at]) => at > shownAt).map(([, ms]) => ms)
        },
        taskCpuMs: {
          loading: longest(events.filter(({ ts }) => ts <= markedAt)),
          shown: longest(events.filter(({ ts }) => ts > markedAt))
        },
        frameMs: {
          p50: rounded(percentile(after, 50)),
          p99: rounded(percentile(after, 99)),
          max: rounded(after.at(-1) ?? 0)
        },
        daemonDelayMs: await child.ask<LoopDelay>(),
        domNodes: await page.evaluate<number>("document.querySelectorAll('*').length")
      }
      await context.close()
    }
  } finally {
    await browser.close()
    await child.end()
  }
}
