/**
 * How long it takes to probe all cameras, by each prober in turn.
 *
 * Each camera has an address of its own, so that "one probe per host" makes none wait for another. Those
 * that refuse or stay silent stand evenly among the good ones.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { json } from "node:stream/consumers"
import { Programs } from "@restream/cli/demo"
import { cameraAddress } from "./Addresses.ts"
import { Child } from "./Child.ts"
import { program } from "../kit/Program.ts"
import { percentile } from "./percentile.ts"
import type { ProberOrder, ProberReport } from "./prober.ts"

export interface CheckOptions {
  readonly good: number
  readonly refused: number
  readonly silent: number
  readonly probers: ReadonlyArray<"native" | "ffprobe">
  /** How often each is measured; the medians count. */
  readonly runs: number
}

export interface CheckMeasurement {
  readonly bench: "check"
  readonly prober: "native" | "ffprobe"
  readonly cameras: number
  readonly runs: number
  /** From the first probe's start to the last one's end, as the command `restream check` tells it. */
  readonly wallMs: number
  /** Of a process that has just loaded the packages and probes, and of all that it started. */
  readonly cpuMs: number
  /** How long the probes take there: as for whoever embeds the packages. */
  readonly embeddedWallMs: number
  /** Both when that process does it again, as a daemon does. */
  readonly againWallMs: number
  readonly againCpuMs: number
  /** The whole command, from its start to its end, with a database. */
  readonly commandMs: number
  /** The deadline of one probe. */
  readonly deadlineMs: number
  readonly outcomes: ProberReport["outcomes"]
}

interface Run {
  readonly first: ProberReport
  readonly again: ProberReport
  readonly command: Command
}

export async function* check(options: CheckOptions): AsyncGenerator<CheckMeasurement> {
  const source = await Child.start<{ port: number }>("source.ts", {
    args: ["--addresses", String(Math.max(1, options.good))]
  })
  const others = await Child.start<{ port: number; refusedPort: number }>("silent.ts", {
    args: [String(Math.max(1, options.silent))]
  })
  const database = await Child.start<{ dsn: string }>("database.ts")
  try {
    const urls = spread(
      urlsAt(options.good, source.first.port),
      urlsAt(options.refused, others.first.refusedPort),
      urlsAt(options.silent, others.first.port)
    )
    if (urls.length > 0) {
      await database.child.ask({
        query: `insert into cameras (url) values ${urls.map((url) => `('${url}')`).join(", ")}`
      })
    }
    const runs = options.probers.map((prober) => ({ prober, done: new Array<Run>() }))
    // in turn, so that whatever else the machine does falls on all of them
    for (let run = 0; run < options.runs; run++) {
      for (const { done, prober } of runs)
        done.push(await measure(prober, urls, database.first.dsn))
    }
    for (const { done, prober } of runs) yield summary(prober, urls.length, done)
  } finally {
    await Promise.all([source.child.end(), others.child.end(), database.child.end()])
  }
}

const urlsAt = (count: number, port: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `rtsp://${cameraAddress(index)}:${port}/live`)

/** All in one row, each kind evenly from its beginning to its end. */
const spread = (...kinds: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  kinds
    .flatMap((urls) => urls.map((url, index) => ({ url, at: (index + 0.5) / urls.length })))
    .sort((a, b) => a.at - b.at)
    .map(({ url }) => url)

const measure = async (
  prober: CheckMeasurement["prober"],
  urls: ReadonlyArray<string>,
  dsn: string
): Promise<Run> => {
  const env = {
    ...process.env,
    PG_DSN: dsn,
    RESTREAM_CAMERA_ENGINE: prober === "native" ? "native" : "ffmpeg",
    RESTREAM_FFMPEG_PATH: Programs.ffmpeg(),
    RESTREAM_FFMPEG_FFPROBE_PATH: Programs.ffprobe()
  }
  const [first, again] = await probeTwice(env, urls)
  return { first, again, command: await runCommand(env, urls.length) }
}

const probeTwice = async (
  env: NodeJS.ProcessEnv,
  urls: ReadonlyArray<string>
): Promise<readonly [first: ProberReport, again: ProberReport]> => {
  const { child } = await Child.start("prober.ts", { env })
  const ask = () => child.ask<ProberReport>({ urls } satisfies ProberOrder)
  try {
    return [await ask(), await ask()]
  } finally {
    await child.end()
  }
}

const summary = (
  prober: CheckMeasurement["prober"],
  cameras: number,
  runs: ReadonlyArray<Run>
): CheckMeasurement => {
  const medianOf = (value: (run: Run) => number) => median(runs.map(value))
  return {
    bench: "check",
    prober,
    cameras,
    runs: runs.length,
    wallMs: medianOf(({ command }) => command.probesMs),
    cpuMs: medianOf(({ first }) => first.cpuMs),
    embeddedWallMs: medianOf(({ first }) => first.wallMs),
    againWallMs: medianOf(({ again }) => again.wallMs),
    againCpuMs: medianOf(({ again }) => again.cpuMs),
    commandMs: medianOf(({ command }) => command.wholeMs),
    deadlineMs: runs[0]?.first.deadlineMs ?? 0,
    outcomes: sameOutcomes(runs.flatMap(({ again, first }) => [first, again]))
  }
}

/** The outcomes of all runs, which must not differ. */
const sameOutcomes = (reports: ReadonlyArray<ProberReport>): ProberReport["outcomes"] => {
  const [one, ...others] = reports.map(({ outcomes }) =>
    Object.fromEntries(Object.entries(outcomes).sort(([a], [b]) => a.localeCompare(b)))
  )
  const other = others.find((other) => JSON.stringify(other) !== JSON.stringify(one))
  if (other !== undefined) {
    throw new Error(`outcomes differ: ${JSON.stringify(one)} and ${JSON.stringify(other)}`)
  }
  return one ?? {}
}

const median = (values: ReadonlyArray<number>): number =>
  Number(
    percentile(
      [...values].sort((a, b) => a - b),
      50
    ).toFixed(1)
  )

interface Command {
  /** What it says of the probes. */
  readonly probesMs: number
  /** From its start to its end. */
  readonly wholeMs: number
}

const runCommand = async (env: NodeJS.ProcessEnv, cameras: number): Promise<Command> => {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [program, "check", "--json"], {
    env,
    stdio: ["ignore", "pipe", "inherit"]
  })
  const exit = once(child, "exit")
  const report = (await json(child.stdout)) as { readonly total: number; readonly tookMs: number }
  await exit
  if (report.total !== cameras) throw new Error(`restream check saw ${report.total} cameras`)
  return { probesMs: report.tookMs, wholeMs: performance.now() - startedAt }
}
