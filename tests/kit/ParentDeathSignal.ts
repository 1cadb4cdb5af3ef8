/** The signal that a child gets when its parent dies. */
import { spawnSync } from "node:child_process"

/** Whether children can be tied to the life of their parent here. */
export const hasParentDeathSignal =
  spawnSync("setpriv", ["--pdeathsig", "KILL", "--", "true"]).status === 0
