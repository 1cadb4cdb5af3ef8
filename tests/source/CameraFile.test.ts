import { assert, describe, it } from "@effect/vitest"
import { CameraFile } from "@restream/core"
import { Result } from "effect"

const parse = (name: string, text: string) =>
  CameraFile.parse({ name, bytes: new TextEncoder().encode(text) })

const rows = (name: string, text: string) => Result.getOrThrow(parse(name, text)).rows

const problem = (name: string, text: string): string => {
  const result = parse(name, text)
  return Result.isFailure(result) ? result.failure : assert.fail("the file was accepted")
}

describe("a YAML file of cameras", () => {
  it("lists cameras under the key cameras, or at the top", () => {
    const camera = { id: "1", url: "rtsp://h/1" }
    assert.deepStrictEqual(rows("c.yaml", "cameras:\n  - id: 1\n    url: rtsp://h/1\n"), [camera])
    assert.deepStrictEqual(rows("c.yml", "- id: 1\n  url: rtsp://h/1\n"), [camera])
    assert.deepStrictEqual(rows("c.json", JSON.stringify([camera])), [camera])
  })

  it("keeps numbers as they are written, because a password may look like a number", () => {
    const [row] = rows("c.yaml", "- id: 7\n  password: 0123\n  port: 1e3\n  channel: 0x10\n")
    assert.deepStrictEqual(row, { id: "7", password: "0123", port: "1e3", channel: "0x10" })
  })

  it("keeps booleans, null, lists and mappings", () => {
    const [row] = rows(
      "c.yaml",
      "- id: a\n  enabled: false\n  path: null\n  urls: [rtsp://a, rtsp://b]\n  options: { audio: drop }\n"
    )
    assert.deepStrictEqual(row, {
      id: "a",
      enabled: false,
      path: null,
      urls: ["rtsp://a", "rtsp://b"],
      options: { audio: "drop" }
    })
  })

  it("has no cameras only where that is written", () => {
    assert.deepStrictEqual(rows("c.yaml", "cameras: []\n"), [])
    assert.deepStrictEqual(rows("c.yaml", "[]\n"), [])
    for (const text of ["", " \n", "# nothing\n", "cameras:\n", "cameras:\n#  - id: 1\n"]) {
      assert.include(problem("c.yaml", text), "expected cameras: with a list of cameras")
    }
  })

  it.each([
    ["- id: 1\n  url: 'rtsp://h\n", "c.yaml:2:8: the quote is not closed"],
    ["- id: 1\n- gate\n", "c.yaml:2: expected a camera as columns and values, such as url: rtsp:"],
    ["cameras:\n  - id: 1\nadmin: x\n", "c.yaml:3: unknown key admin; expected cameras"],
    ["cameras:\n  gate: { url: a }\n", "c.yaml:1: expected cameras: with a list of cameras"],
    ["- id: 1\n  id: 2\n", "c.yaml:2:3: duplicate key"],
    ["- password: *secret\n", "c.yaml:1:13: a value that begins with * & ! @ ` | > % or , must be"]
  ])("names file, line and what is expected: %j", (text, message) => {
    assert.include(problem("c.yaml", text), message)
  })
})

describe("a CSV file of cameras", () => {
  it("has the columns of its header", () => {
    const expected = [{ id: "1", name: "Gate", password: 'a,"b' }]
    for (const text of [
      'id,name,password\n1,Gate,"a,""b"\n',
      'id;name;password\r\n1;Gate;"a,""b"\r\n',
      '\uFEFFid\tname\tpassword\n\n1\t Gate \t"a,""b"'
    ]) {
      assert.deepStrictEqual(rows("c.csv", text), expected)
    }
  })

  it("has no cameras with a header only", () => {
    assert.deepStrictEqual(rows("c.csv", "id,url\n"), [])
    assert.deepStrictEqual(rows("c.csv", "id,url\n,\n"), [])
  })

  it.each([
    ["", "c.csv: the file is empty; expected a header line with the names of the columns"],
    ["id,url\n1,a\n2\n", "c.csv:3: expected 2 fields, as in the header, got 1"],
    ["id,url\n1,a,b\n", "c.csv:2: expected 2 fields, as in the header, got 3"],
    ["id,url,\n1,a,\n", "c.csv:1: expected the names of the columns, and one is empty"],
    ["id,url,id\n1,a,2\n", "c.csv:1: the column id is named twice"],
    ['id,password\n1,"abc\n', "c.csv:2: the double quote is not closed"],
    ['id,password\n1,ab"c\n', "c.csv:2: unexpected double quote; put the whole field in"]
  ])("names file, line and what is expected: %j", (text, message) => {
    assert.include(problem("c.csv", text), message)
  })

  it("must be UTF-8", () => {
    const bytes = Uint8Array.from([0x69, 0x64, 0x0a, 0xc2, 0x0a])
    const result = CameraFile.parse({ name: "c.csv", bytes })
    assert.deepStrictEqual(result, Result.fail("c.csv: the file is not text in UTF-8"))
  })
})

describe("an error in a file of cameras", () => {
  it.each([
    ["c.yaml", "- id: 1\n  password: 'S3cret\n"],
    ["c.yaml", "- id: 1\n  password: *S3cret\n"],
    ["c.yaml", "- S3cret\n"],
    ["c.yaml", "S3cret\n"],
    ["c.csv", 'id,password\n1,S3"cret\n'],
    ["c.csv", 'id,password\n1,"S3cret\n'],
    ["c.csv", "id,password\n1,S3cret,S3cret\n"]
  ])("does not repeat a password: %s %j", (name, text) => {
    assert.notInclude(problem(name, text), "S3")
  })
})

describe("a camera without an id", () => {
  const idOf = (row: Record<string, unknown>) => rows("c.json", JSON.stringify([row]))[0]?.["id"]

  it("is identified by its path, else by its name, else by its address", () => {
    assert.strictEqual(idOf({ path: "site/gate", name: "Gate", url: "rtsp://h/1" }), "site-gate")
    assert.strictEqual(idOf({ name: "Front gate 2", url: "rtsp://h/1" }), "Front-gate-2")
    assert.strictEqual(idOf({ id: "", name: "Gate" }), "Gate")
    assert.match(String(idOf({ name: "Ворота 1" })), /^[0-9a-f]{8}$/)
    assert.match(String(idOf({ url: "rtsp://h/1" })), /^[0-9a-f]{8}$/)
    assert.notStrictEqual(idOf({ name: "Ворота 1" }), idOf({ name: "Ворота 2" }))
    assert.notStrictEqual(idOf({ host: "h", channel: 1 }), idOf({ host: "h", channel: 2 }))
  })

  it("keeps its id when its password, its options and the order of the rows change", () => {
    const id = idOf({ host: "10.0.0.5", password: "a" })
    assert.strictEqual(idOf({ password: "b", options: { audio: "drop" }, host: "10.0.0.5" }), id)
    assert.strictEqual(idOf({ name: "Gate", url: "rtsp://b" }), idOf({ name: "Gate" }))
    const other = { host: "10.0.0.6" }
    const [, row] = rows("c.json", JSON.stringify([other, { host: "10.0.0.5" }]))
    assert.strictEqual(row?.["id"], id)
  })
})
