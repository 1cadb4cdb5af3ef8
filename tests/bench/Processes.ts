/** What processes cost, as Linux counts it: a process with all its children, those that ended too. */
import { readdirSync, readFileSync } from "node:fs"

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
