/** What processes cost, as Linux counts it: a process with all its children, those that ended too. */
import { readdirSync, readFileSync } from "node:fs"

const ticksPerSecond = 100

interface Stat {
  readonly pid: number
  readonly parent: number
  /** Own time, and that of children that were waited for, in seconds. */
  readonly cpuSeconds: number
}

const readStat = (pid: number): Stat | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0)
    return { pid, parent: Number(fields[1]), cpuSeconds: ticks / ticksPerSecond }
  } catch {
    return undefined
  }
}

/** The process and all that descend from it, now. */
const family = (pid: number): ReadonlyArray<Stat> => {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? [])
  const members = new Set([pid])
  for (let before = 0; before !== members.size;) {
    before = members.size
    for (const { parent, pid: child } of all) if (members.has(parent)) members.add(child)
  }
  return all.filter((stat) => members.has(stat.pid))
}

/** CPU time that the family has used so far, in seconds. */
export const cpuSeconds = (pid: number): number =>
  family(pid).reduce((sum, stat) => sum + stat.cpuSeconds, 0)

/** The family's proportional share of memory, in megabytes. */
export const pssMb = (pid: number): number =>
  family(pid).reduce((sum, stat) => {
    try {
      const rollup = readFileSync(`/proc/${stat.pid}/smaps_rollup`, "utf8")
      return sum + Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) / 1024
    } catch {
      return sum
    }
  }, 0)

/** How many processes the family has. */
export const count = (pid: number): number => family(pid).length
