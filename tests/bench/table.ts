/**
 * What a large table costs the nodes of a cluster: until each camera has a node, while nothing changes, and when
 * a node is lost. The engine does nothing; database, triggers, table, locks and tree are real.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { loadavg } from "node:os"
import { asTheDaemon, Child } from "./Child.ts"
import type { NodeReport } from "./table-node.ts"
import * as Proc from "../kit/Proc.ts"

export interface TableBenchOptions {
  readonly cameras: number
  readonly nodes: number
  /** How long the quiet nodes are measured. */
  readonly seconds: number
}

export interface TableMeasurement {
  readonly bench: "table"
  /**
   * - `start`: all nodes at once, until each camera is live.
   * - `quiet`: nothing changes.
   * - `change`: one row, until its camera is live again.
   * - `kill`: one node is lost, until each camera is live on the others.
   */
  readonly measure: "start" | "quiet" | "change" | "kill"
  readonly cameras: number
  readonly nodes: number
  /** How long it took, in seconds. */
  readonly seconds: number
  /** Per node, in percent of one core. */
  readonly cpuPercent: ReadonlyArray<number>
  /** Per node, in milliseconds; measured every 5 ms. */
  readonly loopDelayMs: ReadonlyArray<NodeReport["loopDelay"]>
  readonly rssMb: ReadonlyArray<number>
  /** Of all sessions of the database, in percent of one core. */
  readonly databaseCpuPercent: number
  /** Of the machine, over the last minute. */
  readonly load: number
}

const timeoutMs = 600_000
/** The least time after the start in which nothing must change before the quiet nodes are measured. */
const settleMs = 15_000

export async function* table(options: TableBenchOptions): AsyncGenerator<TableMeasurement> {
  const sink = await Child.start<{ port: number }>("sink.ts")
  const database = await Child.start<{ dsn: string; pid: number }>("database.ts", {
    args: ["--cluster"]
  })
  const nodes: Array<Child> = []
  const { cameras } = options
  try {
    await database.child.ask({
      query: `insert into cameras (name, url) select 'Camera ' || n,
        'rtsp://10.' || n / 65536 || '.' || n / 256 % 256 || '.' || n % 256 || '/cam'
        from generate_series(1, ${cameras}) n`
    })
    await database.child.ask({ query: "analyze cameras" })
    const env = {
      PG_DSN: database.first.dsn,
      MEDIA_SERVER_HOST: "127.0.0.1",
      MEDIA_SERVER_PORT: String(sink.first.port),
      RESTREAM_CLUSTER_ENABLED: "yes",
      RESTREAM_RELAY_START_SPACING: "0ms"
    }
    const start = async (index: number) => {
      const { child } = await Child.start("table-node.ts", {
        nodeArgs: asTheDaemon,
        env: { ...env, RESTREAM_CLUSTER_NAME: `node-${index + 1}` }
      })
      nodes.push(child)
    }
    const reports = (reset = false) =>
      Promise.all(nodes.map((node) => node.ask<NodeReport>({ reset })))
    const live = (all: ReadonlyArray<NodeReport>) => all.reduce((sum, { live }) => sum + live, 0)
    /** Measures from a fault or a start until all cameras are live, or for a time. */
    const measure = async (
      name: TableMeasurement["measure"],
      begin: () => Promise<unknown>,
      isOver: (all: ReadonlyArray<NodeReport>, elapsedMs: number) => boolean
    ): Promise<TableMeasurement> => {
      const startedAt = performance.now()
      await begin()
      const before = await reports(true)
      const databaseBefore = Proc.cpuSeconds(database.first.pid)
      const measuredAt = performance.now()
      let all = before
      while (!isOver(all, performance.now() - startedAt)) {
        if (performance.now() - startedAt > timeoutMs) {
          throw new Error(`${name}: ${live(all)} of ${cameras} cameras are live after 10 minutes`)
        }
        await sleep(250)
        all = await reports()
      }
      const elapsedMs = performance.now() - measuredAt
      return {
        bench: "table",
        measure: name,
        cameras,
        nodes: nodes.length,
        seconds: round((performance.now() - startedAt) / 1000),
        cpuPercent: all.map(({ cpuMs }, index) =>
          round(((cpuMs - (before[index]?.cpuMs ?? 0)) / elapsedMs) * 100)
        ),
        loopDelayMs: all.map(({ loopDelay }) => loopDelay),
        rssMb: nodes.map(({ pid }) => Math.round(Proc.rssMb(pid))),
        databaseCpuPercent: round(
          ((Proc.cpuSeconds(database.first.pid) - databaseBefore) / elapsedMs) * 100_000
        ),
        load: round(loadavg()[0] ?? 0)
      }
    }
    const allLive = (all: ReadonlyArray<NodeReport>) => live(all) === cameras

    yield await measure(
      "start",
      () => Promise.all(Array.from({ length: options.nodes }, (_, index) => start(index))),
      allLive
    )
    await sleep(settleMs)
    yield await measure(
      "quiet",
      async () => {},
      (_, elapsedMs) => elapsedMs >= options.seconds * 1000
    )
    yield await measure(
      "change",
      () => database.child.ask({ query: "update cameras set enabled = false where id = 1" }),
      (all) => live(all) === cameras - 1
    )
    await database.child.ask({ query: "update cameras set enabled = true where id = 1" })
    while (!allLive(await reports())) await sleep(250)
    if (nodes.length > 1) {
      yield await measure(
        "kill",
        async () => {
          const lost = nodes.pop()
          lost?.signal("SIGKILL")
          await lost?.exited
        },
        allLive
      )
    }
  } finally {
    await Promise.all([...nodes, sink.child, database.child].map((child) => child.end()))
  }
}

const round = (value: number): number => Number(value.toFixed(2))
