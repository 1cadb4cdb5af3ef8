#!/usr/bin/env node
/** `restream-demo`: runs `restream demo`, which finds its programs among the dependencies of this package. */
const cli = import.meta.resolve("@restream/cli/package.json")
process.argv.splice(2, 0, "demo")
await import(new URL("bin/restream.js", cli).href)
