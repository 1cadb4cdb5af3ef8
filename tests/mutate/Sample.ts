/** Lets a run try one mutant in so many: always the same ones, wherever their lines move within a file. */
import { type Checker, type CheckResult, CheckStatus } from "@stryker-mutator/api/check"
import type { Mutant } from "@stryker-mutator/api/core"
import { declareClassPlugin, PluginKind } from "@stryker-mutator/api/plugin"
import { createHash } from "node:crypto"

/** One mutant in so many is tried. */
const oneIn = Number(process.env["MUTATE_ONE_IN"] ?? 1)

const isInSample = ({ fileName, mutatorName, replacement, ...mutant }: Mutant): boolean => {
  const { end, start } = mutant.location
  const size = `${end.line - start.line}:${start.column}:${end.column}`
  const hash = createHash("sha256")
    .update(JSON.stringify([fileName.split("/src/").at(-1), mutatorName, replacement, size]))
    .digest()
  return hash.readUInt32BE(0) % oneIn === 0
}

/** A mutant outside of the sample counts as an error, which no score contains. */
class SampleChecker implements Checker {
  async init(): Promise<void> {}

  async check(mutants: ReadonlyArray<Mutant>): Promise<Record<string, CheckResult>> {
    return Object.fromEntries(
      mutants.map((mutant) => [
        mutant.id,
        isInSample(mutant)
          ? { status: CheckStatus.Passed }
          : { status: CheckStatus.CompileError, reason: "not in the sample" }
      ])
    )
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.Checker, "sample", SampleChecker)]
