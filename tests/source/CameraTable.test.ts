import { assert, describe, it } from "@effect/vitest"
import { CameraOptions, CameraTable } from "@restream/core"

describe("CameraTable", () => {
  for (const [text, schema, name] of [
    ["cameras", undefined, "cameras"],
    ["Cameras", undefined, "cameras"],
    ["video.cameras", "video", "cameras"],
    ['"Video"."Main ""Cams"""', "Video", 'Main "Cams"'],
    [" video . cameras ", "video", "cameras"]
  ] as const) {
    it(`reads ${text}`, () => {
      assert.deepStrictEqual(CameraTable.parseTableName(text), { schema, name })
    })
  }

  it("names all options that a row may hold", () => {
    const sql = CameraTable.initStatements({ schema: undefined, name: "cameras" }, "c").join("\n")
    for (const name of Object.keys(CameraOptions.fields)) {
      assert.match(sql, new RegExp(`options +jsonb -- .*\\b${name}\\b`))
    }
  })

  for (const text of ["", "a.b.c", "1cams", "cams;drop table x", "a b", '"', "a.", "--"]) {
    it(`rejects ${JSON.stringify(text)}`, () => {
      assert.isUndefined(CameraTable.parseTableName(text))
    })
  }
})
