/**
 * What the workers of `restream run --workers` relay together, beside one process: the same cameras of 2 Mbit/s, by
 * one node and then by several on the same machine.
 *
 * Cameras, media server and database are processes of their own; they want the same processors.
 */
import { setTimeout as sleep } from "node:timers/promises"
import * as Proc from "../kit/Proc.ts"
import { Child } from "./Child.ts"
import type { DatabaseAnswer } from "./database.ts"
import * as RelayDaemon from "./RelayDaemon.ts"
import type { SinkReport } from "./sink.ts"

export interface WorkersOptions {
  readonly cameras: number
  readonly seconds: number
  readonly workers: number
}

export interface WorkersMeasurement {
  readonly bench: "workers"
  /** 1: one process, without a parent. */
  readonly workers: number
  readonly cameras: number
  /** Those from which packets came while it was measured. */
  readonly live: number
  /** From the rows' commit to the last camera's first packet. */
  readonly allLiveMs: number | undefined
  readonly mbitPerSecond: number
  /** Packets that never came. */
  readonly gaps: number
  readonly cpuSecondsPerStreamMinute: number
  /** Of one core, of the busiest process. */
  readonly busiestCpuPercent: number
  /** Of the worst process. */
  readonly loopDelayP99Ms: number
  /** Of all processes together. */
  readonly pssMb: number
  /** The cameras of each process. */
  readonly camerasByProcess: ReadonlyArray<number>
}

const httpPort = 29_950
const settleMs = 8000
const startTimeoutMs = 120_000

export async function* workers(options: WorkersOptions): AsyncGenerator<WorkersMeasurement> {
  const source = await Child.start<{ port: number }>("source.ts")
  const database = await Child.start<{ dsn: string }>("database.ts", { args: ["--cluster"] })
  try {
    for (const count of [1, options.workers]) {
      yield await measure(count, options, source.first.port, database)
    }
  } finally {
    await Promise.all([source.child.end(), database.child.end()])
  }
}

/** The sum of a metric over its labels, at one process. */
const metric = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
    (sum, [, value]) => sum + Number(value),
    0
  )

const measure = async (
  count: number,
  { cameras, seconds }: WorkersOptions,
  sourcePort: number,
  { child: database, first: { dsn } }: { child: Child; first: { dsn: string } }
): Promise<WorkersMeasurement> => {
  const query = (text: string) => database.ask<DatabaseAnswer>({ query: text })
  await query("truncate cameras restart identity")
  const sink = await Child.start<{ port: number }>("sink.ts")
  const daemon = await RelayDaemon.start({
    args: ["run", "--cluster", "--workers", String(count)],
    dsn,
    sinkPort: sink.first.port,
    env: { RESTREAM_HTTP_PORT: String(httpPort) }
  })
  const ports = Array.from({ length: count }, (_, index) => httpPort + index)
  const scrape = () =>
    Promise.all(
      ports.map(async (port) => {
        const response = await fetch(`http://127.0.0.1:${port}/metrics`)
        return response.text()
      })
    )
  const { pid } = daemon.child
  try {
    await settled(query, count)
    await sleep(settleMs)
    const insertedAt = performance.timeOrigin + performance.now()
    await query(`insert into cameras (name, url) select 'Camera ' || n,
      'rtsp://127.0.0.1:${sourcePort}/cam' || n from generate_series(1, ${cameras}) n`)
    const deadline = performance.now() + startTimeoutMs
    let firstAt: ReadonlyArray<number> = []
    while (firstAt.length < cameras && performance.now() < deadline) {
      await sleep(250)
      firstAt = (await sink.child.ask<SinkReport>()).firstAt
    }
    await sleep(settleMs)

    const before = await scrape()
    const gapsBefore = (await sink.child.ask<SinkReport>()).gaps
    const cpuBefore = new Map(Proc.family(pid).map((stat) => [stat.pid, stat.cpuSeconds]))
    const startedAt = performance.now()
    await sleep(seconds * 1000)
    const elapsed = (performance.now() - startedAt) / 1000
    const cpu = Proc.family(pid).map((stat) => stat.cpuSeconds - (cpuBefore.get(stat.pid) ?? 0))
    const { gaps, live } = await sink.child.ask<SinkReport>()
    const after = await scrape()
    const bytes = (texts: ReadonlyArray<string>) =>
      texts.reduce((sum, text) => sum + metric(text, "restream_relayed_bytes_total"), 0)
    return {
      bench: "workers",
      workers: count,
      cameras,
      live,
      allLiveMs:
        firstAt.length < cameras ? undefined : Math.round(Math.max(...firstAt) - insertedAt),
      mbitPerSecond: round(((bytes(after) - bytes(before)) * 8) / 1e6 / elapsed, 1),
      gaps: gaps - gapsBefore,
      cpuSecondsPerStreamMinute: round(
        cpu.reduce((sum, one) => sum + one, 0) / ((cameras * elapsed) / 60),
        4
      ),
      busiestCpuPercent: round((Math.max(...cpu) / elapsed) * 100, 1),
      loopDelayP99Ms: round(
        Math.max(...after.map((text) => metric(text, "restream_event_loop_delay_p99_seconds"))) *
          1000,
        1
      ),
      pssMb: round(Proc.pssMb(pid), 1),
      camerasByProcess: after.map((text) => metric(text, "restream_cameras"))
    }
  } finally {
    await daemon.child.end()
    await sink.child.end()
  }
}

/** Done when so many nodes hold all the shards. */
const settled = async (
  query: (text: string) => Promise<DatabaseAnswer>,
  nodes: number
): Promise<void> => {
  const deadline = performance.now() + startTimeoutMs
  while (performance.now() < deadline) {
    const { rows } =
      await query(`select count(distinct a.application_name)::int as nodes, count(*)::int as shards
      from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.objsubid = 2 and l.granted`)
    if (rows?.[0]?.["nodes"] === nodes && rows[0]["shards"] === 300) return
    await sleep(100)
  }
  throw new Error(`the shards were not divided among ${nodes} nodes in time`)
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))
