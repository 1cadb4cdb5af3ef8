/** What a soak found, as a table and as data. */
import { cpus } from "node:os"
import { percentile } from "../bench/percentile.ts"
import type { Sample } from "./Samples.ts"
import type { SoakOptions, SoakResult } from "./Soak.ts"
import { type Trend, trend } from "./Trend.ts"

/** What is measured, in the order of the table. */
const measures = [
  ["RSS, MB", ({ rssAfterGcMb }) => rssAfterGcMb],
  ["RSS before GC, MB", ({ rssMb }) => rssMb],
  ["heap used, MB", ({ heapMb }) => heapMb],
  ["external, MB", ({ externalMb }) => externalMb],
  ["handles", ({ handles }) => handles],
  ["open files", ({ openFiles }) => openFiles],
  ["threads", ({ threads }) => threads],
  ["fibers", ({ fibers }) => fibers]
] as const satisfies ReadonlyArray<readonly [string, (sample: Sample) => number | undefined]>

/** The part of a soak that does not count: the daemon fills its caches and its code is compiled. */
export const warmUp = 1 / 6

export interface MeasureReport {
  readonly measure: string
  readonly first: number
  readonly last: number
  readonly min: number
  readonly max: number
  /** Over the calm samples after the warm-up: all cameras are live in each of them. */
  readonly calm: Trend
  /** Over all samples after the warm-up, in storms and calms; not for what only calm samples have. */
  readonly all: Trend | undefined
}

export interface SoakReport {
  readonly soak: Pick<SoakOptions, "cameras" | "engine" | "nodes" | "seed"> & {
    readonly minutes: number
    readonly node: string
    readonly cpus: number
  }
  readonly storms: number
  readonly faults: SoakResult["faults"]
  readonly faultCount: number
  readonly recoveryMs: { readonly p50: number; readonly max: number }
  readonly samples: { readonly calm: number; readonly all: number }
  readonly childrenPerMinute: number
  readonly measures: ReadonlyArray<MeasureReport>
  readonly violationCount: number
  readonly violations: SoakResult["violations"]
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

export const report = (options: SoakOptions, result: SoakResult): SoakReport => {
  const { samples } = result
  const endMs = samples.at(-1)?.atMs ?? 0
  const all = samples.filter(({ atMs }) => atMs >= endMs * warmUp)
  const calm = all.filter(({ isCalm }) => isCalm)
  const sorted = [...result.recoveriesMs].sort((a, b) => a - b)
  const spawned = (samples.at(-1)?.spawned ?? 0) - (samples[0]?.spawned ?? 0)
  const spanMs = endMs - (samples[0]?.atMs ?? 0)
  return {
    soak: {
      minutes: round(result.minutes, 1),
      cameras: options.cameras,
      engine: options.engine,
      nodes: options.nodes,
      seed: options.seed,
      node: process.version,
      cpus: cpus().length
    },
    storms: result.recoveriesMs.length,
    faults: result.faults,
    faultCount: Object.values(result.faults).reduce((sum, count) => sum + count, 0),
    recoveryMs: { p50: Math.round(percentile(sorted, 50)), max: Math.round(sorted.at(-1) ?? 0) },
    samples: { calm: calm.length, all: all.length },
    childrenPerMinute: spanMs === 0 ? 0 : round((spawned * 60_000) / spanMs, 1),
    measures: measures.flatMap(([measure, of]) => {
      const pointsIn = (some: ReadonlyArray<Sample>) =>
        some.flatMap((sample) => {
          const value = of(sample)
          return value === undefined ? [] : [[sample.atMs, value] as const]
        })
      const points = pointsIn(calm)
      const values = points.map(([, value]) => value)
      const [first] = values
      const last = values.at(-1)
      // a cluster counts no fibers
      if (first === undefined || last === undefined) return []
      const pointsOfAll = pointsIn(all)
      return [
        {
          measure,
          first,
          last,
          min: Math.min(...values),
          max: Math.max(...values),
          calm: trend(points),
          all: pointsOfAll.length === all.length ? trend(pointsOfAll) : undefined
        }
      ]
    }),
    violationCount: result.violationCount,
    violations: result.violations
  }
}

/** The report for people. */
export const describe = (report: SoakReport): string => {
  const { soak } = report
  const slope = ({ isFlat, perHour, standardError }: Trend) =>
    `${perHour.toFixed(2)} ± ${(2 * standardError).toFixed(2)}${isFlat ? "" : " *"}`
  const rows = [
    ["in calms", "first", "last", "min", "max", "per hour", "in all samples, per hour"],
    ...report.measures.map(({ all, calm, first, last, max, measure, min }) => [
      measure,
      ...[first, last, min, max].map((value) => String(round(value, 1))),
      slope(calm),
      all === undefined ? "" : slope(all)
    ])
  ]
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  )
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
      )
      .join("  ")
  )
  return [
    `${soak.minutes} minutes, ${soak.cameras} cameras, ${soak.nodes} daemon${soak.nodes === 1 ? "" : "s"}, engine ${soak.engine}, seed ${soak.seed}; node ${soak.node}, ${soak.cpus} CPUs`,
    `${report.faultCount} faults in ${report.storms} storms: ${Object.entries(report.faults)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([fault, count]) => `${fault} ${count}`)
      .join(", ")}`,
    `all live again after: median ${(report.recoveryMs.p50 / 1000).toFixed(1)} s, longest ${(report.recoveryMs.max / 1000).toFixed(1)} s`,
    `processes started: ${report.childrenPerMinute} a minute`,
    "",
    ...lines,
    `${report.samples.calm} calm samples, ${report.samples.all} in all, after a warm-up of ${round(soak.minutes * warmUp, 1)} minutes; ± 2 standard errors; * is not 0 by them`,
    "",
    `violations: ${report.violationCount}`,
    ...report.violations.map(
      ({ atMs, detail, rule }) => `  at ${(atMs / 60_000).toFixed(1)} min: ${rule}: ${detail}`
    )
  ].join("\n")
}
