import { assert, describe, it } from "@effect/vitest"
import { CameraOptions, CameraTable } from "@restream/core"

describe("CameraTable", () => {
  it("names all options of a row in the comment of the column", () => {
    const sql = CameraTable.initStatements({ schema: undefined, name: "cameras" }, "c").join("\n")
    for (const name of Object.keys(CameraOptions.fields)) {
      assert.match(sql, new RegExp(`options +jsonb -- .*\\b${name}\\b`))
    }
  })
})
