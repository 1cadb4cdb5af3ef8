/**
 * Completes `npm ci` where npm runs on an older Node: it leaves out optional packages whose `engines` exclude that
 * Node, although every script of this checkout runs on the Node that was installed with it.
 *
 * npm runs this after the installation. It is plain JavaScript that old versions of Node read, too.
 */
import { execFileSync, spawnSync } from "node:child_process"

const isTooOld = (version) => {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number)
  return major < 22 || (major === 22 && minor < 19)
}

const { npm_execpath: npm = "", npm_node_execpath: nodeOfNpm = process.execPath } = process.env
const version = execFileSync(nodeOfNpm, ["--version"], { encoding: "utf8" }).trim()

// without the packages for development this runs on npm's Node
if (isTooOld(version) && !isTooOld(process.version) && npm.endsWith("npm-cli.js")) {
  console.log(
    `npm runs on Node ${version}, which may leave packages out: completing the installation`
  )
  const options = ["install", "--no-save", "--no-audit", "--no-fund"]
  const { status } = spawnSync(process.execPath, [npm, ...options], { stdio: "inherit" })
  if (status !== 0) {
    console.error('packages are missing; to install them, run "npx --yes --package node@24 npm ci"')
    process.exitCode = 1
  }
}
