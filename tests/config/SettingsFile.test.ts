import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { assertHidden, problems, loaded } from "./Samples.ts"

const problemsOf = (text: string) => problems({ file: { name: "restream.yaml", text } })

describe("settings file", () => {
  const needsQuotes = "a value that begins with * & ! @ ` | > % or , must be quoted"

  it.each([
    ["a tab", "relay:\n\tkillGrace: 1s", "2:1: tabs are not allowed as indentation; use spaces"],
    ["a duplicate key", "relay:\n  killGrace: 1s\n  killGrace: 2s", "3:3: duplicate key"],
    ["a duplicate group", "relay:\n  killGrace: 1s\nrelay:\n  killGrace: 1s", "3:1: duplicate key"],
    [
      "a line that is indented too far",
      "relay:\n  killGrace: 1s\n   stallTimeout: 1s",
      '2:14: a value that contains ": " must be quoted, or the next line is indented too far'
    ],
    [
      "a line that is not indented far enough",
      "log:\n    level: info\n  format: json",
      "3:1: the indentation does not match the lines above"
    ],
    [
      "a colon in a value",
      "relay:\n  killGrace: a: b",
      '2:14: a value that contains ": " must be quoted, or the next line is indented too far'
    ],
    [
      "an open quote",
      '# x\nrelay:\n  killGrace: 1s\n  stallTimeout: "1s\n\nlog:\n  level: info',
      "4:17: the quote is not closed"
    ],
    [
      "an open brace",
      "relay:\n  killGrace: 1s\nlog: { level: info\nprobe:\n  timeout: 1s",
      "3:6: the bracket or brace is not closed"
    ],
    [
      "an escape",
      'log:\n  file: "C:\\logs"',
      "2:12: invalid escape after \\ in double quotes; single quotes keep a \\ as it is"
    ],
    [
      "a second document",
      "log:\n  level: info\n---\nlog:",
      "3:1: the file holds a second YAML document; only one is allowed"
    ],
    [
      "a missing colon",
      "log:\n  level: info\n  format",
      "3:3: expected a key, a colon and a value"
    ],
    [
      "a word after a quote",
      "log:\n  level: 'info' x",
      "2:17: unexpected text; a value with special characters must be quoted"
    ],
    ["an alias", "mediaServer:\n\n  # x\n  password: *kXq7", `4:13: ${needsQuotes}`],
    ["an anchor", "mediaServer:\n  password: &kXq7\n", `2:18: ${needsQuotes}`],
    ["a tag", "mediaServer:\n  password: !kXq7", `2:13: ${needsQuotes}`],
    ["a reserved character", "mediaServer:\n  password: @kXq7", `2:13: ${needsQuotes}`]
  ])("reports the line and column of %s", (_, text, message) => {
    assert.deepStrictEqual(problemsOf(text), [`restream.yaml:${message}`])
  })

  it("repeats no part of a file that it cannot parse", () => {
    for (const start of "*&!@`|>%,{}[]'\"?-#:") {
      for (const password of [`${start}kXq7`, `${start}kXq7: x`, `x ${start} kXq7`]) {
        assertHidden(problemsOf(`mediaServer:\n  password: ${password}\n`).join())
      }
    }
  })

  it("counts the same lines for every line break, and after a byte order mark", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      assert.match(
        problemsOf(["relay:", "  killGrace: 1s", "  killGrace: 2s"].join(end)).join(),
        /yaml:3:3: duplicate key$/
      )
      assert.match(
        problemsOf(`\uFEFF${["relay:", "", "  killGrace: 5"].join(end)}`).join(),
        /\(from restream.yaml:3\)/
      )
    }
  })

  it.each(["5", "text", "- a\n- b", "relay:5", '"x"'])("rejects %j: not a mapping", (text) => {
    assert.deepStrictEqual(problemsOf(text), [
      "restream.yaml: expected groups such as database:, with their settings indented below"
    ])
  })

  it("reports the line of a key through comments, blocks, quotes and braces", () => {
    const text = [
      "# database:",
      "database: # the table",
      "",
      "  query: |",
      "    SELECT id,",
      "    channel: 1",
      "    table: x",
      "  'channel': 5",
      "mediaServer: { host: a b,",
      "  port: x }",
      "probe:",
      "  retryDelays:",
      "  - 1s",
      "  - x",
      "  timeout: 5"
    ].join("\n")
    const places = problemsOf(text).map((line) =>
      /^(\S+) \(from (\S+)\)/.exec(line)?.slice(1).join(" ")
    )
    assert.deepStrictEqual(places, [
      "database.channel restream.yaml:8",
      "mediaServer.host restream.yaml:9",
      "mediaServer.port restream.yaml:10",
      "probe.timeout restream.yaml:15",
      "probe.retryDelays restream.yaml:12"
    ])
  })

  it("accepts an anchor and its alias", () => {
    assert.deepStrictEqual(problemsOf("log: &l\n  file: &f x.log\nffmpeg:\n  path: *f"), [])
  })

  it("reports the line of every key of the example", () => {
    const text = readFileSync(
      new URL("../../restream.example.yaml", import.meta.url),
      "utf8"
    ).replaceAll(/^( *)#(\w+:)/gm, "$1$2")
    const lines = text.split("\n")
    for (const [key, origin] of loaded({ file: { name: "f", text } }).origins) {
      if (origin._tag !== "File") continue
      const line = lines[Number(origin.place.split(":")[1]) - 1] ?? ""
      assert.strictEqual(line.trim().split(":")[0], key.split(".").at(-1))
    }
  })

  it("reports a position for any text that is not YAML", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (rest) => {
        const lines = problemsOf(`relay: [\n${rest}`)
        assert.isAbove(lines.length, 0)
        assert.match(lines[0] ?? "", /^restream\.yaml:\d+:\d+: /)
      })
    )
  })
})
