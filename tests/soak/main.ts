/** `npm run soak -- --minutes M --cameras N`: hours of bad days for the daemon, see `Soak.ts`. */
import { createWriteStream, mkdirSync } from "node:fs"
import { join } from "node:path"
import { number, oneOf, readFlags, runScript, text, whole } from "../bench/Flags.ts"
import { soak, type SoakOptions } from "./Soak.ts"
import { describe, report } from "./SoakReport.ts"
import { tempos } from "./Tempo.ts"

const usage = `npm run soak -- [flags]

Runs the built daemon against cameras, a media server and a PostgreSQL that fail all the
time, and watches that it does what it should and holds no more than it did. Linux only.

  --minutes M     how long; default 60
  --cameras N     how many cameras, 1 to 1000; default 40
  --nodes N       daemons, as the nodes of a cluster if more than one; default 1
  --engine E      auto (mixed: every seventh insists on ffmpeg), native or ffmpeg; default auto
  --seed S        draws another sequence of troubles; default 1
  --tempo T       real (the daemon's own waits), or fast (a tenth of them); default real
  --folder F      writes the daemon's log, every fault and every sample there
  --json          prints one JSON document instead of the table
  --help

Exit status: 0 nothing happened that must not, 1 something did, 2 wrong flags.`

await runScript("soak", async () => {
  const flags = readFlags(process.argv.slice(2), {
    minutes: number(0.01, 100_000),
    cameras: whole(1, 1000),
    nodes: whole(1, 10),
    engine: oneOf("auto", "native", "ffmpeg"),
    seed: whole(0, 2 ** 31),
    tempo: oneOf("real", "fast"),
    folder: text
  })
  if (flags.help) {
    console.log(usage)
    return 0
  }
  const stop = new AbortController()
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort())
  const { folder } = flags
  const file = (name: string) => {
    if (folder === undefined) return undefined
    mkdirSync(folder, { recursive: true })
    return createWriteStream(join(folder, name))
  }
  const log = file("daemon.log")
  const faults = file("faults.jsonl")
  const samples = file("samples.jsonl")
  const options: SoakOptions = {
    minutes: flags.minutes ?? 60,
    cameras: flags.cameras ?? 40,
    nodes: flags.nodes ?? 1,
    engine: flags.engine ?? "auto",
    seed: flags.seed ?? 1,
    tempo: tempos[flags.tempo ?? "real"],
    tell: (line) => console.error(line),
    onLog: (lines) => log?.write(lines),
    onFault: (event) => faults?.write(`${JSON.stringify(event)}\n`),
    onSample: (sample) => samples?.write(`${JSON.stringify(sample)}\n`),
    signal: stop.signal
  }
  const found = report(options, await soak(options))
  console.log(flags.json ? JSON.stringify(found, undefined, 2) : describe(found))
  return found.violationCount === 0 ? 0 : 1
})
