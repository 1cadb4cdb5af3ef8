import { assert, describe, it } from "@effect/vitest"
import { Screen } from "@restream/cli/demo"
import { displayWidth } from "effect/cli/CliOutput"
import * as fc from "fast-check"

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `row ${index}`)

describe("Screen", () => {
  it("leaves the middle of a table out that has no room", () => {
    const lines = Screen.fit(numbered(40), ["", "• a step"], { rows: 14, columns: 80 })
    assert.deepStrictEqual(lines, [
      ...numbered(40).slice(0, 5),
      "… 30 more",
      ...numbered(40).slice(-5),
      "",
      "• a step"
    ])
  })

  it("never draws more than the terminal has, and what it can show is whole", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "門", "🎥", "é", " "), maxLength: 60 })
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 60 }),
        fc.array(text, { maxLength: 8 }),
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 4, max: 100 }),
        (table, below, rows, columns) => {
          const lines = Screen.fit(table, below, { rows, columns })
          assert.isBelow(lines.length, Math.max(2, rows))
          for (const line of lines) assert.isBelow(displayWidth(line), columns)
          const whole = Screen.fit(table, below, { rows: 100, columns: 200 })
          assert.deepStrictEqual(whole, [...table, ...below])
        }
      )
    )
  })

  it("goes up by no more than it drew", () => {
    const draw = Screen.makeScreen()
    assert.notInclude(draw(["a", "b", "c"]), "A")
    assert.isTrue(draw(["a"]).startsWith("\u001b[3A"))
    assert.isTrue(draw(["a", "b"]).startsWith("\u001b[1A"))
  })
})
