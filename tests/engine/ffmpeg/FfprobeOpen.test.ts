import { openContract } from "../OpenContract.ts"
import { ffprobes } from "./Binaries.ts"
import { engine } from "./Engines.ts"

for (const { label, path } of ffprobes) {
  openContract(label, {
    onGarbage: "TimedOut",
    make: (options) => engine({ ...options, ffprobePath: path }),
    cannotResolve: label.includes("npm") ? "a static build, which crashes on host names" : undefined
  })
}
