import { assert, describe, it } from "@effect/vitest"
import { CameraTable } from "@restream/core"

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

  for (const text of ["", "a.b.c", "1cams", "cams;drop table x", "a b", '"', "a.", "--"]) {
    it(`rejects ${JSON.stringify(text)}`, () => {
      assert.isUndefined(CameraTable.parseTableName(text))
    })
  }
})
