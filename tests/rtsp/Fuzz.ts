/** How hard the properties of this folder are tried: `FUZZ_RUNS=100000 npx vitest run tests/rtsp`. */
import { vi } from "@effect/vitest"
import * as fc from "fast-check"

const asked = Number(process.env["FUZZ_RUNS"] ?? "300")

/** Runs for each property. Default 300. */
export const fuzzRuns = Number.isInteger(asked) && asked > 0 ? asked : 300

// many runs take their time: 10 ms for each are plenty
vi.setConfig({ testTimeout: Math.max(30_000, 10 * fuzzRuns) })

/** Checks a property as often as the environment asks for. */
export const holds = <T>(property: fc.IProperty<T>): void =>
  fc.assert(property, { numRuns: fuzzRuns })

/** Cuts bytes into chunks at any places; a chunk may be empty. */
export const cutAt = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), 0, bytes.length].sort(
    (a, b) => a - b
  )
  return places.slice(1).map((end, index) => Buffer.from(bytes.subarray(places[index], end)))
}
