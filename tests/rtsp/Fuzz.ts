/** The number of runs of the property tests: `FUZZ_RUNS=100000 npx vitest run tests/rtsp`. */
import { vi } from "@effect/vitest"
import * as fc from "fast-check"

const asked = Number(process.env["FUZZ_RUNS"] ?? "300")

/** Runs per property. Default 300. */
export const fuzzRuns = Number.isInteger(asked) && asked > 0 ? asked : 300

// 10 ms per run are ample
vi.setConfig({ testTimeout: Math.max(30_000, 10 * fuzzRuns) })

/** Checks a property for the configured number of runs. */
export const holds = <T>(property: fc.IProperty<T>): void =>
  fc.assert(property, { numRuns: fuzzRuns })

/** Splits bytes into chunks at any offsets; a chunk may be empty. */
export const cutAt = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length].sort(
    (a, b) => a - b
  )
  return places.slice(1).map((end, index) => Buffer.from(bytes.subarray(places[index], end)))
}
