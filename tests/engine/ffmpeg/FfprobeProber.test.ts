import { Effect } from "effect"
import { proberContract } from "../OpenContract.ts"
import { ffprobes } from "./Binaries.ts"
import { engine } from "./Engines.ts"

for (const { label, path } of ffprobes) {
  proberContract(label, {
    make: (options) =>
      Effect.map(engine({ ...options, ffprobePath: path }), ({ prober }) => prober),
    cannotResolve: label.includes("npm") ? "a static build, which dies of host names" : undefined
  })
}
