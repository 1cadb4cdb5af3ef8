/** What `npm pack` makes of each package, and whether a stranger can install it in an empty folder. */
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { publint } from "publint"
import { formatMessage } from "publint/utils"

const run = promisify(execFile)
const workspace = new URL("../../", import.meta.url).pathname
const names = ["config", "core", "cli", "demo"] as const
type Name = (typeof names)[number]

/** npm as it belongs to the running Node, so that both are of one version. */
const environment = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` }

let folder: string
const tarballs = new Map<Name, string>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "restream-packages-"))
  await run("npm", ["pack", "--silent", "--workspaces", "--pack-destination", folder], {
    cwd: workspace,
    env: environment
  })
  for (const file of await readdir(folder)) {
    const name = names.find((name) => file.startsWith(`restream-${name}-`))
    if (name !== undefined) tarballs.set(name, join(folder, file))
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const tarball = (name: Name): string => {
  const file = tarballs.get(name)
  if (file === undefined) throw new Error(`npm pack made no package ${name}`)
  return file
}

describe.each(names)("@restream/%s", (name) => {
  it("has a README, a license, a description and keywords, and no tests", async () => {
    const { stdout } = await run("tar", ["-tzf", tarball(name)])
    const files = stdout.split("\n")
    expect(files).toContain("package/README.md")
    expect(files).toContain("package/LICENSE")
    expect(files.filter((file) => /\.test\.|tsbuildinfo/.test(file))).toEqual([])
    const manifest = JSON.parse(
      await readFile(join(workspace, "packages", name, "package.json"), "utf8")
    ) as { readonly description?: string; readonly keywords?: ReadonlyArray<string> }
    expect(manifest.description).toBeTruthy()
    expect(manifest.keywords).toContain("rtsp")
  })

  it("has what is built of each source, with a source map", async () => {
    const { stdout } = await run("tar", ["-tzf", tarball(name)])
    const files = new Set(stdout.split("\n"))
    const missing = [...files]
      .filter((file) => /^package\/src\/.*(?<!\.d)\.ts$/.test(file))
      .map((file) => file.replace("/src/", "/dist/").replace(/\.ts$/, ""))
      .flatMap((file) => [`${file}.js`, `${file}.js.map`, `${file}.d.ts`])
      .filter((file) => !files.has(file))
    expect(missing).toEqual([])
  })

  it("passes publint", async () => {
    const pkgDir = join(workspace, "packages", name)
    const { messages, pkg } = await publint({ pkgDir, level: "warning", strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  it.skipIf(name === "demo")("has types that resolve in every ESM program", async () => {
    const pkg = createPackageFromTarballData(new Uint8Array(await readFile(tarball(name))))
    const analysis = await checkPackage(pkg)
    if (!analysis.types) throw new Error(`${name} has no types`)
    // ESM only: what a CommonJS program or the resolution of Node 10 finds does not count
    const problems = analysis.problems.filter(
      (problem) =>
        !("resolutionKind" in problem) ||
        (problem.resolutionKind !== "node10" && problem.resolutionKind !== "node16-cjs")
    )
    expect(problems.filter(({ kind }) => kind !== "CJSResolvesToESM")).toEqual([])
  })
})

describe("an empty folder", () => {
  it("gets a working command and library from the packages, without the demo's programs", async (context) => {
    const empty = await mkdtemp(join(folder, "empty-"))
    await writeFile(join(empty, "package.json"), `{ "private": true, "type": "module" }`)
    const packages = (["config", "core", "cli"] as const).map(tarball)
    try {
      await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...packages], {
        cwd: empty,
        env: environment,
        timeout: 100_000
      })
    } catch (error) {
      // without a registry nothing can be installed anywhere
      const text = String((error as { stderr?: string }).stderr)
      if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENOTCACHED|ETIMEDOUT/.test(text)) {
        context.skip("no npm registry can be reached")
      }
      throw error
    }
    const restream = (...args: ReadonlyArray<string>) =>
      run(process.execPath, [join(empty, "node_modules/.bin/restream"), ...args], { cwd: empty })
    expect((await restream("--version")).stdout).toMatch(/^restream v\d+\.\d+\.\d+\n$/)
    await expect(restream("check")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("database.dsn: not set")
    })
    await expect(restream("demo")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("npx @restream/demo")
    })

    await writeFile(
      join(empty, "library.js"),
      `import { CameraTypes, Restream } from "@restream/core"
       import { RtspServer } from "@restream/core/testing"
       import { load } from "@restream/config"
       console.log([CameraTypes, Restream.layer, RtspServer, load].every(Boolean))`
    )
    const { stdout } = await run(process.execPath, ["library.js"], { cwd: empty })
    expect(stdout).toBe("true\n")
  }, 180_000)
})
