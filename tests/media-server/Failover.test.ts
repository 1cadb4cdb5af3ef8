/** When the cameras of a media server move to others, and when they return. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraRow,
  CameraTypes,
  Failover,
  type MediaServerStatus
} from "@restream/core"
import { options } from "../kit/Tree.ts"
import { makeDecoder } from "../kit/Decoder.ts"

const timing = { afterMs: 30_000, backAfterMs: 300_000 }

/** Steps through the seconds; each string has the health of the servers a, b, …: `+` reachable, `-` not, `?` unknown. */
const run = (...steps: ReadonlyArray<readonly [seconds: number, health: string]>) => {
  let standings: Failover.Standings = new Map()
  let nowMs = 0
  let lastHealth = ""
  const since: Array<number> = []
  return steps.map(([seconds, health]) => {
    for (const [index, one] of [...health].entries()) {
      if (one !== lastHealth[index]) since[index] = nowMs
    }
    lastHealth = health
    const servers = [...health].map((one, index) => ({
      name: "abc"[index]!,
      status: statusOf(one, since[index]!)
    }))
    for (let second = 0; second < seconds; second++) {
      standings = Failover.next(standings, servers, nowMs, timing)
      nowMs += 1000
    }
    return [...Failover.awayOf(standings)].join("")
  })
}

const statusOf = (health: string, since: number): MediaServerStatus =>
  health === "?"
    ? { _tag: "Unknown" }
    : health === "+"
      ? { _tag: "Up", since }
      : { _tag: "Down", since, detail: "connection refused" }

describe("next", () => {
  it("is unreachable after failover.after without a break, and reachable after failover.backAfter", () => {
    assert.deepStrictEqual(run([10, "++"], [30, "-+"], [1, "-+"], [300, "++"], [1, "++"]), [
      "",
      "",
      "a",
      "a",
      ""
    ])
  })

  it("restarts with each interruption", () => {
    assert.deepStrictEqual(run([30, "-+"], [1, "++"], [30, "-+"], [1, "-+"]), ["", "", "", "a"])
    assert.deepStrictEqual(run([31, "-+"], [299, "++"], [1, "-+"], [300, "++"], [1, "++"]), [
      "a",
      "a",
      "a",
      "a",
      ""
    ])
  })

  it("notices a break between two polls", () => {
    let standings: Failover.Standings = new Map()
    const look = (since: number, nowMs: number) => {
      const servers = [
        { name: "a", status: { _tag: "Down", since, detail: "" } },
        { name: "b", status: { _tag: "Up", since: 0 } }
      ] as const
      standings = Failover.next(standings, servers, nowMs, timing)
      return Failover.awayOf(standings).size
    }
    assert.deepStrictEqual(
      [look(0, 0), look(1, 30_000), look(1, 59_999), look(1, 60_000)],
      [0, 0, 0, 1]
    )
  })

  it("does not treat a server whose first check has not ended as unreachable", () => {
    assert.deepStrictEqual(run([100, "?+"], [31, "?-"]), ["", "b"])
  })

  it("moves nothing while no server is reachable, and everything at once when one is", () => {
    assert.deepStrictEqual(run([100, "--"], [1, "-+"], [1, "++"]), ["", "a", "a"])
    assert.deepStrictEqual(run([31, "-+"], [100, "--"], [1, "-+"]), ["a", "a", "a"])
  })

  it("returns at once to a server that is reachable while all others are unreachable", () => {
    assert.deepStrictEqual(run([31, "-+"], [100, "--"], [1, "+-"], [1, "++"]), ["a", "a", "b", "b"])
  })
})

const servers = ["hall", "yard", "roof"].map((name) => ({
  server: { name, address: `${name}:8554`, key: name },
  weight: 1
}))

const cameras = (
  away: ReadonlyArray<string>,
  rows: ReadonlyArray<CameraRow>,
  pathTemplate = "cam{id}"
) => {
  const set = makeDecoder({
    types: CameraTypes.make(),
    pathTemplate,
    servers,
    hasFailover: true,
    defaults: options.defaults
  })(rows)
  const moved = Failover.apply(set, new Set(away))
  const serverOf = (camera: Camera) => camera.mediaServer!.name
  return [...moved.cameras.values()].map((camera) =>
    camera._tag === "Camera"
      ? `${camera.id} ${serverOf(camera)} of ${[camera.mediaServer!, ...(camera.fallbackServers ?? [])].map(({ name }) => name).join()}`
      : camera.problem
  )
}

const row = (id: number, more: CameraRow = {}): CameraRow => ({
  id,
  url: "rtsp://10.0.0.5/live",
  ...more
})

const serversNow = (
  away: ReadonlyArray<string>,
  rows: ReadonlyArray<CameraRow>,
  template?: string
) => cameras(away, rows, template).map((text) => text.split(" ")[1])

describe("apply", () => {
  const rows = Array.from({ length: 60 }, (_, id) => row(id))
  const home = serversNow([], rows)

  it("moves the cameras of unreachable servers, and no other ones", () => {
    const now = serversNow(["hall"], rows)
    for (const [index, server] of home.entries()) {
      if (server === "hall") assert.notStrictEqual(now[index], "hall")
      else assert.strictEqual(now[index], server)
    }
    assert.includeMembers(now, ["yard", "roof"])
    assert.deepStrictEqual(new Set(serversNow(["hall", "roof"], rows)), new Set(["yard"]))
  })

  it("moves no camera where all servers are unreachable, or none is", () => {
    assert.deepStrictEqual(serversNow(["hall", "yard", "roof"], rows), home)
    assert.deepStrictEqual(serversNow(["other"], rows), home)
  })

  it("leaves a camera whose row names its server, or whose path does", () => {
    assert.deepStrictEqual(serversNow(["hall"], [row(1, { media_server: "hall" })]), ["hall"])
    const template = "{media_server}/cam{id}"
    const named = serversNow([], rows, template)
    assert.deepStrictEqual(serversNow(["hall"], rows, template), named)
  })

  it("passes over a server where another camera has the path", () => {
    const id = home.indexOf("hall")
    const path = `cam${id}`
    const [next = ""] = serversNow(["hall"], [row(id)])
    const pinned = row(100, { path, media_server: next })
    const [other] = serversNow(["hall"], [row(id), pinned])
    assert.notInclude(["hall", next], other)
    const both = [pinned, row(101, { path, media_server: other ?? "" })]
    assert.strictEqual(serversNow(["hall"], [row(id), ...both])[0], "hall")
  })
})
