/** The tests that reliability.md and rtsp.md name exist. */
import { assert, describe, it } from "@effect/vitest"
import { RegExp as Pattern } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"

const root = new URL("../..", import.meta.url).pathname
const tests = join(root, "tests")
const files = readdirSync(tests, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".ts")
)

/** The files of a name: `daemon/Reload.test.ts`, or `Reload` for each of that name. */
const filesOf = (name: string) =>
  files.filter((file) => file === name || basename(file) === `${name}.test.ts`)

/** Matches a title in the source: `…` stands for any text, and a placeholder for any word. */
const patternOf = (title: string) => {
  const words = title
    .split(/ *… */)
    .map((part) =>
      part
        .split(" ")
        .map((word) => (word === "" ? "" : `(?:${Pattern.escape(word)}|\\$\\{[^}]*\\}|%\\w)`))
        .join(" ")
    )
    .join('[^"\\n]*')
  return new RegExp(`["\`]${words}["\`]`)
}

/** What of the references in a cell does not exist. `earlier`: the file of the row above. */
const missingOf = (cell: string, earlier: string) => {
  const missing: Array<string> = []
  let file = earlier
  for (const part of cell.split(/; |, (?=[›`])/)) {
    const reference = part.replace(/ \([^)]*\)$/, "")
    if (reference === "the same") continue
    const [name, title] = reference.includes("›") ? reference.split("›") : [reference]
    file = name!.replaceAll("`", "").trim() || file
    const sources = filesOf(file).map((path) => readFileSync(join(tests, path), "utf8"))
    const found =
      title === undefined
        ? sources.length > 0
        : sources.some((source) => patternOf(title.trim()).test(source))
    if (!found) missing.push(`${file} › ${title?.trim() ?? "(no such file)"}`)
  }
  return { missing, file }
}

describe("documents", () => {
  it.each([
    ["reliability.md", 100],
    ["rtsp.md", 30]
  ])("%s names tests that exist", (document, atLeast) => {
    const missing: Array<string> = []
    const text = readFileSync(join(root, "docs", document), "utf8")
    for (const [, file] of text.matchAll(/`(?:tests\/)?([\w/-]+\/\w+\.test\.ts)`/g)) {
      if (!files.includes(file!)) missing.push(file!)
    }
    let rows = 0
    let column = -1
    let file = ""
    for (const line of text.split("\n")) {
      const cells = line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "").trim())
      if (!line.startsWith("|") || line.startsWith("| -")) continue
      const header = cells.findIndex((cell) => /^test$/i.test(cell))
      if (header >= 0) column = header
      else if (column > 0) {
        const result = missingOf(cells[column] ?? "(no cell)", file)
        missing.push(...result.missing)
        file = result.file
        rows++
      }
    }
    assert.deepStrictEqual(missing, [])
    assert.isAbove(rows, atLeast)
  })
})
