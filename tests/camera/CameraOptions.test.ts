import { assert, describe, it } from "@effect/vitest"
import { isMutedBy, parseOptions } from "@restream/core"
import { Duration, Result } from "effect"

describe("the option alerts", () => {
  it("mutes a camera, and nothing else does", () => {
    for (const muted of [{ alerts: false }, '{"alerts": "no"}']) assert.isTrue(isMutedBy(muted))
    for (const other of [undefined, null, {}, { alerts: true }, { alerts: null }, "x", 5]) {
      assert.isFalse(isMutedBy(other))
    }
    assert.deepStrictEqual(parseOptions({ alerts: false }), Result.succeed({}))
    assert.deepStrictEqual(
      parseOptions({ alerts: "maybe" }),
      Result.fail(['column options.alerts: "maybe" is not true or false'])
    )
  })
})

describe("the options column", () => {
  it("takes the time for opening the camera as a duration with its unit", () => {
    assert.deepStrictEqual(
      parseOptions({ openTimeout: "30s" }),
      Result.succeed({ openTimeout: Duration.seconds(30) })
    )
    for (const invalid of [30, "30", "0s", "2 hours", "soon"]) {
      assert.isTrue(Result.isFailure(parseOptions({ openTimeout: invalid })), String(invalid))
    }
  })

  it("takes the names of the registered engines", () => {
    const mine = { engine: "mine" }
    assert.isTrue(Result.isFailure(parseOptions(mine)))
    assert.deepStrictEqual(parseOptions(mine, ["auto", "mine"]), Result.succeed(mine))
  })
})
