/**
 * Mutation testing: changes the sources of a room, one place at a time, and runs the room's tests.
 *
 * `npm run mutate -- ROOM`, where ROOM is a room, a folder in a room, or a file: `source`, `rtsp/sdp`,
 * `supervision/Diff.ts`. Prints each mutant that survived, and the score. Of a large room one mutant in so
 * many is tried; `--one-in 1` tries all of them. Results are kept in `node_modules/.cache/mutate`, so that a
 * second run repeats only what changed; `--again` repeats everything. The first run installs Stryker, by the
 * lock file in this folder.
 */
import { spawnSync } from "node:child_process"
import { statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { roomNames, roomOf } from "./Rooms.ts"

process.chdir(fileURLToPath(new URL("../..", import.meta.url)))

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { again: { type: "boolean" }, "one-in": { type: "string" } }
})
const [name = ""] = positionals
const room = roomOf(name)
if (room === undefined) {
  console.error(
    `usage: npm run mutate -- ROOM [--one-in N] [--again]; the rooms are ${roomNames.join(", ")}`
  )
  process.exit(2)
}

const oneIn = Number(values["one-in"] ?? room.oneIn)
process.env["MUTATE_ONE_IN"] = String(oneIn)
process.env["MUTATE_TESTS"] = JSON.stringify(room.tests)
process.env["MUTATE_TEST_TIMEOUT"] = String(room.testTimeout)
// the wait that loses no camera in 100,000 times is for a release
process.env["STRESS_WAITS"] ??= "1000"

const cache = `node_modules/.cache/mutate/${name.replaceAll("/", "-")}-${oneIn}`

const timeOf = (file: string): number =>
  statSync(new URL(file, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0
if (timeOf("node_modules/.package-lock.json") < timeOf("package-lock.json")) {
  const options = { cwd: new URL(".", import.meta.url), stdio: "inherit" } as const
  if (spawnSync("npm", ["ci"], options).status !== 0) process.exit(1)
}
/** Not known to the compiler where it is not installed. */
const { Stryker } = (await import("@stryker-mutator/core" as string)) as {
  readonly Stryker: new (options: unknown) => { readonly runMutationTest: () => Promise<unknown> }
}

await new Stryker({
  mutate: [...room.sources],
  mutator: {
    plugins: [],
    // texts: their wording is held by the few tests that own it, and tags by the compiler
    excludedMutations: ["StringLiteral"]
  },
  testRunner: "vitest",
  plugins: ["@stryker-mutator/vitest-runner", fileURLToPath(new URL("Sample.ts", import.meta.url))],
  checkers: ["sample"],
  vitest: { configFile: "tests/mutate/vitest.config.ts", related: false },
  coverageAnalysis: "perTest",
  // what runs when a module is loaded needs a run of all tests for each mutant
  ignoreStatic: true,
  incremental: true,
  incrementalFile: `${cache}.json`,
  force: values.again === true,
  concurrency: 1,
  // what waits for virtual time ends by the time-out of the test; a busy machine must not count as a mutant noticed
  timeoutMS: 30_000,
  // the first run of all tests of a room, on a machine that is slow and busy
  dryRunTimeoutMinutes: 20,
  disableTypeChecks: false,
  tempDirName: join(tmpdir(), `restream-mutate-${process.pid}`),
  cleanTempDir: "always",
  ignorePatterns: ["/docs", "/deploy", "/dist", "/packages/*/dist"],
  reporters: ["clear-text", "json"],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: `${cache}-report.json` }
}).runMutationTest()
