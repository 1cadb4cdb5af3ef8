/** What the system knows of processes. */
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

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

/** The words of a process; Linux only. */
export const commandOf = (pid: number): ReadonlyArray<string> =>
  readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1)

/** Whether children can be tied to the life of their parent here. */
export const hasParentDeathSignal =
  spawnSync("setpriv", ["--pdeathsig", "KILL", "--", "true"]).status === 0

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** The bytes in buffers that something still holds. */
export const heldBytes = (): number => {
  // the second one waits for what the first one frees in the background
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}
