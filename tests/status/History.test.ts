import { assert, describe, it } from "@effect/vitest"
import { History } from "@restream/core"
import * as fc from "fast-check"

const minute = 60_000
/** How long the machine had been up. */
const start = 90_000_000

describe("History", () => {
  it("forgets what is an hour old", () => {
    const history = new History.History()
    for (let n = 0; n < 120; n++) history.count("restart", start + n * minute)
    assert.strictEqual(history.restarts, 120)
    assert.strictEqual(history.lastHour("restart", start + 119 * minute), 60)
    assert.strictEqual(history.lastHour("restart", start + 149 * minute), 30)
    assert.strictEqual(history.lastHour("restart", start + 500 * minute), 0)
  })

  it("agrees with a plain list of times, to the minute", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 * minute }), { maxLength: 200 }),
        (gaps) => {
          const history = new History.History()
          const times: Array<number> = []
          let now = start
          for (const gap of gaps) {
            now += gap
            times.push(now)
            history.count("stall", now)
          }
          const oldest = Math.floor(now / minute) - 59
          const expected = times.filter((time) => Math.floor(time / minute) >= oldest).length
          assert.strictEqual(history.lastHour("stall", now), expected)
        }
      )
    )
  })

  it("names health by restarts, and a camera that is down poor", () => {
    const words = [0, 2, 3, 11, 12].map((restarts) => History.health(restarts, true))
    assert.deepStrictEqual(words, ["good", "good", "fair", "fair", "poor"])
    assert.strictEqual(History.health(0, false), "poor")
  })
})
