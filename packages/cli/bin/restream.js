#!/usr/bin/env node
/**
 * The command `restream`.
 *
 * It is committed and not built: npm links a command when it installs, which in a checkout is before there
 * is a build, and passes over one whose file is missing. It is plain JavaScript that old versions of Node
 * read, too, so that they can say what they lack.
 */
import { existsSync } from "node:fs"

const built = new URL("../dist/restream.js", import.meta.url)

/** What keeps it from running here, if anything does. */
const obstacle = () => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major < 22 || (major === 22 && minor < 19)) {
    return `it needs Node 22.19 or later, and this is ${process.versions.node}; in a checkout "npx restream" takes the one that npm brought`
  }
  return existsSync(built) ? undefined : 'there is no build of it yet; "npm run build" makes it'
}

const problem = obstacle()
if (problem === undefined) await import(built.href)
else {
  process.stderr.write(`restream: ${problem}\n`)
  process.exitCode = 2
}
