import { assert, describe, it } from "@effect/vitest"
import { PercentEncoding } from "@restream/core"
import * as fc from "fast-check"

const { decodeOnce, encode, encodeTarget, isEncoded } = PercentEncoding

describe("PercentEncoding", () => {
  it("gives every text back that was encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.strictEqual(decodeURIComponent(encode(text)), text)
        assert.match(encode(text), /^(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})*$/)
      })
    )
  })

  it("decodes what was encoded, once", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.strictEqual(decodeOnce(encode(text)), text)
      })
    )
  })

  for (const [text, plain] of [
    ["p%40ss", "p@ss"],
    ["100%25", "100%"],
    ["%D0%BF", "п"],
    ["a%2Fb%3Fc", "a/b?c"]
  ] as const) {
    it(`takes ${text} for encoded`, () => {
      assert.isTrue(isEncoded(text))
      assert.strictEqual(decodeOnce(text), plain)
    })
  }

  for (const text of [
    "",
    "secret",
    "50%off",
    "100%",
    "%61bc",
    "a%zz",
    "%ff",
    "p%40 s",
    "a@%40",
    "ü%40"
  ]) {
    it(`takes ${JSON.stringify(text)} for plain text`, () => {
      assert.isFalse(isEncoded(text))
      assert.strictEqual(decodeOnce(text), text)
    })
  }

  it("makes any path fit for a request line, and leaves a fit one alone", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const target = encodeTarget(`/${text}`)
        assert.match(target, /^[\x21-\x7e]*$/)
        assert.strictEqual(encodeTarget(target), target)
      })
    )
    const fit = "/cam/realmonitor?channel=1&subtype=0&x=%20a;b,c=[1]"
    assert.strictEqual(encodeTarget(fit), fit)
  })
})
