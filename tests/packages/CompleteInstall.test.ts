/** What follows `npm ci` in a checkout: an npm on an old Node leaves packages out, which are added then. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder } from "../kit/FakeBinary.ts"
import { run } from "../kit/Spawn.ts"

const script = new URL("../../packages/cli/scripts/complete-install.js", import.meta.url).pathname

/** Runs the script as an npm does, and gives the arguments of the npm that it runs. */
const complete = Effect.fnUntraced(function* (nodeOfNpm: string, status = 0) {
  const path = yield* folder
  const [node, npm, called] = ["node", "npm-cli.js", "called"].map((name) => join(path, name))
  writeFileSync(node!, `#!/bin/sh\necho ${nodeOfNpm}\n`, { mode: 0o755 })
  writeFileSync(
    npm!,
    `import("node:fs").then(({ writeFileSync }) => {
      writeFileSync("${called}", process.argv.slice(2).join(" "))
      process.exit(${status})
    })`
  )
  const ended = yield* run(process.execPath, [script], {
    env: { npm_node_execpath: node!, npm_execpath: npm! }
  })
  return { ...ended, npm: existsSync(called!) ? readFileSync(called!, "utf8") : undefined }
})

describe("the installation of a checkout", () => {
  for (const version of ["v18.20.8", "v20.20.2", "v22.18.0"]) {
    it.live(`is completed where npm runs on Node ${version}`, () =>
      Effect.gen(function* () {
        const { code, npm, stderr, stdout } = yield* complete(version)
        assert.deepStrictEqual([code, stderr], [0, ""])
        assert.strictEqual(npm, "install --no-save --no-audit --no-fund")
        assert.match(stdout, new RegExp(`^npm runs on Node ${version}, .*\n$`))
      })
    )
  }

  for (const version of ["v22.19.0", "v24.21.0"]) {
    it.live(`is complete where npm runs on Node ${version}`, () =>
      Effect.gen(function* () {
        const { code, npm, stderr, stdout } = yield* complete(version)
        assert.deepStrictEqual([code, npm, stdout, stderr], [0, undefined, "", ""])
      })
    )
  }

  it.live("prints one line with the command to run where packages cannot be added", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* complete("v18.20.8", 1)
      assert.deepStrictEqual(
        [code, stderr],
        [1, 'packages are missing; to install them, run "npx --yes --package node@24 npm ci"\n']
      )
    })
  )
})
