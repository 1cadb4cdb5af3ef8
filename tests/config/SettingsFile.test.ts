import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { assertHidden, faults, loaded } from "./Given.ts"

const fault = (text: string) => faults({ file: { name: "restream.yaml", text } })

describe("settings file", () => {
  it.each([
    ["a tab", "relay:\n\tkillGrace: 1s", "2:1: is indented by a tab; YAML takes spaces only"],
    ["a duplicate key", "relay:\n  killGrace: 1s\n  killGrace: 2s", "3:3: a key stands twice"],
    [
      "a duplicate group",
      "relay:\n  killGrace: 1s\nrelay:\n  killGrace: 1s",
      "3:1: a key stands twice"
    ],
    [
      "uneven indentation",
      "relay:\n  killGrace: 1s\n   stallTimeout: 1s",
      '3:4: a text that holds ": " needs quotes, or this key is indented too deep'
    ],
    [
      "a colon in a text",
      "relay:\n  killGrace: a: b",
      '2:3: a text that holds ": " needs quotes, or this key'
    ],
    [
      "an open quote",
      '# x\nrelay:\n  killGrace: 1s\n  stallTimeout: "1s\n\nlog:\n  level: info',
      "4:3: begins a text in quotes that does not end"
    ],
    [
      "an alias",
      "mediaServer:\n\n  # x\n  password: *kXq7",
      "4:3: a text that begins with * needs quotes"
    ],
    [
      "an open brace",
      "relay:\n  killGrace: 1s\nlog: { level: info\nprobe:\n  timeout: 1s",
      "3:1: a list in brackets or a mapping in braces is not whole"
    ],
    [
      "an escape",
      'log:\n  file: "C:\\logs"',
      "2:3: in double quotes \\ begins an escape; single quotes take it as it is"
    ],
    [
      "a second document",
      "log:\n  level: info\n---\nlog:",
      "3:1: a second document begins; only one is read"
    ],
    [
      "no colon",
      "log:\n  level: info\n  format",
      "3:3: is indented deeper than the lines around it, or lacks its colon"
    ],
    [
      "something after a quote",
      "log:\n  level: 'info' x",
      "2:3: something stands after the closing quote"
    ]
  ])("places %s at its line and column", (_, text, words) => {
    const [line = "", ...more] = fault(text)
    assert.isTrue(line.startsWith(`restream.yaml:${words}`), line)
    assert.deepStrictEqual(more, [])
    assertHidden(line)
  })

  it("counts lines alike whatever ends them, and after a byte order mark", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      assert.match(
        fault(["relay:", "  killGrace: 1s", "  killGrace: 2s"].join(end)).join(),
        /yaml:3:3: a key stands twice$/
      )
      assert.match(
        fault(`\uFEFF${["relay:", "", "  killGrace: 5"].join(end)}`).join(),
        /\(from restream.yaml:3\)/
      )
    }
  })

  it.each(["5", "text", "- a\n- b", "relay:5", '"x"'])(
    "wants a mapping at the root: %j",
    (text) => {
      assert.deepStrictEqual(fault(text), [
        'restream.yaml: expected groups such as "database:", with their settings indented below'
      ])
    }
  )

  it("tells the line of a value through comments, blocks, quotes and braces", () => {
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
    const places = fault(text).map((line) => /^(\S+) \(from (\S+)\)/.exec(line)?.slice(1).join(" "))
    assert.deepStrictEqual(places, [
      "database.channel restream.yaml:8",
      "mediaServer.host restream.yaml:9",
      "mediaServer.port restream.yaml:10",
      "probe.timeout restream.yaml:15",
      "probe.retryDelays restream.yaml:12"
    ])
  })

  it("asks for quotes where & would make an anchor of a value", () => {
    assert.deepStrictEqual(fault("mediaServer:\n  password: &kXq7\n"), [
      "mediaServer.password (from restream.yaml:2): a text that begins with & needs quotes"
    ])
    assert.deepStrictEqual(fault("log: &l\n  file: &f x.log\nffmpeg:\n  path: *f"), [])
  })

  it("places every key of the example at its own line", () => {
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

  it("gives one line for any text that is not YAML", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (rest) => {
        const lines = fault(`relay: [\n${rest}`)
        assert.isAbove(lines.length, 0)
        assert.match(lines[0] ?? "", /^restream\.yaml:\d+:\d+: /)
      })
    )
  })
})
