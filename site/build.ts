/**
 * Builds the documentation site into `dist/site`: the pages by VitePress, the API reference by TypeDoc.
 *
 * `npm run site`. The first run installs both, by the lock file in this folder. Every link between the pages
 * has to resolve.
 */
import { spawnSync } from "node:child_process"
import { cpSync, rmSync, statSync } from "node:fs"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL(".", import.meta.url))

const run = (command: string, ...args: ReadonlyArray<string>): void => {
  const { status } = spawnSync(command, args, { cwd: folder, stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

const timeOf = (file: string): number =>
  statSync(`${folder}${file}`, { throwIfNoEntry: false })?.mtimeMs ?? 0
if (timeOf("node_modules/.package-lock.json") < timeOf("package-lock.json")) run("npm", "ci")

// VitePress finds its own packages only from pages below this folder
rmSync(`${folder}.pages`, { recursive: true, force: true })
for (const path of ["README.md", "docs", "examples/README.md"]) {
  cpSync(`${folder}../${path}`, `${folder}.pages/${path}`, { recursive: true })
}

const program = (path: string) => `${folder}node_modules/${path}`
run(process.execPath, program("vitepress/bin/vitepress.js"), "build", ".")
run(process.execPath, program("typedoc/bin/typedoc"), "--options", "typedoc.json")
