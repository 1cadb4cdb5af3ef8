import { assert, describe, it } from "@effect/vitest"
import {
  CameraSourceError,
  type CameraId,
  type CameraState,
  type CameraStatus,
  type MediaServerStatus,
  type MembershipProblem,
  Reason,
  type SourceHealth,
  Unavailable
} from "@restream/core"
import { type Alert, AlertState } from "@restream/core/alerts"
import * as fc from "fast-check"
import * as StatusOf from "../kit/CameraStatus.ts"

const afterMs = 60_000
const second = 1000
const minute = 60 * second

const refusedAt = (host: string) => new Reason.Refused({ authority: host })
const silent = new Reason.TimedOut({ phase: "connecting", afterMs: 10_000 })
const stalled = new Reason.Stalled({ side: "input", afterMs: 10_000 })
const wrongPassword = new Reason.Unauthorized({ credentials: "wrong" })
const serverGone = new Reason.ServerGone({ detail: "connection reset" })

type Seen = StatusOf.Seen & { readonly since: number }

const liveState: CameraState.CameraState = {
  _tag: "Live",
  engine: "native",
  offer: { video: { codec: "h264" }, audio: undefined },
  since: 0
}
const unreachable = (reason: Reason.Reason): CameraState.CameraState => ({
  _tag: "Unreachable",
  reason,
  attempt: 1,
  retryAt: 0
})

/** A fleet in virtual time: cameras are set, and each `advance` observes once a second. */
class Fleet {
  state = AlertState.empty
  nowMs = 0
  mediaServer: MediaServerStatus = { _tag: "Up", since: 0 }
  /** The media servers by name, where there are several. */
  mediaServers: Readonly<Record<string, MediaServerStatus>> = {}
  source: SourceHealth = { _tag: "Up", lastSnapshotAt: 0 }
  cluster: MembershipProblem | undefined
  node: string | undefined
  isQuiet = false
  isStandby = false
  /** Cameras that another daemon relays. */
  readonly moved = new Set<string>()
  readonly cameras = new Map<string, CameraStatus>()
  readonly events: Array<Alert> = []

  get now(): number {
    return 1_700_000_000_000 + this.nowMs
  }

  live(...ids: ReadonlyArray<string>): this {
    for (const id of ids) {
      this.cameras.set(id, StatusOf.make(id, { state: liveState, since: this.now }))
    }
    return this
  }

  flapping(id: string): this {
    this.cameras.set(id, StatusOf.make(id, { state: liveState, since: this.now, health: "poor" }))
    return this
  }

  /** Not live since now, or since it already was not. */
  down(id: string, reason: Reason.Reason, host?: string): this {
    const before = this.cameras.get(id)
    const since = before === undefined || before.word === "ok" ? this.now : before.since
    return this.set(id, {
      state: unreachable(reason),
      reason,
      since,
      ...(host === undefined ? {} : { host })
    })
  }

  waiting(id: string, what: "media server" | "operator", reason?: Reason.Reason): this {
    return this.set(id, { state: { _tag: "Waiting", for: what }, reason, since: this.now })
  }

  set(id: string, seen: Seen): this {
    this.cameras.set(id, StatusOf.make(id, seen))
    return this
  }

  observe(): ReadonlyArray<Alert> {
    const { events, state } = AlertState.next(this.state, {
      cameras: [...this.cameras.values()],
      mediaServers:
        Object.keys(this.mediaServers).length === 0
          ? [{ name: undefined, status: this.mediaServer }]
          : Object.entries(this.mediaServers).map(([name, status]) => ({ name, status })),
      cluster: this.cluster,
      node: this.node,
      source: this.source,
      now: this.now,
      nowMs: this.nowMs,
      afterMs,
      isQuiet: this.isQuiet,
      isStandby: this.isStandby,
      isOurs: (id) => !this.moved.has(id),
      boot: "boot"
    })
    this.state = state
    this.events.push(...events)
    return events
  }

  /** The events of that time. */
  advance(ms: number): ReadonlyArray<Alert> {
    const from = this.events.length
    this.observe()
    for (let passed = 0; passed < ms; passed += second) {
      this.nowMs += Math.min(second, ms - passed)
      this.observe()
    }
    return this.events.slice(from)
  }
}

const ids = (count: number, from = 1): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => String(from + index))

const brief = (events: ReadonlyArray<Alert>) =>
  events.map(({ count, event, id }) => `${event} ${id} ${count}`)

describe("alerts", () => {
  it("open when a camera has been down for the time, and are resolved when it has been live for it", () => {
    const fleet = new Fleet().live("1", "2")
    assert.deepStrictEqual(fleet.advance(minute), [])
    fleet.down("1", refusedAt("10.0.0.9:554"))
    const downAt = fleet.now
    assert.deepStrictEqual(fleet.advance(afterMs - second), [])
    const [opened, ...others] = fleet.advance(second)
    assert.deepStrictEqual(others, [])
    assert.deepStrictEqual(opened, {
      event: "opened",
      id: "boot-1",
      key: "unreachable 10.0.0.9:554",
      kind: "Refused",
      node: undefined,
      severity: "critical",
      title: 'camera 1 "Camera 1": connection refused by 10.0.0.9:554',
      advice: "Check the port in the row, and that RTSP is switched on in the camera.",
      host: "10.0.0.9:554",
      since: downAt,
      openedAt: fleet.now,
      resolvedAt: undefined,
      count: 1,
      cameras: [
        {
          id: "1" as CameraId,
          name: "Camera 1",
          path: "cam1",
          since: downAt,
          reason: "connection refused by 10.0.0.9:554"
        }
      ]
    })
    assert.deepStrictEqual(fleet.advance(10 * minute), [])
    fleet.live("1")
    assert.deepStrictEqual(fleet.advance(afterMs - second), [])
    const [resolved] = fleet.advance(second)
    assert.deepStrictEqual(resolved, { ...opened!, event: "resolved", resolvedAt: fleet.now })
    assert.deepStrictEqual(fleet.advance(10 * minute), [])
    // the same problem again is another alert
    fleet.down("1", refusedAt("10.0.0.9:554"))
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-2 1"])
  })

  it("do not open for a camera that is back in time, however often", () => {
    const fleet = new Fleet().live("1")
    for (let i = 0; i < 8; i++) {
      fleet.down("1", silent)
      assert.deepStrictEqual(fleet.advance(afterMs - second), [])
      // live for a moment that no observation sees
      fleet.live("1")
    }
    fleet.advance(0)
    fleet.down("1", silent)
    fleet.nowMs += 200
    fleet.cameras.delete("1")
    fleet.down("1", silent)
    assert.deepStrictEqual(fleet.advance(afterMs - second), [])
  })

  it("are one for a recorder, with any reasons of its cameras", () => {
    const fleet = new Fleet().live(...ids(32))
    fleet.advance(second)
    for (const id of ids(20)) fleet.down(id, stalled)
    fleet.advance(8 * second)
    for (const id of ids(12, 21)) fleet.down(id, refusedAt("10.0.0.9:554"))
    fleet.advance(8 * second)
    for (const id of ids(20)) fleet.down(id, silent)
    const events = fleet.advance(10 * minute)
    assert.deepStrictEqual(brief(events), ["opened boot-1 32"])
    assert.strictEqual(
      events[0]?.title,
      "32 cameras at 10.0.0.9:554: no response within 10 s while connecting"
    )
    assert.strictEqual(events[0]?.host, "10.0.0.9:554")
    fleet.live(...ids(32))
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["resolved boot-1 32"])
  })

  it("are one for a switch that takes several hosts with it, and another for a later host", () => {
    const fleet = new Fleet().live(...ids(40))
    for (const id of ids(12)) {
      fleet.down(id, silent, `10.0.0.${id}:554`)
      fleet.advance(2 * second)
    }
    const events = fleet.advance(afterMs)
    assert.deepStrictEqual(brief(events), ["opened boot-1 12"])
    assert.match(events[0]!.title, /^12 cameras at 12 hosts: /)
    assert.strictEqual(events[0]!.host, undefined)
    fleet.down("40", silent, "10.0.0.40:554")
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-2 1"])
  })

  it("keep a host name that cannot be resolved apart from a device that refuses", () => {
    const fleet = new Fleet().live(...ids(4))
    fleet.down("1", refusedAt("10.0.0.1:554"), "10.0.0.1:554")
    fleet.down("2", refusedAt("10.0.0.2:554"), "10.0.0.2:554")
    const unknown = new Reason.DnsError({ host: "gate.example", why: "NoSuchHost" })
    fleet.down("3", unknown, "gate.example:554")
    assert.deepStrictEqual(
      fleet.advance(afterMs).map(({ kind, title }) => [kind, title]),
      [
        ["Refused", "2 cameras at 2 hosts: connection refused"],
        ["DnsError", `camera 3 "Camera 3": ${unknown.message}`]
      ]
    )
  })

  it("of what a media server does name the server, and not the host of its cameras", () => {
    const fleet = new Fleet().live(...ids(4))
    const reason = new Reason.ServerUnauthorized({ credentials: "wrong" })
    for (const [id, mediaServer] of [
      ["1", "hall"],
      ["2", "hall"],
      ["3", "yard"]
    ] as const) {
      const camera = StatusOf.make(id, { state: unreachable(reason), reason, since: fleet.now })
      fleet.cameras.set(id, { ...camera, mediaServer })
    }
    const events = fleet.advance(afterMs)
    assert.deepStrictEqual(
      events.map(({ count, host, key }) => [key, count, host]),
      [
        ["ServerUnauthorized hall", 2, undefined],
        ["ServerUnauthorized yard", 1, undefined]
      ]
    )
    assert.match(events[0]!.title, /^2 cameras: media server hall refused .*mediaServers\.hall\./)
  })

  it("keep hosts apart that go down one after the other", () => {
    const fleet = new Fleet().live(...ids(3))
    fleet.down("1", silent, "10.0.0.1:554")
    fleet.advance(40 * second)
    fleet.down("2", silent, "10.0.0.2:554")
    assert.deepStrictEqual(brief(fleet.advance(5 * minute)), ["opened boot-1 1", "opened boot-2 1"])
  })

  it("stay open while the same cameras are down for another reason", () => {
    const fleet = new Fleet().live("1", "2")
    fleet.down("1", silent).down("2", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 2"])
    fleet.down("1", wrongPassword).down("2", new Reason.NotFound())
    assert.deepStrictEqual(fleet.advance(10 * minute), [])
    fleet.live("1")
    assert.deepStrictEqual(fleet.advance(10 * minute), [])
    fleet.waiting("2", "media server")
    assert.deepStrictEqual(fleet.advance(10 * minute), [])
    fleet.live("2")
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["resolved boot-1 2"])
  })

  it("stay open while a camera is flapping", () => {
    const fleet = new Fleet().live("1")
    fleet.down("1", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 1"])
    for (let i = 0; i < 10; i++) {
      fleet.live("1")
      assert.deepStrictEqual(fleet.advance(30 * second), [])
      fleet.down("1", silent)
      assert.deepStrictEqual(fleet.advance(2 * minute), [])
    }
  })

  it("report cameras that are added, at most every five minutes", () => {
    const fleet = new Fleet().live(...ids(32))
    fleet.down("1", refusedAt("10.0.0.9:554"))
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 1"])
    for (const id of ids(31, 2)) {
      fleet.down(id, refusedAt("10.0.0.9:554"))
      fleet.advance(second)
    }
    assert.deepStrictEqual(brief(fleet.events.slice(1)), [])
    assert.deepStrictEqual(brief(fleet.advance(5 * minute)), ["updated boot-1 32"])
    assert.deepStrictEqual(brief(fleet.advance(30 * minute)), [])
  })

  it("of flapping cameras are open until they are calm", () => {
    const fleet = new Fleet().live("1", "2")
    fleet.flapping("1")
    assert.deepStrictEqual(brief(fleet.advance(0)), ["opened boot-1 1"])
    for (let i = 0; i < 20; i++) {
      fleet.down("1", stalled)
      assert.deepStrictEqual(fleet.advance(10 * second), [])
      fleet.flapping("1")
      assert.deepStrictEqual(fleet.advance(3 * minute), [])
    }
    assert.strictEqual(fleet.events[0]?.severity, "warning")
    fleet.live("1")
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["resolved boot-1 1"])
  })

  it("of the media server and the database are about no camera", () => {
    const fleet = new Fleet().live("1", "2")
    fleet.advance(second)
    fleet.mediaServer = { _tag: "Down", since: fleet.now, detail: "connection refused" }
    fleet.down("1", serverGone)
    fleet.waiting("2", "media server", serverGone)
    const events = fleet.advance(5 * minute)
    assert.deepStrictEqual(brief(events), ["opened boot-1 1"])
    assert.deepInclude(events[0], {
      key: "media-server",
      title: "media server is unreachable: connection refused"
    })
    // the cameras have time to come back
    fleet.mediaServer = { _tag: "Up", since: fleet.now }
    assert.deepStrictEqual(fleet.advance(afterMs - second), [])
    fleet.live("1", "2")
    assert.deepStrictEqual(brief(fleet.advance(second)), ["resolved boot-1 1"])
    assert.deepStrictEqual(fleet.advance(10 * minute), [])

    const error = new CameraSourceError({ reason: new Unavailable({ detail: "no route" }) })
    fleet.source = { _tag: "Down", since: fleet.now, lastSnapshotAt: 0, error }
    assert.deepInclude(fleet.advance(afterMs)[0], {
      key: "database",
      title: "camera list cannot be read: no route",
      count: 0
    })
    fleet.source = { _tag: "Up", lastSnapshotAt: fleet.now }
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["resolved boot-2 0"])
  })

  it("of a node that takes no part in its cluster says why, and what to do", () => {
    const fleet = new Fleet()
    fleet.node = "b2"
    fleet.cluster = { message: "no right on the table", advice: "Run: grant", since: fleet.now }
    assert.deepStrictEqual(fleet.advance(afterMs - second), [])
    const [opened] = fleet.advance(second)
    assert.deepInclude(opened, {
      event: "opened",
      key: "cluster",
      kind: "cluster",
      node: "b2",
      title: "no right on the table",
      advice: "Run: grant",
      since: fleet.cluster.since
    })
    const [repeated] = AlertState.openAlerts(fleet.state)
    assert.deepStrictEqual(repeated, opened)
    fleet.cluster = undefined
    const [resolved] = fleet.advance(afterMs)
    assert.deepStrictEqual(
      [resolved?.event, resolved?.id, resolved?.node],
      ["resolved", opened?.id, "b2"]
    )
  })

  it("of several media servers are about each of them, and hold its cameras only", () => {
    const fleet = new Fleet()
    const up: MediaServerStatus = { _tag: "Up", since: 0 }
    const on = (id: string, mediaServer: string) =>
      fleet.cameras.set(id, { ...fleet.cameras.get(id)!, mediaServer })
    fleet.live("1", "2")
    fleet.mediaServers = {
      hall: up,
      yard: { _tag: "Down", since: fleet.now, detail: "no response within 2 s" }
    }
    fleet.waiting("1", "media server").down("2", serverGone)
    on("1", "yard")
    on("2", "hall")
    const events = fleet.advance(afterMs)
    assert.deepStrictEqual(
      events.map(({ count, key, title }) => [key, title, count]),
      [
        ["media-server yard", "media server yard is unreachable: no response within 2 s", 1],
        ["ServerGone hall", 'camera 2 "Camera 2": lost media server hall: connection reset', 1]
      ]
    )
    fleet.mediaServers = { hall: up, yard: { _tag: "Up", since: fleet.now } }
    assert.deepStrictEqual(
      fleet.advance(afterMs).map(({ event, key }) => [event, key]),
      [["resolved", "media-server yard"]]
    )
  })

  it("are resolved when their cameras leave the table, or an operator stops them", () => {
    const fleet = new Fleet().live("1", "2")
    fleet.down("1", silent).down("2", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 2"])
    fleet.cameras.delete("1")
    assert.deepStrictEqual(fleet.advance(second), [])
    fleet.waiting("2", "operator")
    assert.deepStrictEqual(brief(fleet.advance(0)), ["resolved boot-1 2"])
  })

  it("are not resolved because their cameras moved to another daemon", () => {
    const fleet = new Fleet().live("1", "2", "3")
    fleet.down("1", silent).down("2", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 2"])
    for (const id of ["1", "2"]) {
      fleet.moved.add(id)
      fleet.cameras.delete(id)
      assert.deepStrictEqual(fleet.advance(10 * minute), [])
    }
    assert.deepStrictEqual(fleet.state.alerts, [])
    // of two cameras one moves and one is live again
    fleet.moved.clear()
    fleet.down("1", silent).down("3", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-2 2"])
    fleet.moved.add("1")
    fleet.cameras.delete("1")
    assert.deepStrictEqual(fleet.advance(minute), [])
    fleet.live("3")
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["resolved boot-2 2"])
  })

  it("wait in quiet hours, and report afterwards what is still wrong", () => {
    const fleet = new Fleet().live("1", "2", "3")
    fleet.down("1", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 1"])
    fleet.isQuiet = true
    fleet.live("1").down("2", silent, "10.0.0.2:554").down("3", silent, "10.0.0.3:554")
    assert.deepStrictEqual(fleet.advance(8 * 60 * minute), [])
    fleet.live("3")
    fleet.advance(second)
    fleet.isQuiet = false
    assert.deepStrictEqual(brief(fleet.advance(0)), ["resolved boot-1 1", "opened boot-2 1"])
  })

  it("of a standby are none, and what was open is forgotten", () => {
    const fleet = new Fleet().live("1")
    fleet.down("1", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 1"])
    fleet.isStandby = true
    fleet.cameras.clear()
    const error = new CameraSourceError({ reason: new Unavailable({ detail: "no route" }) })
    fleet.source = { _tag: "Down", since: fleet.now, lastSnapshotAt: 0, error }
    assert.deepStrictEqual(fleet.advance(10 * minute), [])
    fleet.isStandby = false
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-2 0"])
  })

  it("are not about muted cameras", () => {
    const fleet = new Fleet().live("1", "2")
    const mute = (id: string) => fleet.cameras.set(id, { ...fleet.cameras.get(id)!, isMuted: true })
    fleet.down("1", silent)
    mute("1")
    assert.deepStrictEqual(fleet.advance(10 * minute), [])
    fleet.down("2", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-1 1"])
    mute("2")
    assert.deepStrictEqual(brief(fleet.advance(0)), ["resolved boot-1 1"])
    fleet.down("1", silent)
    assert.deepStrictEqual(brief(fleet.advance(afterMs)), ["opened boot-2 1"])
  })

  it("are about a further stream only while the main stream is live", () => {
    const fleet = new Fleet().live("1")
    const withSub = (sub: CameraStatus) =>
      fleet.cameras.set("1", {
        ...fleet.cameras.get("1")!,
        substreams: [{ ...sub, id: "1:sub" as CameraId, stream: "sub" }]
      })
    const downSub = StatusOf.make("1", {
      state: unreachable(new Reason.NotFound()),
      reason: new Reason.NotFound(),
      since: 0
    })
    fleet.down("1", silent)
    withSub(downSub)
    assert.deepStrictEqual(brief(fleet.advance(10 * minute)), ["opened boot-1 1"])
    fleet.live("1")
    withSub(downSub)
    const [first, second] = fleet.advance(10 * minute)
    assert.deepStrictEqual(brief([first!, second!]), ["resolved boot-1 1", "opened boot-2 1"])
    assert.strictEqual(second?.cameras[0]?.id, "1:sub")
  })

  it("count a camera once, whichever of its streams fail", () => {
    const fleet = new Fleet().live("1", "2")
    const reason = new Reason.NotFound()
    const failing = StatusOf.make("1", { state: unreachable(reason), reason, since: 0 })
    const setStreams = (...names: ReadonlyArray<string>) =>
      fleet.cameras.set("1", {
        ...fleet.cameras.get("1")!,
        substreams: names.map((stream) => ({
          ...failing,
          id: `1:${stream}` as CameraId,
          stream
        }))
      })
    setStreams("sub", "third")
    const [opened] = fleet.advance(afterMs)
    assert.deepStrictEqual([opened?.count, opened?.cameras.map(({ id }) => id)], [1, ["1:sub"]])
    assert.match(opened?.title ?? "", /^camera 1:sub/)
    fleet.down("1", new Reason.NotFound())
    setStreams("sub", "third")
    fleet.down("2", new Reason.NotFound())
    const updated = fleet.advance(10 * minute).at(-1)
    assert.deepStrictEqual([updated?.count, updated?.cameras.map(({ id }) => id)], [2, ["1", "2"]])
  })

  it("hold no secret", () => {
    const fleet = new Fleet()
    const detail = "rtsp://admin:Planted1@10.0.0.3/x said password=Planted2\nforged line"
    fleet.down("1", new Reason.ProtocolError({ detail }))
    fleet.set("2", {
      state: { _tag: "Invalid", problem: "rtsp://admin:Planted3@10.0.0.4:99999 is invalid" },
      since: fleet.now
    })
    const text = JSON.stringify(fleet.advance(afterMs))
    assert.notMatch(text, /Planted/)
    assert.include(text, "rtsp://***@10.0.0.3/x")
    assert.include(text, "rtsp://***@10.0.0.4:99999")
    assert.isTrue(fleet.events.every(({ title }) => !title.includes("\n")))
  })
})

const reasons = [silent, stalled, wrongPassword, serverGone, refusedAt("10.0.0.9:554")]

type Change =
  | { readonly _tag: "live"; readonly camera: number }
  | { readonly _tag: "gone"; readonly camera: number }
  | { readonly _tag: "flapping"; readonly camera: number }
  | { readonly _tag: "stopped"; readonly camera: number }
  | { readonly _tag: "down"; readonly camera: number; readonly reason: number }
  | { readonly _tag: "server" }
  | { readonly _tag: "quiet" }

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    _tag: fc.constantFrom(
      "live" as const,
      "gone" as const,
      "flapping" as const,
      "stopped" as const
    ),
    camera: fc.nat(5)
  }),
  fc.record({
    _tag: fc.constant("down" as const),
    camera: fc.nat(5),
    reason: fc.nat(reasons.length - 1)
  }),
  fc.record({ _tag: fc.constantFrom("server" as const, "quiet" as const) })
)

const history = fc.array(fc.tuple(change, fc.integer({ min: 0, max: 90 })), { maxLength: 40 })

const apply = (fleet: Fleet, step: Change): void => {
  if (step._tag === "quiet") {
    fleet.isQuiet = !fleet.isQuiet
    return
  }
  if (step._tag === "server") {
    fleet.mediaServer =
      fleet.mediaServer._tag === "Up"
        ? { _tag: "Down", since: fleet.now, detail: "refused" }
        : { _tag: "Up", since: fleet.now }
    return
  }
  const id = String(step.camera)
  const host = `10.0.0.${step.camera % 3}:554`
  switch (step._tag) {
    case "live":
      if (fleet.cameras.get(id)?.word !== "ok") fleet.live(id)
      return
    case "flapping":
      fleet.flapping(id)
      return
    case "gone":
      fleet.cameras.delete(id)
      return
    case "stopped":
      fleet.waiting(id, "operator")
      return
    case "down":
      fleet.down(id, reasons[step.reason]!, host)
      return
  }
}

describe("any history of a fleet", () => {
  it("opens each alert once, updates open ones only, and resolves each once", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const fleet = new Fleet().live(...ids(6, 0))
        for (const [step, seconds] of steps) {
          apply(fleet, step)
          fleet.advance(seconds * second)
          // a camera belongs to one alert at most
          const members = fleet.state.alerts.flatMap((alert) => [...alert.members])
          assert.strictEqual(new Set(members).size, members.length)
          const keys = fleet.state.alerts.map(({ key }) => key)
          assert.strictEqual(new Set(keys).size, keys.length, keys.join())
        }
        // all is well in the end
        fleet.isQuiet = false
        fleet.mediaServer = { _tag: "Up", since: fleet.now }
        fleet.live(...ids(6, 0))
        fleet.advance(afterMs + second)
        assert.deepStrictEqual(fleet.state.alerts, [])
        const open = new Set<string>()
        const seen = new Set<string>()
        for (const { event, id } of fleet.events) {
          if (event === "opened") {
            assert.isFalse(seen.has(id))
            seen.add(id)
            open.add(id)
          } else assert.isTrue(open.has(id), `${event} ${id}`)
          if (event === "resolved") open.delete(id)
        }
        assert.strictEqual(open.size, 0)
      }),
      { numRuns: 200 }
    )
  })

  it("has an alert for each camera that has been down for the time, and for no other", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const fleet = new Fleet().live(...ids(6, 0))
        /** When a camera was last seen not down. */
        const lastUp = new Map<string, number>()
        const look = () => {
          for (const id of ids(6, 0)) {
            const camera = fleet.cameras.get(id)
            if (camera?.word !== "down") lastUp.set(id, fleet.nowMs)
          }
        }
        look()
        for (const [step, seconds] of steps) {
          if (step._tag === "quiet" || step._tag === "server") continue
          look()
          apply(fleet, step)
          look()
          const opened = fleet.advance(seconds * second).filter(({ event }) => event === "opened")
          for (const alert of opened) {
            const oldest = Math.max(
              ...alert.cameras.map(({ id }) => fleet.nowMs - (lastUp.get(id) ?? 0))
            )
            assert.isTrue(alert.kind === "flapping" || oldest >= afterMs, alert.title)
          }
          for (const [id, camera] of fleet.cameras) {
            if (camera.word !== "down" || fleet.nowMs - (lastUp.get(id) ?? 0) < afterMs) continue
            assert.isTrue(
              fleet.state.alerts.some(({ members }) => members.has(`camera ${id}`)),
              `camera ${id} has no alert`
            )
          }
        }
      }),
      { numRuns: 200 }
    )
  })
})
