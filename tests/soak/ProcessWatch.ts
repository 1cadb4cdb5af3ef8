/** Looks at the system's table of processes, all the time: no orphan, no zombie, no two relays of a path. */
import * as Proc from "../kit/Proc.ts"
import { serverAddress } from "./Addresses.ts"
import type { Violations } from "./Violations.ts"

export interface ProcessWatch {
  /** Looks once, and says how many processes of ffmpeg there are. */
  readonly look: () => number
  readonly stop: () => void
}

export interface ProcessWatchOptions {
  readonly nodes: { readonly first: { readonly pid: number }; readonly pids: ReadonlyArray<number> }
  /** Whether the relays of a node that was frozen may run beside those that took over. */
  readonly mayOverlap: () => boolean
  readonly block: number
  readonly violations: Violations
}

const everyMs = 500
/** How long a process that has ended may wait for the daemon to notice, on a busy machine. */
const zombieMs = 3000

/** Starts looking. A process is one of ours by the addresses that it was started with. */
export const watchProcesses = ({
  block,
  mayOverlap,
  nodes,
  violations
}: ProcessWatchOptions): ProcessWatch => {
  /** When each was first seen. */
  let zombiesBefore = new Map<number, number>()
  const daemon = nodes.first.pid
  const told = new Set<number>()
  /** Seen once: the kernel ends what a killed node started. */
  let suspects = new Set<number>()

  const isOrphan = (pid: number): boolean => {
    for (let at = Proc.readStat(pid); at !== undefined; at = Proc.readStat(at.parent)) {
      if (nodes.pids.includes(at.pid)) return false
      if (at.parent <= 1) return true
    }
    // it, or whoever started it, has ended just now
    return false
  }

  const look = () => {
    const destinations = new Map<string, number>()
    const zombies = new Map<number, number>()
    const orphans = new Set<number>()
    let count = 0
    for (const { parent, pid, state } of Proc.all()) {
      if (state === "Z" && parent === daemon) {
        const since = zombiesBefore.get(pid) ?? performance.now()
        zombies.set(pid, since)
        if (performance.now() - since > zombieMs && !told.has(pid)) {
          told.add(pid)
          violations.add("zombie", `process ${pid}`)
        }
        continue
      }
      const words = Proc.commandOf(pid)
      const isOurs =
        /(^|\/)(ffmpeg|ffprobe)$|setpriv$/.test(words[0] ?? "") &&
        words.some((word) => word.includes(`127.${block}.`))
      if (!isOurs) continue
      count++
      if (!told.has(pid) && isOrphan(pid)) {
        if (nodes.pids.length === 1 || suspects.has(pid)) {
          told.add(pid)
          violations.add("orphan", `process ${pid}`)
        } else orphans.add(pid)
      }
      const destination = words.find((word) => word.includes(`${serverAddress(block)}:`))
      if (destination === undefined) continue
      const other = destinations.get(destination)
      destinations.set(destination, pid)
      // one of them may have ended while the table was read
      if (other !== undefined && !mayOverlap() && [other, pid].every((one) => isRunning(one))) {
        violations.add(
          "two processes for a path",
          `${other} and ${pid}: ${destination.replace(/.*\//, "")}`
        )
      }
    }
    zombiesBefore = zombies
    suspects = orphans
    return count
  }

  const timer = setInterval(look, everyMs)
  return { look, stop: () => clearInterval(timer) }
}

const isRunning = (pid: number): boolean => {
  const state = Proc.readStat(pid)?.state
  return state !== undefined && state !== "Z"
}
