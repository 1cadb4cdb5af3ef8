/** Files and links that the documents name exist. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const root = new URL("../..", import.meta.url).pathname
const documents = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, "docs/ru")).map((name) => `docs/ru/${name}`),
  ...readdirSync(join(root, "docs/decisions"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/decisions/${name}`)
]

describe("documents", () => {
  it.each(documents)("%s links to files that exist", (document) => {
    const text = readFileSync(join(root, document), "utf8")
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^[a-z]+:/.test(target))
    const missing = links.filter((target) => !existsSync(join(root, dirname(document), target)))
    assert.deepStrictEqual(missing, [])
  })

  it("architecture.md names files that exist", () => {
    const text = readFileSync(join(root, "docs/architecture.md"), "utf8")
    const names = [...text.matchAll(/`([a-z-]+(?:\/[A-Za-z-]+)*\/[A-Z]?[A-Za-z-]+\.ts)`/g)].map(
      ([, name]) => name!
    )
    assert.isAbove(names.length, 25)
    const missing = names.filter(
      (name) =>
        !existsSync(join(root, name.startsWith("packages/") ? "" : "packages/core/src", name))
    )
    assert.deepStrictEqual(missing, [])
  })

  it.each(["packages/core/src", "packages/cli/src"])(
    "architecture.md has the rooms of %s",
    (home) => {
      const text = readFileSync(join(root, "docs/architecture.md"), "utf8")
      const rooms = readdirSync(join(root, home), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => `\`${name}/\``)
      assert.deepStrictEqual(
        rooms.filter((room) => !text.includes(room)),
        []
      )
    }
  )

  it("architecture.md leads a row through at most 16 files and no room twice", () => {
    const text = readFileSync(join(root, "docs/architecture.md"), "utf8")
    const section = text.slice(
      text.indexOf("## The way of a row"),
      text.indexOf("## The way of a packet")
    )
    const files = [...section.matchAll(/^\| \d+ +\| `([^`]+)`/gm)].map(([, name]) => name!)
    assert.isAtLeast(files.length, 10)
    assert.isAtMost(files.length, 16)
    const rooms = files.map((file) => file.split("/")[0]!)
    const entered = rooms.filter((room, index) => room !== rooms[index - 1])
    assert.deepStrictEqual(entered, [...new Set(entered)])
  })

  it.each(documents.filter((name) => /decisions\/\d/.test(name)))(
    "%s has a title, a status and a date",
    (document) => {
      const text = readFileSync(join(root, document), "utf8")
      assert.match(text, /^# .+\n\nStatus: (accepted|superseded by .+)\. Date: \d{4}-\d\d-\d\d\./)
    }
  )
})
