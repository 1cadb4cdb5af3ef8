/** Processes as Linux shows them below `/proc`: who descends from whom, what runs, and what it costs. */
import { Effect } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { until } from "./Eventually.ts"

const ticksPerSecond = 100

export interface Stat {
  readonly pid: number
  readonly parent: number
  /** One letter, as `ps` shows it: `Z` has ended and was not waited for, `T` is stopped. */
  readonly state: string
  /** Own time, and that of children that were waited for, in seconds. */
  readonly cpuSeconds: number
  /** That of children alone that have ended. */
  readonly childSeconds: number
}

/** A process, or `undefined` where there is none of that id. */
export const readStat = (pid: number): Stat | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    const seconds = (...indexes: ReadonlyArray<number>) =>
      indexes.reduce((sum, index) => sum + Number(fields[index]), 0) / ticksPerSecond
    return {
      pid,
      parent: Number(fields[1]),
      state: fields[0] ?? "",
      cpuSeconds: seconds(11, 12, 13, 14),
      childSeconds: seconds(13, 14)
    }
  } catch {
    return undefined
  }
}

/** All processes, now. */
export const all = (): ReadonlyArray<Stat> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? [])

/** The words by which a process was started; none for one that has ended. */
export const commandOf = (pid: number): ReadonlyArray<string> => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1)
  } catch {
    return []
  }
}

/** The process and all that descend from it, now. */
export const family = (pid: number): ReadonlyArray<Stat> => {
  const stats = all()
  const members = new Set([pid])
  for (let before = 0; before !== members.size;) {
    before = members.size
    for (const { parent, pid: child } of stats) if (members.has(parent)) members.add(child)
  }
  return stats.filter((stat) => members.has(stat.pid))
}

/** CPU time that the family has used so far, in seconds. */
export const cpuSeconds = (pid: number): number =>
  family(pid).reduce((sum, stat) => sum + stat.cpuSeconds, 0)

/** A line of a file below `/proc` that gives kilobytes, in megabytes; 0 for a process that has ended. */
const megabytes = (file: string, line: RegExp): number => {
  try {
    return Number(line.exec(readFileSync(file, "utf8"))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

/** How many IPv4 sockets of a local port hold bytes that their process has not read. */
export const unreadSockets = (port: number): number => {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address, , , queues]) => address?.endsWith(local) && !queues?.endsWith(":00000000"))
    .length
}

/** The family's proportional share of memory, in megabytes. */
export const pssMb = (pid: number): number =>
  family(pid).reduce(
    (sum, stat) => sum + megabytes(`/proc/${stat.pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m),
    0
  )

/** The memory of one process that is in use now, in megabytes. */
export const rssMb = (pid: number): number =>
  megabytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB/m)

/** How many entries a folder of a process has: `fd` for its open files, `task` for its threads. */
export const entries = (pid: number, folder: "fd" | "task"): number => {
  try {
    return readdirSync(`/proc/${pid}/${folder}`).length
  } catch {
    return 0
  }
}

/** How many processes the family has. */
export const count = (pid: number): number => family(pid).length

/** The ids of all processes that descend from one, now. */
export const descendants = (pid: number): ReadonlyArray<number> =>
  family(pid)
    .map((stat) => stat.pid)
    .filter((member) => member !== pid)

/** Whether a process runs. A dead process that its parent has not waited for does not run. */
export const runs = (pid: number): boolean => !/^[ZX]?$/.test(readStat(pid)?.state ?? "")

/** Whether a process exists, even one that is dead and that its parent has not waited for. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The process id that a program wrote to a file, as soon as it is there. */
export const pidIn = (path: string): Effect.Effect<number> =>
  Effect.suspend(() => {
    const pid = existsSync(path) ? Number(readFileSync(path, "utf8").trim()) : 0
    return pid > 0 ? Effect.succeed(pid) : Effect.andThen(Effect.sleep("10 millis"), pidIn(path))
  })

/** The children of a process; Linux only. */
export const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .split(" ")
    .filter((text) => text.trim() !== "")
    .map(Number)

/** Done when none of the processes is left, with the time that took in milliseconds. */
export const awaitGone = (pids: ReadonlyArray<number>): Effect.Effect<number> =>
  Effect.suspend(() => {
    const before = performance.now()
    return Effect.map(
      until(
        "the end of all processes",
        () => !pids.some(runs),
        () => `${pids.filter(runs).join(" ")} are left`
      ),
      () => performance.now() - before
    )
  })
