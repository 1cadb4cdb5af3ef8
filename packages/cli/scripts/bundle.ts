/**
 * Puts the command into one file, `dist/restream.js`, with all that it imports. Run by `npm run build`.
 *
 * Node spends more time on finding and reading 438 modules than on running them.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const cli = fileURLToPath(new URL("../", import.meta.url))
const dist = join(cli, "dist")

const bundle = await rolldown({
  input: { restream: join(dist, "bin.js") },
  platform: "node",
  moduleTypes: { ".md": "text", ".service": "text" }
})
const { output } = await bundle.write({
  dir: dist,
  entryFileNames: "[name].js",
  // what is loaded after the young generation is limited
  chunkFileNames: "restream-[name].js"
})
await bundle.close()

/** The folder of the package that a module belongs to; `undefined` for our own. */
const packageOf = (module: string): string | undefined =>
  /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(module)?.[0]

const packages = new Set(
  output
    .flatMap((file) => (file.type === "chunk" ? file.moduleIds : []))
    .map(packageOf)
    .filter((folder) => folder !== undefined)
)

/** What a package's licence wants to be said with every copy. */
const notice = (folder: string): string => {
  const { license, name, version } = JSON.parse(
    readFileSync(join(folder, "package.json"), "utf8")
  ) as Record<"license" | "name" | "version", string>
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
  const text = file === undefined ? "" : `\n\n${readFileSync(join(folder, file), "utf8").trim()}`
  return `${name} ${version} (${license})${text}`
}

writeFileSync(
  join(dist, "restream-licenses.txt"),
  `restream.js contains these packages.\n\n${[...packages].sort().map(notice).join("\n\n---\n\n")}\n`
)
