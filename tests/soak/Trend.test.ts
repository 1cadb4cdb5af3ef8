import { assert, describe, it } from "@effect/vitest"
import { trend } from "./Trend.ts"

const hour = 3_600_000
/** Deviations that no line follows, as a sequence of fixed numbers. */
const wobble = (index: number) => ((index * 7919) % 13) / 13 - 0.5
const points = (perHour: number, spread: number) =>
  Array.from(
    { length: 40 },
    (_, index) =>
      [(index * hour) / 40, 100 + (perHour * index) / 40 + spread * wobble(index)] as const
  )

describe("trend", () => {
  it("finds the slope of a line", () => {
    const { isFlat, perHour, standardError } = trend(points(12, 0))
    assert.closeTo(perHour, 12, 1e-9)
    assert.closeTo(standardError, 0, 1e-9)
    assert.isFalse(isFlat)
  })

  it("calls what only wobbles flat", () => {
    const found = trend(points(0, 4))
    assert.isTrue(found.isFlat)
    assert.isAbove(found.standardError, 0)
  })

  it("sees a growth that is greater than the wobble", () => {
    const { isFlat, perHour, standardError } = trend(points(6, 4))
    assert.isFalse(isFlat)
    assert.isBelow(Math.abs(perHour - 6), 3 * standardError)
  })

  it("agrees with the standard error of a textbook's example", () => {
    // y = 1, 3, 2, 5 at x = 0, 1, 2, 3: slope 1.1, residual variance 2.7 / 2, spread 5
    const { perHour, standardError } = trend([
      [0, 1],
      [hour, 3],
      [2 * hour, 2],
      [3 * hour, 5]
    ])
    assert.closeTo(perHour, 1.1, 1e-9)
    assert.closeTo(standardError, Math.sqrt(2.7 / 2 / 5), 1e-9)
  })

  it("claims nothing of two points", () => {
    assert.isNaN(
      trend([
        [0, 1],
        [hour, 1]
      ]).perHour
    )
  })
})
