/** The memory of this process. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** The bytes in buffers that something still holds. */
export const heldBytes = (): number => {
  // the second one waits for what the first one frees in the background
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}
