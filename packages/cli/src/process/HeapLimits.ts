/**
 * Limits the young generation of V8's heap.
 *
 * On a machine with much memory V8 lets the young generation grow to 128 MB, and a daemon with short-lived
 * garbage fills all of it. With semi-spaces of 16 MB, 200 relays took less than half of the memory and a tenth
 * less CPU time (docs/decisions/0009).
 *
 * V8 accepts the limit only at its start. So the process replaces itself with the same program and the limit,
 * with the same pid and descriptors, before it does anything else. Where `execve` is not allowed,
 * `NODE_OPTIONS=--max-semi-space-size=16` sets the limit without it.
 */
import { accessSync, constants } from "node:fs"

/** In MiB. */
const semiSpaceSize = 16

/** The flags of Node. */
export const flags: ReadonlyArray<string> = [`--max-semi-space-size=${semiSpaceSize}`]

const isLimited = (): boolean =>
  [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].some((text) =>
    text.includes("max-semi-space-size")
  )

/** Restarts the program with the limit, if it has none and the system supports `execve`. */
export const limit = (): void => {
  // execve would close the IPC channel of a parent Node process
  if (isLimited() || process.channel !== undefined || process.execve === undefined) return
  // a failed execve aborts the process: the program may have been replaced or deleted meanwhile
  try {
    accessSync(process.execPath, constants.X_OK)
  } catch {
    return
  }
  const args = [...flags, ...process.execArgv, ...process.argv.slice(1)]
  try {
    process.execve(process.execPath, [process.argv0, ...args])
  } catch {
    // without the limit the program works the same and uses more memory
  }
}
