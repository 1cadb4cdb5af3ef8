/** Properties of the choice of a media server. */
import { assert, describe, it } from "@effect/vitest"
import { ServerChoice } from "@restream/core"
import * as fc from "fast-check"

const candidate = (name: string, weight = 1): ServerChoice.Candidate => ({
  server: { name, address: `${name}:8554`, key: name },
  weight
})

const names = (key: string, candidates: ReadonlyArray<ServerChoice.Candidate>) =>
  ServerChoice.inOrder(key, candidates).map(({ name }) => name)

const servers = fc
  .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,6}$/), fc.integer({ min: 1, max: 100 })), {
    minLength: 2,
    maxLength: 6,
    selector: ([name]) => name
  })
  .map((entries) => entries.map(([name, weight]) => candidate(name, weight)))

const paths = fc.array(fc.stringMatching(/^[a-z0-9_/]{1,12}$/), { minLength: 20, maxLength: 60 })

/** The shares of many cameras. */
const shares = (candidates: ReadonlyArray<ServerChoice.Candidate>, count = 20_000) => {
  const counts = new Map<string, number>()
  for (let id = 0; id < count; id++) {
    const [first = ""] = names(`cam${id}`, candidates)
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  return counts
}

describe("inOrder", () => {
  it("does not depend on the order in which the servers are listed", () => {
    fc.assert(
      fc.property(servers, paths, (servers, paths) => {
        for (const path of paths) {
          assert.deepStrictEqual(names(path, servers), names(path, servers.toReversed()))
        }
      })
    )
  })

  it("moves only the cameras of a server that is removed, each to its next server", () => {
    fc.assert(
      fc.property(servers, paths, ([removed, ...left], paths) => {
        if (removed === undefined) return
        for (const path of paths) {
          const before = names(path, [removed, ...left])
          assert.deepStrictEqual(
            names(path, left),
            before.filter((name) => name !== removed.server.name)
          )
        }
      })
    )
  })

  it("moves cameras only to the server whose weight grew", () => {
    fc.assert(
      fc.property(servers, paths, ([grown, ...others], paths) => {
        if (grown === undefined) return
        const heavier = { ...grown, weight: grown.weight * 2 }
        for (const path of paths) {
          const [before] = names(path, [grown, ...others])
          const [after] = names(path, [heavier, ...others])
          if (before !== after) assert.strictEqual(after, grown.server.name)
        }
      })
    )
  })

  it("divides cameras by the weights", () => {
    const counts = shares([candidate("a", 1), candidate("b", 2), candidate("c", 5)])
    // three standard deviations are less than 0.011 of all
    for (const [name, share] of [
      ["a", 1 / 8],
      ["b", 2 / 8],
      ["c", 5 / 8]
    ] as const) {
      assert.closeTo((counts.get(name) ?? 0) / 20_000, share, 0.011)
    }
  })

  it("gives the second choices of a server's cameras to all others, by their weights", () => {
    const all = [candidate("a"), candidate("b"), candidate("c", 3)]
    const second = new Map<string, number>()
    for (let id = 0; id < 20_000; id++) {
      const [first, next = ""] = names(`cam${id}`, all)
      if (first === "a") second.set(next, (second.get(next) ?? 0) + 1)
    }
    const total = [...second.values()].reduce((sum, count) => sum + count, 0)
    assert.closeTo((second.get("c") ?? 0) / total, 3 / 4, 0.025)
  })

  it("chooses today as it did yesterday, on every machine", () => {
    const all = [candidate("hall"), candidate("yard"), candidate("roof", 2)]
    assert.deepStrictEqual(
      ["cam1", "cam2", "cam3", "site/4"].map((path) => names(path, all).join(" ")),
      ["hall yard roof", "yard roof hall", "hall roof yard", "hall roof yard"]
    )
  })
})
