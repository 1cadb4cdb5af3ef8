import { assert, describe, it } from "@effect/vitest"
import { UnreadColumns } from "@restream/core"

// the last one of a camera type of somebody's own
const known = new Set(["id", "name", "type", "url", "host", "password", "enabled", "path", "site"])

const describeColumns = (...columns: ReadonlyArray<string>) =>
  UnreadColumns.describe(columns, known)

describe("UnreadColumns", () => {
  it("logs nothing where every column is read", () => {
    assert.isUndefined(describeColumns("id", "url"))
    assert.isUndefined(describeColumns())
  })

  it("names unknown columns without a suggestion", () => {
    assert.deepStrictEqual(describeColumns("id", "zone"), {
      message: "nothing reads the column zone",
      isSuspicious: false
    })
    assert.deepStrictEqual(describeColumns("zone", "id", "floor"), {
      message: "nothing reads the columns zone, floor",
      isSuspicious: false
    })
  })

  for (const [column, meant] of [
    ["active", "enabled"],
    ["PWD", "password"],
    ["uri", "url"],
    ["passwrd", "password"],
    ["enable_d", "enabled"],
    ["hsot", "host"],
    ["hots", "host"],
    ["nam", "name"],
    ["names", "name"]
  ] as const) {
    it(`asks whether ${column} was meant to be ${meant}`, () => {
      assert.deepStrictEqual(describeColumns("id", column), {
        message: `nothing reads the column ${column} (did you mean ${meant}?)`,
        isSuspicious: true
      })
    })
  }

  it("treats a short word of other letters as no misspelling", () => {
    for (const column of ["most", "game", "math"]) {
      assert.isFalse(describeColumns(column)?.isSuspicious, column)
    }
  })

  it("asks for no column that the result has", () => {
    assert.deepStrictEqual(describeColumns("id", "password", "pwd", "enabled", "enable"), {
      message: "nothing reads the columns pwd, enable",
      isSuspicious: false
    })
  })
})
