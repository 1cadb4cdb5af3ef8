/**
 * Makes life hard for a daemon, for as long as is wanted, and watches it all the time.
 *
 * Storms and calms take turns. In a storm cameras, rows, media server and database do what they do on bad
 * days; in the calm all must be live within a bounded time, and then one sample is taken that can be
 * compared with those of the calms before.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { blockOf } from "./Addresses.ts"
import { Nodes } from "./Nodes.ts"
import { plan, type FaultName } from "./Plan.ts"
import { watchProcesses } from "./ProcessWatch.ts"
import { type Sample, Samples } from "./Samples.ts"
import { type FaultEvent, Chaos } from "./Chaos.ts"
import type { Tempo } from "./Tempo.ts"
import { type Violation, Violations } from "./Violations.ts"
import { type Engine, World } from "./World.ts"

export interface SoakOptions {
  /** From the moment on when all cameras are live for the first time. */
  readonly minutes: number
  readonly cameras: number
  /** Daemons; more than one are the nodes of a cluster. */
  readonly nodes: number
  readonly engine: Engine
  readonly seed: number
  readonly tempo: Tempo
  readonly tell: (line: string) => void
  /** Takes the daemon's log. */
  readonly onLog: (text: string) => void
  readonly onFault: (event: FaultEvent) => void
  readonly onSample: (sample: Sample) => void
  /** Ends the soak early, in order. */
  readonly signal: AbortSignal
}

export interface SoakResult {
  /** How long it really was. */
  readonly minutes: number
  readonly faults: Partial<Record<FaultName, number>>
  /** How long it took after each storm until all cameras were live. */
  readonly recoveriesMs: ReadonlyArray<number>
  readonly samples: ReadonlyArray<Sample>
  readonly violations: ReadonlyArray<Violation>
  readonly violationCount: number
}

export const soak = async (options: SoakOptions): Promise<SoakResult> => {
  const { signal, tell, tempo } = options
  let startedAt = performance.now()
  const block = blockOf(process.pid)
  const violations = new Violations(tell)
  const world = await World.start({ ...options, block, violations })
  const recoveriesMs: Array<number> = []
  let samples: Samples | undefined
  let chaos: Chaos | undefined
  try {
    const nodes = await Nodes.start({ ...options, count: options.nodes, world, violations })
    const daemon = nodes.first
    chaos = new Chaos(world, nodes, options.onFault)
    samples = new Samples({
      daemon,
      live: () => world.live.size,
      countsFibers: options.nodes === 1,
      violations
    })
    const processes = watchProcesses({
      nodes,
      mayOverlap: () => world.mayOverlap,
      block,
      violations
    })
    const sampling = setInterval(() => void samples?.take(false), tempo.sampleMs)
    const died = new AbortController()
    void daemon.exited.then(() => died.abort())
    const over = AbortSignal.any([signal, died.signal])
    let reported = 0
    try {
      await calm(world, tempo, violations, over)
      startedAt = performance.now()
      for (let storm = 0; !over.aborted && isTimeLeft(startedAt, options); storm++) {
        await chaos.rage(plan({ ...options, ...tempo }, storm), tempo.stormMs, over)
        if (over.aborted) break
        const recoveryMs = await calm(world, tempo, violations, over)
        if (recoveryMs !== undefined) recoveriesMs.push(recoveryMs)
        const sample = await samples.take(true)
        for (; reported < samples.list.length; reported++) {
          options.onSample(samples.list[reported]!)
        }
        if (sample !== undefined) tell(progress(sample, storm, recoveryMs))
      }
    } finally {
      clearInterval(sampling)
      await nodes.end()
      await sleep(500)
      const left = processes.look()
      processes.stop()
      if (left > 0) violations.add("orphan", `${left} processes are left after the end`)
    }
  } finally {
    await world.end()
  }
  return {
    minutes: (performance.now() - startedAt) / 60_000,
    faults: chaos?.counts ?? {},
    recoveriesMs,
    samples: samples.list,
    violations: violations.list,
    violationCount: violations.count
  }
}

const isTimeLeft = (startedAt: number, { minutes }: SoakOptions) =>
  performance.now() - startedAt < minutes * 60_000

/** Waits until exactly the wanted cameras are live, and stay so. Gives how long that took. */
const calm = async (
  world: World,
  { boundMs, holdMs }: Tempo,
  violations: Violations,
  signal: AbortSignal
): Promise<number | undefined> => {
  const startedAt = performance.now()
  let since: number | undefined
  let seenAt = startedAt
  while (!signal.aborted) {
    const { live, liveAt, wanted } = world
    if (liveAt > seenAt) {
      seenAt = liveAt
      const isAsWanted = live.size === wanted.size && [...live].every((path) => wanted.has(path))
      since = isAsWanted ? (since ?? liveAt) : undefined
    }
    const now = performance.now()
    if (since !== undefined && now - since >= holdMs) return since - startedAt
    if (now - startedAt > boundMs + holdMs) {
      const missing = [...wanted].filter((path) => !live.has(path))
      const extra = [...live].filter((path) => !wanted.has(path))
      violations.add(
        "not as wanted",
        `after ${Math.round((now - startedAt) / 1000)} s of calm: missing ${list(missing)}; too many: ${list(extra)}`
      )
      return undefined
    }
    await sleep(50)
  }
  return undefined
}

const list = (paths: ReadonlyArray<string>) => (paths.length === 0 ? "none" : paths.join(", "))

const progress = (sample: Sample, storm: number, recoveryMs: number | undefined) =>
  `${(sample.atMs / 60_000).toFixed(1)} min, storm ${storm + 1}: ${
    recoveryMs === undefined
      ? "not all live"
      : `all ${sample.live} live after ${(recoveryMs / 1000).toFixed(1)} s`
  }; RSS ${sample.rssAfterGcMb.toFixed(1)} MB, heap ${sample.heapMb.toFixed(1)} MB, ${sample.handles} handles, ${sample.openFiles} files, ${sample.fibers === undefined ? "" : `${sample.fibers} fibers, `}${sample.spawned} processes started`
