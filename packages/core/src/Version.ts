import { createRequire } from "node:module"

/** The version of this package; in the bundle of the command, that of the command, which is the same. */
export const version: string = (
  createRequire(import.meta.url)("../package.json") as { readonly version: string }
).version
