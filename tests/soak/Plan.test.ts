import { assert, describe, it } from "@effect/vitest"
import { plan } from "./Plan.ts"

const options = { seed: 7, cameras: 20, stormMs: 60_000, everyMs: 1500, longestMs: 20_000 }
const storms = Array.from({ length: 20 }, (_, storm) => plan(options, storm))

describe("The plan of a soak", () => {
  it("is the same for the same seed, and another for each storm and seed", () => {
    assert.deepStrictEqual(plan(options, 3), storms[3])
    assert.notDeepEqual(storms[4], storms[3])
    assert.notDeepEqual(plan({ ...options, seed: 8 }, 3), storms[3])
  })

  it("has its steps in order, within the storm, for cameras that there are", () => {
    for (const steps of storms) {
      const times = steps.map(({ atMs }) => atMs)
      assert.deepStrictEqual(
        times,
        [...times].sort((a, b) => a - b)
      )
      for (const { atMs, camera, forMs } of steps) {
        assert.isTrue(atMs >= 0 && atMs <= options.stormMs)
        assert.isTrue(camera >= 0 && camera < options.cameras)
        assert.isTrue(forMs > 0 && forMs <= options.longestMs)
      }
    }
  })

  it("comes to every fault of the media server and of the database, and to pairs of them", () => {
    const faults = new Set(storms.flat().map(({ fault }) => fault))
    for (const fault of ["Stop", "Kill", "Freeze"] as const) {
      assert.isTrue(faults.has(`server${fault}`), fault)
      assert.isTrue(faults.has(`database${fault}`), fault)
    }
    assert.isTrue(faults.has("serverKick") && faults.has("databaseTerminate"))
    assert.isTrue(faults.has("tableAway") && faults.has("disableAll"))
    const pairs = storms.map((steps) =>
      steps
        .map(({ fault }) => fault)
        .filter((fault) => /^(server|database|tableAway)/.test(fault))
        .sort()
        .join()
    )
    assert.strictEqual(new Set(pairs).size, 20)
  })
})
