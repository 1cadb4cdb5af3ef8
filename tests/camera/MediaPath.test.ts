import { assert, describe, it } from "@effect/vitest"
import { MediaPath } from "@restream/core"
import { Result, Schema } from "effect"
import * as fc from "fast-check"

describe("MediaPath", () => {
  for (const path of ["cam1", "site-4/gate_2", "a.b", "A/B/C", "a:b~c", "..a", "a..b/c."]) {
    it(`takes ${path}`, () => assert.isTrue(Result.isSuccess(MediaPath.parse(path))))
  }

  for (const path of [
    "",
    "/a",
    "a/",
    "a b",
    "a/./b",
    "a/..",
    ".",
    "кам",
    "a?b",
    "a%20b",
    "~a",
    "a@b",
    "a".repeat(MediaPath.maxLength + 1),
    "a\n"
  ]) {
    it(`rejects ${JSON.stringify(path)}`, () => {
      assert.isTrue(Result.isFailure(MediaPath.parse(path)))
    })
  }

  it("takes the longest path", () => {
    assert.isTrue(Result.isSuccess(MediaPath.parse("a".repeat(MediaPath.maxLength))))
  })

  it("takes exactly what its schema takes", () => {
    const is = Schema.is(MediaPath.MediaPath)
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "/", ".", "-", " ", "é") }), (text) => {
        assert.strictEqual(is(text), Result.isSuccess(MediaPath.parse(text)))
      })
    )
  })

  it("fills a template", () => {
    const filled = MediaPath.fromTemplate("site-{site}/cam{id}", { id: "7", site: "nord" })
    assert.deepStrictEqual(filled, MediaPath.parse("site-nord/cam7"))
  })

  it("names the column that a template lacks", () => {
    const filled = MediaPath.fromTemplate("{floor}/cam{id}", { id: "7" })
    assert.include(Result.isFailure(filled) ? filled.failure : "", "{floor}")
  })

  it("cannot be broken out of by a value", () => {
    for (const id of ["../x", "a b", "{id}", ""]) {
      const filled = MediaPath.fromTemplate("{id}", { id })
      assert.isTrue(Result.isFailure(filled), id)
    }
  })
})
