/** Commands, settings, queries and links in the documents are valid. */
import { assert, describe, it, layer } from "@effect/vitest"
import { load } from "@restream/config"
import { Effect, Redacted, Result } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parse } from "yaml"
import { restream } from "../kit/Command.ts"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"

const root = new URL("../..", import.meta.url).pathname
const read = (path: string) => readFileSync(join(root, path), "utf8")
const documents = [
  "README.md",
  "examples/README.md",
  ...["config", "core", "cli", "demo"].map((name) => `packages/${name}/README.md`),
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, "docs/ru")).map((name) => `docs/ru/${name}`)
]

interface Block {
  readonly document: string
  readonly line: number
  readonly language: string
  readonly text: string
}

const blocks: ReadonlyArray<Block> = documents.flatMap((document) => {
  const text = read(document)
  return [...text.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(({ 1: language, 2: block, index }) => ({
    document,
    line: text.slice(0, index).split("\n").length,
    language: language!,
    text: block!
  }))
})

/** A table for `it.each`, with the place for the title. */
const blocksOf = (language: string, fits: (block: Block) => boolean = () => true) =>
  blocks
    .filter((block) => block.language === language && fits(block))
    .map((block) => [`${block.document}:${block.line}`, block.text] as const)

describe("shell blocks", () => {
  it.each(blocksOf("sh"))("%s is a script that a shell can read", (_, text) => {
    const { status, stderr } = spawnSync("sh", ["-n"], { input: text, encoding: "utf8" })
    assert.deepStrictEqual([status, stderr], [0, ""])
  })

  it.each(blocksOf("sh"))("%s names files and scripts that exist", (_, text) => {
    const files = [...text.matchAll(/(?<![\w/.])(?:deploy|packages|ops)\/[\w@./-]+/g)]
      .map(([file]) => file)
      .filter((file) => !existsSync(join(root, file)))
    assert.deepStrictEqual(files, [])
    const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: object }
    const missing = [...text.matchAll(/\bnpm run ([\w:-]+)/g)]
      .map(([, name]) => name!)
      .filter((name) => !(name in scripts))
    assert.deepStrictEqual(missing, [])
  })
})

/** The calls of the command in the shell blocks: its words, without what follows in the line. */
const calls = blocks
  .filter(({ language }) => language === "sh")
  .flatMap(({ text }) => text.split("\n"))
  .flatMap(
    (line) =>
      /(?:^|(?<!--name|-t)\s)(?:npx )?restream(?:\.js)? ([a-z-][^#|>;&]*)/
        .exec(line)?.[1]
        ?.trim() ?? []
  )
  .map((call) => call.split(/\s+/))

describe("calls of restream", () => {
  it.live("have commands and flags that exist", () =>
    Effect.gen(function* () {
      assert.isAbove(calls.length, 20)
      const settings = read("docs/settings.md")
      const helps = new Map<string, string>()
      const wrong: Array<string> = []
      for (const call of calls) {
        const name = call[0]!.startsWith("-") ? "" : call[0]!
        const path = name === "db" ? call.slice(0, 2) : name === "" ? [] : [name]
        const key = path.join(" ")
        if (!helps.has(key)) {
          const { code, stderr, stdout } = yield* restream([...path, "--help"])
          helps.set(key, code === 0 && stderr === "" ? stdout : "")
        }
        const help = helps.get(key)!
        if (help === "") wrong.push(call.join(" "))
        for (const flag of call.filter((word) => word.startsWith("--"))) {
          const [word] = flag.split("=")
          const isKnown = new RegExp(`${word}(?![\\w-])`).test(help)
          if (!isKnown && !settings.includes(`\`${word}\``)) wrong.push(call.join(" "))
        }
      }
      assert.deepStrictEqual(wrong, [])
    })
  )
})

const groups = new Set(
  [...read("docs/settings.md").matchAll(/^\| `([a-zA-Z]+)[.`]/gm)].map(([, group]) => group!)
)

const isSettings = ({ text }: Block) =>
  Object.keys(parse(text) ?? {}).every((key) => groups.has(key))

describe("YAML blocks", () => {
  it("of settings are found", () => {
    assert.isAbove(blocksOf("yaml", isSettings).length, 8)
  })

  it.each(blocksOf("yaml", isSettings))("%s loads as a settings file", (name, text) => {
    const loaded = load({ file: { name, text }, env: { PG_DSN: "postgres://u:p@db/x" } })
    assert.deepStrictEqual(Result.isFailure(loaded) ? loaded.failure.problems : [], [])
  })

  it.each(blocksOf("yaml", (block) => !isSettings(block)))("%s is YAML", (_, text) => {
    assert.isObject(parse(text))
  })
})

describe("other blocks", () => {
  it.each(blocksOf("json"))("%s is JSON", (_, text) => {
    assert.isObject(JSON.parse(text))
  })

  it.each(blocksOf("js"))("%s is JavaScript", (_, text) => {
    const { stderr } = spawnSync(process.execPath, ["--check", "--input-type=module"], {
      input: text,
      encoding: "utf8"
    })
    assert.strictEqual(stderr, "")
  })
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })("queries", (it) => {
  // docs/recipes.md has a test of its own
  for (const [name, text] of blocksOf("sql", ({ document }) => document !== "docs/recipes.md")) {
    it.effect(`${name} runs on the tables of restream db init`, () =>
      Effect.gen(function* () {
        const dsn = yield* freshDatabase
        const env = {
          PG_DSN: Redacted.value(dsn),
          RESTREAM_DATABASE_STATUS_TABLE: "camera_status"
        }
        for (const args of [[], ["--status"]]) {
          const { code, stderr } = yield* restream(["db", "init", ...args], env)
          assert.strictEqual(code, 0, stderr)
        }
        const sql = yield* client(dsn)
        yield* sql.unsafe(text)
      })
    )
  }
})

/** The anchor that GitHub makes of a heading. */
const anchorOf = (heading: string) =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-")

describe("links", () => {
  it.each(documents)("%s links to headings that exist", (document) => {
    const links = [...read(document).matchAll(/\]\(([^)#\s:]*)#([^)\s]+)\)/g)]
    const missing = links.filter(([, target, anchor]) => {
      const file = target === "" ? document : join(dirname(document), target!)
      const headings = [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, text]) => anchorOf(text!))
      return !headings.includes(anchor!)
    })
    assert.deepStrictEqual(
      missing.map(([link]) => link),
      []
    )
  })
})
