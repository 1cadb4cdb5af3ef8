/** One short storm, so that the soak itself does not rot. It runs the build. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { text } from "node:stream/consumers"
import type { SoakReport } from "./SoakReport.ts"

const main = new URL("main.ts", import.meta.url).pathname
const isLinux = process.platform === "linux"

/** Runs a soak to its end. */
const run = (args: ReadonlyArray<string>) =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] })
    ),
    (child) =>
      Effect.promise(async () => {
        const [said, told, [code]] = await Promise.all([
          text(child.stdout),
          text(child.stderr),
          once(child, "exit")
        ])
        return { code: code as number | null, said, told }
      }),
    (child) => Effect.sync(() => child.kill("SIGTERM"))
  )

describe("The soak", () => {
  it.live.skipIf(!isLinux)(
    `finds nothing wrong in a short storm${isLinux ? "" : " (skipped: it needs Linux)"}`,
    () =>
      Effect.gen(function* () {
        const { code, said, told } = yield* run(
          "--minutes 0.05 --cameras 8 --tempo fast --json".split(" ")
        )
        assert.strictEqual(code, 0, told)
        const report = JSON.parse(said) as SoakReport
        assert.deepStrictEqual(report.violations, [])
        assert.strictEqual(report.storms, 1)
        assert.isAbove(report.faultCount, 10)
        assert.isAbove(report.samples.calm, 0)
      }),
    150_000
  )

  it.live("reports invalid flags", () =>
    Effect.gen(function* () {
      const { code, told } = yield* run(["--cameras", "many"])
      assert.strictEqual(code, 2)
      assert.include(told, `--cameras: expected a whole number from 1 to 1000, not "many"`)
    })
  )
})
