/** The Russian documents follow their English originals. */
import { assert, describe, it } from "@effect/vitest"
import { CameraSourceError, Reason } from "@restream/core"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"

const root = new URL("../..", import.meta.url).pathname
const read = (path: string) => readFileSync(join(root, path), "utf8")
const pages = readdirSync(join(root, "docs/ru")).filter((name) => name.endsWith(".md"))
const originalOf = (page: string) => (page === "README.md" ? "README.md" : `docs/${page}`)
/** The sections of README.md that are not translated one by one. */
const ownSections = new Set([
  "# restream",
  "## How it works",
  "## Embed it",
  "## Work on it",
  "## Что он делает",
  "## Разработчикам"
])

const reasons = new Set<string>(
  [...Reason.Reason.members, ...CameraSourceError.fields.reason.members].map(
    ({ identifier }) => identifier
  )
)

interface Section {
  /** With its `#` characters. */
  readonly heading: string
  /** Code blocks without comments and indentation. */
  readonly blocks: ReadonlyArray<string>
  /** The words in backquotes. */
  readonly words: ReadonlySet<string>
  readonly tableRows: number
}

const fence = /^ *```(\w*)\n(.*?)^ *```$/gms

const withoutComments = (block: string) =>
  block
    .split("\n")
    .map((line) => line.replace(/(^|\s)(#|\/\/|--)(\s.*)?$/, "").trim())
    .filter((line) => line !== "")
    .join("\n")

/** A heading and what is below it, up to the next heading. */
const sectionsOf = (document: string): ReadonlyArray<Section> => {
  const blocks: Array<string> = []
  // a comment of a shell block looks like a heading
  const text = document.replaceAll(fence, (_, language: string, block: string) => {
    blocks.push(`${language}\n${withoutComments(block)}`)
    return `<block ${blocks.length - 1}>`
  })
  return text
    .split(/^(?=#+ )/m)
    .filter((part) => part.startsWith("#") && !ownSections.has(part.split("\n", 1).join()))
    .map((part) => ({
      heading: part.split("\n", 1).join(),
      blocks: [...part.matchAll(/<block (\d+)>/g)].map(([, index]) => blocks[Number(index)]!),
      words: new Set([...part.matchAll(/`([^`\n]+)`/g)].map(([, word]) => word!)),
      tableRows: [...part.matchAll(/^ *\|/gm)].length
    }))
}

const levelOf = ({ heading }: Section) => heading.indexOf(" ")

/** The first place where a page does not follow its original, in one line. */
const firstDifference = (page: string, original: string, translation: string) => {
  const english = sectionsOf(original)
  const russian = sectionsOf(translation)
  for (const [index, section] of english.entries()) {
    const other = russian[index]
    const where = `docs/ru/${page} does not follow "${section.heading}" of ${originalOf(page)}`
    if (other === undefined) return `${where}: the section is missing`
    const here = `${where} in "${other.heading}"`
    if (levelOf(section) !== levelOf(other)) return `${here}: the heading has another level`
    const block = section.blocks.findIndex((text, number) => text !== other.blocks[number])
    if (block >= 0) return `${here}: code block ${block + 1} is missing or differs`
    const missing = [...section.words].filter((word) => !other.words.has(word))
    if (missing.length > 0) return `${here}: it lacks \`${missing.join("`, `")}\``
    if (section.tableRows !== other.tableRows) {
      return `${here}: its tables have ${other.tableRows} lines instead of ${section.tableRows}`
    }
    if (section.blocks.length < other.blocks.length) return `${here}: it has more code blocks`
  }
  const more = russian[english.length]
  return more && `docs/ru/${page} has "${more.heading}", which ${originalOf(page)} does not have`
}

describe("Russian documents", () => {
  it.each(pages)("%s has the sections, code and names of its original", (page) => {
    const difference = firstDifference(page, read(originalOf(page)), read(`docs/ru/${page}`))
    if (difference !== undefined) assert.fail(difference)
  })

  it.each(pages)("%s links to its original", (page) => {
    const original = originalOf(page)
    assert.isTrue(existsSync(join(root, original)))
    assert.include(read(`docs/ru/${page}`), `\n[English](${posix.relative("docs/ru", original)})\n`)
  })

  it.each(pages)("%s links to English pages only where there is no Russian one", (page) => {
    const links = [...read(`docs/ru/${page}`).matchAll(/\[([^\]]+)\]\(\.\.\/([\w-]+\.md)/g)]
    const translated = links.filter(([, text, name]) => text !== "English" && pages.includes(name!))
    assert.deepStrictEqual(
      translated.map(([link]) => link),
      []
    )
  })

  it("troubleshooting.md has the reasons of its original, in the same order", () => {
    const headingsOf = (path: string) =>
      [...read(path).matchAll(/^### (.+)$/gm)].map(([, heading]) => heading!)
    const english = headingsOf("docs/troubleshooting.md").filter((name) => reasons.has(name))
    const russian = headingsOf("docs/ru/troubleshooting.md").filter((name) => /^\w+$/.test(name))
    assert.isAbove(english.length, 25)
    assert.deepStrictEqual(russian, english)
  })
})

describe("a difference", () => {
  const original = [
    "# Title",
    "Text with `a.setting`.",
    "## Part",
    "```sh\n# comment\nrun --now   # and more\n```",
    "| a |\n| - |"
  ].join("\n\n")
  const translation = [
    "# Название",
    "Текст с `a.setting`.",
    "## Часть",
    "```sh\n# пояснение\nrun --now   # и ещё\n```",
    "| б |\n| - |"
  ].join("\n\n")

  it("is not one of language", () => {
    assert.isUndefined(firstDifference("a.md", original, translation))
  })

  it.each([
    [
      original.replace("## Part", "## New\n\nText with `b`.\n\n## Part"),
      'docs/ru/a.md does not follow "## New" of docs/a.md in "## Часть": it lacks `b`'
    ],
    [
      `${original}\n\n### New`,
      'docs/ru/a.md does not follow "### New" of docs/a.md: the section is missing'
    ],
    [
      original.replace("--now", "--later"),
      'docs/ru/a.md does not follow "## Part" of docs/a.md in "## Часть": code block 1 is missing or differs'
    ],
    [
      `${original}\n| b |`,
      'docs/ru/a.md does not follow "## Part" of docs/a.md in "## Часть": its tables have 2 lines instead of 3'
    ],
    [
      original.replace("a.setting", "b.setting"),
      'docs/ru/a.md does not follow "# Title" of docs/a.md in "# Название": it lacks `b.setting`'
    ]
  ])("is named with the page and the heading: %#", (changed, expected) => {
    assert.strictEqual(firstDifference("a.md", changed, translation), expected)
  })
})
