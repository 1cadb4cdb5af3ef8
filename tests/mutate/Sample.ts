/**
 * Lets a run try one mutant in so many: always the same ones, wherever their lines move within a file.
 *
 * A plugin of Stryker as data: its types are not installed with the workspace.
 */
import { createHash } from "node:crypto"

interface Position {
  readonly line: number
  readonly column: number
}

/** What Stryker tells of a mutant, as far as it is used. */
interface Mutant {
  readonly id: string
  readonly fileName: string
  readonly mutatorName: string
  readonly replacement: string
  readonly location: { readonly start: Position; readonly end: Position }
}

interface CheckResult {
  readonly status: "passed" | "compileError"
  readonly reason?: string
}

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
class SampleChecker {
  async init(): Promise<void> {}

  async check(mutants: ReadonlyArray<Mutant>): Promise<Record<string, CheckResult>> {
    return Object.fromEntries(
      mutants.map((mutant) => [
        mutant.id,
        isInSample(mutant)
          ? { status: "passed" }
          : { status: "compileError", reason: "not in the sample" }
      ])
    )
  }
}

export const strykerPlugins = [{ kind: "Checker", name: "sample", injectableClass: SampleChecker }]
