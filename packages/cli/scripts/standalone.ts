/**
 * Makes `dist/restream-PLATFORM-ARCH.tar.gz` of the workspace: the command with the Node that runs this script, for a
 * machine without Node. Run by `npm run standalone`.
 *
 * A folder and not one executable file: Node's single executable applications take CommonJS only, and the command
 * is ECMAScript modules that are loaded in two steps (docs/decisions/0016).
 */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const cli = fileURLToPath(new URL("../", import.meta.url))
const dist = join(cli, "dist")
const name = `restream-${process.platform}-${process.arch}`
const output = fileURLToPath(new URL("../../../dist/", import.meta.url))
const folder = join(output, name)

rmSync(folder, { recursive: true, force: true })
mkdirSync(join(folder, "lib", "dist"), { recursive: true })
for (const file of readdirSync(dist)) {
  if (/^restream.*\.(?:js|txt)$/.test(file))
    copyFileSync(join(dist, file), join(folder, "lib", "dist", file))
}
cpSync(join(dist, "dashboard"), join(folder, "lib", "dist", "dashboard"), { recursive: true })
copyFileSync(join(cli, "package.json"), join(folder, "lib", "package.json"))
copyFileSync(join(cli, "LICENSE"), join(folder, "LICENSE"))
copyFileSync(process.execPath, join(folder, "lib", "node"))
chmodSync(join(folder, "lib", "node"), 0o755)

const restream = (...args: ReadonlyArray<string>): Buffer =>
  execFileSync(process.execPath, [join(dist, "restream.js"), ...args])

// as a distribution installs them
mkdirSync(join(folder, "share"))
writeFileSync(join(folder, "share", "restream.1.gz"), gzipSync(restream("man"), { level: 9 }))
for (const shell of ["bash", "zsh", "fish"]) {
  writeFileSync(join(folder, "share", `restream.${shell}`), restream("--completions", shell))
}

// sh, because a link to the command may stand anywhere on PATH
writeFileSync(
  join(folder, "restream"),
  `#!/bin/sh
lib=$(dirname "$(readlink -f "$0")")/lib
exec "$lib/node" "$lib/dist/restream.js" "$@"
`,
  { mode: 0o755 }
)

const tarball = `${folder}.tar.gz`
execFileSync("tar", ["-C", output, "-czf", tarball, name])
rmSync(folder, { recursive: true })
console.log(`${tarball}: ${Math.round(statSync(tarball).size / 1e6)} MB`)
