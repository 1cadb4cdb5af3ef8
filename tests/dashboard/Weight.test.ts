/** How much a browser loads to show the dashboard. */
import { assert, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"

const assets = join(import.meta.dirname, "../../packages/cli/dist/dashboard/assets")

it("the dashboard is small, and contains none of Effect", () => {
  const files = readdirSync(assets).filter((name) => name.startsWith("index-"))
  assert.isAtLeast(files.length, 2)
  const weight = files.reduce(
    (sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length,
    0
  )
  // effect/Schema alone would add 22 kB
  assert.isBelow(weight, 64_000)
})
