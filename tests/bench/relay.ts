/**
 * What a relayed camera costs the command `restream run`, by each engine in turn.
 *
 * Cameras, media server and database are processes of their own and don't count. CPU and memory are what
 * the relays add over the same daemon without a camera; children count with it.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Programs } from "@restream/cli/demo"
import { Child } from "./Child.ts"
import * as RelayDaemon from "./RelayDaemon.ts"
import type { LoopDelay } from "./loop-delay.ts"
import * as Proc from "../kit/Proc.ts"
import { percentile } from "./percentile.ts"
import type { SinkReport } from "./sink.ts"

export interface RelayMeasurement {
  readonly bench: "relay"
  readonly engine: string
  readonly cameras: number
  /** Those from which packets came while it was measured. */
  readonly live: number
  readonly cpuSecondsPerStreamMinute: number
  readonly pssMb: number
  /** From the rows' commit to the first packet at the media server. */
  readonly firstPacketMs: { readonly p50: number; readonly max: number }
  readonly gaps: number
  readonly loopDelayMs: LoopDelay
  readonly processes: number
}

export interface RelayOptions {
  readonly cameras: number
  readonly seconds: number
  readonly engines: ReadonlyArray<string>
}

/** After the start: what was made then is collected, and counts as little as the start itself. */
const settleMs = 8000
const startTimeoutMs = 120_000

export async function* relay(options: RelayOptions): AsyncGenerator<RelayMeasurement> {
  const source = await Child.start<{ port: number }>("source.ts")
  const database = await Child.start<{ dsn: string }>("database.ts")
  try {
    for (const engine of options.engines) {
      yield await measure(engine, options, source.first.port, database)
    }
  } finally {
    await Promise.all([source.child.end(), database.child.end()])
  }
}

const measure = async (
  engine: string,
  { cameras, seconds }: RelayOptions,
  sourcePort: number,
  { child: database, first: { dsn } }: { child: Child; first: { dsn: string } }
): Promise<RelayMeasurement> => {
  await database.ask({ query: "truncate cameras restart identity" })
  const sink = await Child.start<{ port: number }>("sink.ts")
  const daemon = await RelayDaemon.start({
    args: ["run"],
    dsn,
    sinkPort: sink.first.port,
    env: {
      RESTREAM_CAMERA_ENGINE: engine,
      RESTREAM_FFMPEG_PATH: Programs.ffmpeg(),
      RESTREAM_FFMPEG_FFPROBE_PATH: Programs.ffprobe()
    }
  })
  const { pid } = daemon.child
  try {
    await sleep(settleMs)
    const idleCpuBefore = Proc.cpuSeconds(pid)
    await sleep(seconds * 1000)
    const idleCpu = Proc.cpuSeconds(pid) - idleCpuBefore
    const idlePss = Proc.pssMb(pid)

    const insertedAt = performance.timeOrigin + performance.now()
    await database.ask({
      query: `insert into cameras (name, url) select 'Camera ' || n,
        'rtsp://127.0.0.1:${sourcePort}/cam' || n from generate_series(1, ${cameras}) n`
    })
    const deadline = performance.now() + startTimeoutMs
    for (let live = 0; live < cameras && performance.now() < deadline;) {
      await sleep(250)
      live = (await sink.child.ask<SinkReport>()).firstAt.length
    }
    await sleep(settleMs)

    await daemon.child.ask<LoopDelay>()
    const gapsBefore = (await sink.child.ask<SinkReport>()).gaps
    const cpuBefore = Proc.cpuSeconds(pid)
    const startedAt = performance.now()
    await sleep(seconds * 1000)
    const cpu = Proc.cpuSeconds(pid) - cpuBefore
    const elapsed = (performance.now() - startedAt) / 1000
    const pss = Proc.pssMb(pid)
    const processes = Proc.count(pid)
    const { firstAt, gaps, live } = await sink.child.ask<SinkReport>()
    const loopDelayMs = await daemon.child.ask<LoopDelay>()
    const firstMs = firstAt.map((at) => at - insertedAt).sort((a, b) => a - b)
    const streamMinutes = (cameras * elapsed) / 60
    return {
      bench: "relay",
      engine,
      cameras,
      live,
      cpuSecondsPerStreamMinute: round((cpu - (idleCpu * elapsed) / seconds) / streamMinutes, 4),
      pssMb: round(pss - idlePss, 1),
      firstPacketMs: { p50: round(percentile(firstMs, 50), 1), max: round(firstMs.at(-1) ?? 0, 1) },
      gaps: gaps - gapsBefore,
      loopDelayMs,
      processes
    }
  } finally {
    await daemon.child.end()
    await sink.child.end()
  }
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))
