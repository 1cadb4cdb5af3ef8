/**
 * What supervision itself does and costs: how soon a new row is acted on, and what cameras cost of which
 * nothing comes. The engine does nothing; database, trigger, table and tree are real.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { asTheDaemon, Child } from "./Child.ts"
import type { IdleReport, ProbeEvent } from "./idle-daemon.ts"
import { percentile } from "./percentile.ts"
import * as Proc from "../kit/Proc.ts"

export interface SupervisorOptions {
  /** Cameras that are there while rows are inserted. */
  readonly cameras: number
  readonly inserts: number
  /** Idle cameras whose cost is measured. */
  readonly idle: number
  readonly seconds: number
}

export type SupervisorMeasurement =
  | {
      readonly bench: "supervisor"
      readonly measure: "insertToProbe"
      readonly cameras: number
      readonly inserts: number
      /** From just before the INSERT is sent to the start of that camera's probe. */
      readonly ms: {
        readonly p50: number
        readonly p99: number
        readonly min: number
        readonly max: number
      }
    }
  | {
      readonly bench: "supervisor"
      readonly measure: "idle"
      readonly cameras: number
      readonly live: number
      readonly seconds: number
      /** What the cameras add to the daemon without them. */
      readonly rssMb: number
      readonly pssMb: number
      /** The same after the garbage was collected. */
      readonly rssAfterGcMb: number
      readonly pssAfterGcMb: number
      /** In percent of one core: over the whole time, with what V8 collects now and then. */
      readonly cpuPercent: number
      /** The same over the median {@link intervalMs}. */
      readonly cpuPercentMedian: number
      readonly daemonWithoutCameras: Cost
      readonly daemon: Cost
    }

interface Cost {
  readonly rssMb: number
  readonly pssMb: number
  readonly rssAfterGcMb: number
  readonly pssAfterGcMb: number
  readonly cpuPercent: number
  readonly cpuPercentMedian: number
}

/** After the start of a daemon or of its cameras: what that leaves behind is none of their idling. */
const settleMs = 12_000
const timeoutMs = 60_000
/** The daemon's poll interval: each such time has one poll. */
const intervalMs = 10_000

export async function* supervisor(
  options: SupervisorOptions
): AsyncGenerator<SupervisorMeasurement> {
  const sink = await Child.start<{ port: number }>("sink.ts")
  const database = await Child.start<{ dsn: string }>("database.ts")
  const world = { database: database.child, dsn: database.first.dsn, sinkPort: sink.first.port }
  try {
    yield await insertToProbe(options, world)
    yield await idle(options, world)
  } finally {
    await Promise.all([sink.child.end(), database.child.end()])
  }
}

interface World {
  readonly database: Child
  readonly dsn: string
  readonly sinkPort: number
}

const startDaemon = ({ dsn, sinkPort }: World, onProbe?: (event: ProbeEvent) => void) =>
  Child.start("idle-daemon.ts", {
    nodeArgs: ["--expose-gc", ...asTheDaemon],
    env: {
      PG_DSN: dsn,
      MEDIA_SERVER_HOST: "127.0.0.1",
      MEDIA_SERVER_PORT: String(sinkPort)
    },
    ...(onProbe === undefined ? {} : { onEvent: onProbe })
  })

const insertCameras = (count: number): string =>
  `insert into cameras (name, url) select 'Camera ' || n, 'rtsp://10.0.0.1/cam' || n
    from generate_series(1, ${count}) n`

const awaitLive = async (daemon: Child, count: number): Promise<number> => {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const { live } = await daemon.ask<IdleReport>()
    if (live === count || performance.now() > deadline) return live
    await sleep(50)
  }
}

const insertToProbe = async (
  { cameras, inserts }: SupervisorOptions,
  world: World
): Promise<SupervisorMeasurement> => {
  const { database } = world
  await database.ask({ query: "truncate cameras restart identity" })
  await database.ask({ query: insertCameras(cameras) })
  let onProbe = (_event: ProbeEvent) => {}
  const { child } = await startDaemon(world, (event) => onProbe(event))
  try {
    await awaitLive(child, cameras)
    const ms: Array<number> = []
    for (let index = 0; index < inserts; index++) {
      const path = `new/${index}`
      const probed = new Promise<number>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${path}: no probe`)), timeoutMs)
        onProbe = (event) => {
          if (event.path !== path) return
          clearTimeout(late)
          resolve(event.at)
        }
      })
      const insertedAt = performance.timeOrigin + performance.now()
      await database.ask({
        query: `insert into cameras (name, url, path) values ('New', 'rtsp://10.0.0.2/', '${path}')`
      })
      ms.push((await probed) - insertedAt)
      await database.ask({ query: `delete from cameras where path = '${path}'` })
      await awaitLive(child, cameras)
      // at another moment of the poll each time, and not in the shadow of the deletion
      await sleep(100 + ((index * 37) % 100))
    }
    ms.sort((a, b) => a - b)
    return {
      bench: "supervisor",
      measure: "insertToProbe",
      cameras,
      inserts,
      ms: {
        p50: round(percentile(ms, 50), 1),
        p99: round(percentile(ms, 99), 1),
        min: round(ms[0] ?? 0, 1),
        max: round(ms.at(-1) ?? 0, 1)
      }
    }
  } finally {
    await child.end()
  }
}

const idle = async (
  { idle: cameras, seconds }: SupervisorOptions,
  world: World
): Promise<SupervisorMeasurement> => {
  await world.database.ask({ query: "truncate cameras restart identity" })
  const without = await costOf(world, 0, seconds)
  await world.database.ask({ query: insertCameras(cameras) })
  const daemon = await costOf(world, cameras, seconds)
  const added = (of: (cost: Cost) => number, digits = 1) =>
    round(of(daemon.cost) - of(without.cost), digits)
  return {
    bench: "supervisor",
    measure: "idle",
    cameras,
    live: daemon.live,
    seconds,
    rssMb: added(({ rssMb }) => rssMb),
    pssMb: added(({ pssMb }) => pssMb),
    rssAfterGcMb: added(({ rssAfterGcMb }) => rssAfterGcMb),
    pssAfterGcMb: added(({ pssAfterGcMb }) => pssAfterGcMb),
    cpuPercent: added(({ cpuPercent }) => cpuPercent, 3),
    cpuPercentMedian: added(({ cpuPercentMedian }) => cpuPercentMedian, 3),
    daemonWithoutCameras: without.cost,
    daemon: daemon.cost
  }
}

/** What a daemon costs that has so many cameras and nothing to do. */
const costOf = async (
  world: World,
  cameras: number,
  seconds: number
): Promise<{ readonly live: number; readonly cost: Cost }> => {
  const { child } = await startDaemon(world)
  try {
    const live = await awaitLive(child, cameras)
    await sleep(settleMs)
    const percents: Array<number> = []
    let { cpuMs } = await child.ask<IdleReport>()
    const cpuBefore = cpuMs
    const startedAt = performance.now()
    for (let left = seconds * 1000; left > 0; left -= intervalMs) {
      const intervalAt = performance.now()
      await sleep(Math.min(left, intervalMs))
      const report = await child.ask<IdleReport>()
      percents.push(((report.cpuMs - cpuMs) / (performance.now() - intervalAt)) * 100)
      cpuMs = report.cpuMs
    }
    const cpuPercent = ((cpuMs - cpuBefore) / (performance.now() - startedAt)) * 100
    percents.sort((a, b) => a - b)
    const [rssMb, pssMb] = [Proc.rssMb(child.pid), Proc.pssMb(child.pid)]
    await child.ask<IdleReport>({ collect: true })
    return {
      live,
      cost: {
        rssMb: round(rssMb, 1),
        pssMb: round(pssMb, 1),
        rssAfterGcMb: round(Proc.rssMb(child.pid), 1),
        pssAfterGcMb: round(Proc.pssMb(child.pid), 1),
        cpuPercent: round(cpuPercent, 3),
        cpuPercentMedian: round(percentile(percents, 50), 3)
      }
    }
  } finally {
    await child.end()
  }
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))
