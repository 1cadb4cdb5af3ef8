/** `npm run bench -- relay|check|supervisor|cluster|table|workers|page [flags] --json`: one line of JSON for each measurement. */
import { check } from "./check.ts"
import { cluster, clusterCases, type ClusterMeasurement } from "./cluster.ts"
import {
  type FlagReaders,
  type FlagValues,
  readFlags,
  runScript,
  someOf,
  UsageError,
  whole
} from "./Flags.ts"
import { page } from "./page.ts"
import { relay } from "./relay.ts"
import { supervisor } from "./supervisor.ts"
import { table } from "./table.ts"
import { workers } from "./workers.ts"

const usage = `npm run bench -- relay|check|supervisor|cluster|table|workers|page [flags]

relay         what relaying a camera costs, by each engine in turn
  --cameras N     default 10
  --seconds S     how long it is measured; default 10
  --engines E,…   native, ffmpeg; default both

check         how long probing all cameras takes, by each prober in turn
  --cameras N     cameras that answer; default 100
  --refused R     cameras that refuse the connection; default 0
  --silent S      cameras that take the connection and never say a word; default 0
  --probers P,…   native, ffprobe; default both
  --runs R        how often each is measured, for the medians; default 5

supervisor    how soon a new row is acted on, and what idle cameras cost
  --cameras N     cameras that are there while rows are inserted; default 100
  --inserts I     rows that are inserted, one after the other; default 200
  --idle N        idle cameras whose cost is measured; default 1000
  --seconds S     how long the idle daemon is measured; default 120

cluster       what joining, draining, killing and cutting off a node does to the relays
  --cameras N     default 100
  --outage S      how long the database is stopped; default 60
  --cases C,…     join, drain, kill, cutoff, database; default all
  --runs R        how often each is measured; default 1

workers       the same cameras of 2 Mbit/s by one process, then by several on this machine
  --cameras N     default 200
  --seconds S     how long it is measured; default 30
  --workers W     default 2

table         what a large table costs the nodes of a cluster; their engine does nothing
  --cameras N     rows of the table; default 100000
  --nodes N       default 3
  --seconds S     how long the quiet nodes are measured; default 60

page          what the dashboard does to a browser while cameras change: long tasks, frames
  --cameras N     default 1000
  --changes C     changes of state in a second; default 100
  --seconds S     how long each view is measured; default 10

--json prints each measurement in one line. Linux only.
Cameras, media server and database are processes of their own, and don't count.`

interface Bench {
  readonly json: boolean
  readonly measurements: AsyncIterable<object>
}

/** The measurements that a run tells, as they come. */
const told = <A>(run: (tell: (measurement: A) => void) => Promise<void>): AsyncIterable<A> =>
  new ReadableStream<A>({
    start: (controller) => {
      run((measurement) => controller.enqueue(measurement)).then(
        () => controller.close(),
        (error: unknown) => controller.error(error)
      )
    }
  })

/** A bench by its flags. `undefined`: only the help is wanted. */
const bench =
  <const Readers extends FlagReaders>(
    readers: Readers,
    measure: (flags: FlagValues<Readers>) => AsyncIterable<object>
  ) =>
  (args: ReadonlyArray<string>): Bench | undefined => {
    const flags = readFlags(args, readers)
    return flags.help ? undefined : { json: flags.json, measurements: measure(flags) }
  }

const benches: Readonly<Record<string, ReturnType<typeof bench>>> = {
  relay: bench(
    {
      cameras: whole(1, 2000),
      seconds: whole(1, 3600),
      engines: someOf("native", "ffmpeg")
    },
    (flags) =>
      relay({
        cameras: flags.cameras ?? 10,
        seconds: flags.seconds ?? 10,
        engines: flags.engines ?? ["native", "ffmpeg"]
      })
  ),
  check: bench(
    {
      cameras: whole(0, 2000),
      refused: whole(0, 2000),
      silent: whole(0, 2000),
      probers: someOf("native", "ffprobe"),
      runs: whole(1, 1000)
    },
    (flags) =>
      check({
        good: flags.cameras ?? 100,
        refused: flags.refused ?? 0,
        silent: flags.silent ?? 0,
        probers: flags.probers ?? ["native", "ffprobe"],
        runs: flags.runs ?? 5
      })
  ),
  supervisor: bench(
    {
      cameras: whole(0, 10_000),
      inserts: whole(1, 10_000),
      idle: whole(1, 100_000),
      seconds: whole(1, 3600)
    },
    (flags) =>
      supervisor({
        cameras: flags.cameras ?? 100,
        inserts: flags.inserts ?? 200,
        idle: flags.idle ?? 1000,
        seconds: flags.seconds ?? 120
      })
  ),
  cluster: bench(
    {
      cameras: whole(1, 1000),
      outage: whole(1, 3600),
      cases: someOf(...clusterCases),
      runs: whole(1, 1000)
    },
    (flags) =>
      told((tell: (measurement: ClusterMeasurement) => void) =>
        cluster(
          {
            cameras: flags.cameras ?? 100,
            outageSeconds: flags.outage ?? 60,
            cases: flags.cases ?? clusterCases,
            runs: flags.runs ?? 1
          },
          tell
        )
      )
  ),
  page: bench(
    {
      cameras: whole(1, 10_000),
      changes: whole(0, 1000),
      seconds: whole(1, 3600)
    },
    (flags) =>
      page({
        cameras: flags.cameras ?? 1000,
        changes: flags.changes ?? 100,
        seconds: flags.seconds ?? 10
      })
  ),
  table: bench(
    {
      cameras: whole(1, 200_000),
      nodes: whole(1, 10),
      seconds: whole(1, 3600)
    },
    (flags) =>
      table({
        cameras: flags.cameras ?? 100_000,
        nodes: flags.nodes ?? 3,
        seconds: flags.seconds ?? 60
      })
  ),
  workers: bench(
    {
      cameras: whole(1, 2000),
      seconds: whole(1, 3600),
      workers: whole(2, 64)
    },
    (flags) =>
      workers({
        cameras: flags.cameras ?? 200,
        seconds: flags.seconds ?? 30,
        workers: flags.workers ?? 2
      })
  )
}

const names = Object.keys(benches)

const benchOf = (name: string | undefined, args: ReadonlyArray<string>): Bench | undefined => {
  if (name === "--help") return undefined
  const known = `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`
  if (name === undefined) throw new UsageError(`expected the name of a bench: ${known}`)
  if (!names.includes(name)) throw new UsageError(`expected ${known}, not "${name}"`)
  return benches[name]!(args)
}

await runScript("bench", async () => {
  const [name, ...args] = process.argv.slice(2)
  const chosen = benchOf(name, args)
  if (chosen === undefined) {
    console.log(usage)
    return 0
  }
  for await (const measurement of chosen.measurements) {
    console.log(JSON.stringify(measurement, undefined, chosen.json ? undefined : 2))
  }
  return 0
})
