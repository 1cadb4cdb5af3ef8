import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  Diff,
  type InvalidCamera,
  type MediaPath,
  ReconcileLog,
  StreamUrl
} from "@restream/core"
import { options } from "../kit/Tree.ts"

const camera = (id: number, name = `Camera ${id}`, more: Partial<Camera> = {}): Camera => ({
  _tag: "Camera",
  id: String(id) as CameraId,
  name,
  type: "url",
  url: new StreamUrl({ scheme: "rtsp", host: `10.0.0.${id}`, username: "a", password: "b" }),
  path: `cam${id}` as MediaPath.MediaPath,
  options: options.defaults,
  ...more
})

const invalid = (id: number, name: string): InvalidCamera => ({
  _tag: "InvalidCamera",
  id: String(id) as CameraId,
  name,
  type: "url",
  problem: "column url is missing"
})

type Entry = Camera | InvalidCamera

const describeChange = (
  before: ReadonlyArray<Entry>,
  after: ReadonlyArray<Entry>,
  disabled: ReadonlyArray<number> = []
) => {
  const applied = new Map(before.map((entry) => [entry.id, entry]))
  const cameras = new Map(after.map((entry) => [entry.id, entry]))
  const { level, message } = ReconcileLog.describe({
    before: applied,
    cameras,
    disabled: new Set(disabled.map((id) => String(id) as CameraId)),
    actions: Diff.diff(applied, cameras)
  })
  return `${level} ${message}`
}

const gate = camera(1, "Gate")
const yard = camera(7, "Yard")

describe("ReconcileLog", () => {
  it("names the cameras of the first snapshot, up to three", () => {
    const five = [1, 2, 3, 4, 5].map((id) => camera(id))
    assert.strictEqual(
      describeChange([], [...five, invalid(6, "Hall")], [7]),
      'Info 6 cameras (1 disabled): started 5 cameras: 1 "Camera 1", 2 "Camera 2", 3 "Camera 3" and 2 more; camera 6 "Hall" invalid'
    )
  })

  it("reports a table that is empty from the start", () => {
    assert.strictEqual(describeChange([], []), "Info 0 cameras")
    assert.strictEqual(describeChange([], [], [1, 2]), "Info 0 cameras (2 disabled)")
  })

  it("warns when the last camera is removed", () => {
    assert.strictEqual(
      describeChange([gate, yard], [], [1, 7]),
      "Warn camera list is empty (2 disabled): stopping all 2 relays"
    )
    assert.strictEqual(
      describeChange([gate], []),
      "Warn camera list is empty: stopping the last relay"
    )
  })

  it("distinguishes a disabled camera from a removed one", () => {
    const before = [gate, yard, camera(8, "Hall")]
    assert.strictEqual(
      describeChange(before, [gate], [7]),
      'Info 1 camera (1 disabled): camera 7 "Yard" disabled; camera 8 "Hall" removed from the table'
    )
  })

  for (const [what, change] of [
    ["url", { url: new StreamUrl({ scheme: "rtsp", host: "10.0.0.9" }) }],
    [
      "credentials",
      {
        url: new StreamUrl({ scheme: "rtsp", host: "10.0.0.1", username: "a", password: "secret" })
      }
    ],
    ["backup addresses", { backups: [new StreamUrl({ scheme: "rtsp", host: "10.0.0.9" })] }],
    ["path", { path: "gate" as MediaPath.MediaPath }],
    ["audio", { options: { ...options.defaults, audio: "drop" } }],
    [
      "path, transport, audio",
      {
        path: "gate" as MediaPath.MediaPath,
        options: { ...options.defaults, audio: "drop", transport: "udp" }
      }
    ]
  ] as ReadonlyArray<readonly [string, Partial<Camera>]>) {
    it(`names the reason of a restart: ${what} changed`, () => {
      assert.strictEqual(
        describeChange([gate, yard], [camera(1, "Gate", change), yard]),
        `Info 2 cameras: restarted camera 1 "Gate" (${what} changed)`
      )
    })
  }

  it("reports muted alerts, which restart nothing", () => {
    const muted = camera(1, "Gate", { isMuted: true })
    assert.strictEqual(
      describeChange([gate, yard], [muted, yard]),
      'Info 2 cameras: muted alerts of camera 1 "Gate"'
    )
    assert.strictEqual(
      describeChange([muted, yard], [gate, yard]),
      'Info 2 cameras: unmuted alerts of camera 1 "Gate"'
    )
  })

  it("reports other changes", () => {
    assert.strictEqual(
      describeChange([gate, yard], [camera(1, "Door"), invalid(7, "Yard")]),
      'Info 2 cameras: renamed camera 1 "Door"; camera 7 "Yard" invalid'
    )
  })

  it("reports a camera that another daemon relays as moved", () => {
    const applied = new Map([gate, yard].map((entry) => [entry.id, entry]))
    const isOurs = (id: CameraId) => id === gate.id
    const { message } = ReconcileLog.describe({
      before: applied,
      cameras: applied,
      disabled: new Set<CameraId>(),
      actions: Diff.diff(applied, applied, isOurs),
      isOurs
    })
    assert.strictEqual(
      message,
      '2 cameras, 1 relayed by another daemon: camera 7 "Yard" moved to another daemon'
    )
  })

  it("does not report the cameras of a node as moved", () => {
    const line = (isOurs: (id: CameraId) => boolean) =>
      ReconcileLog.describe({
        before: new Map(),
        cameras: new Map([gate, yard].map((entry) => [entry.id, entry])),
        disabled: new Set<CameraId>(),
        actions: [],
        isOurs,
        isNode: true
      }).message
    assert.strictEqual(
      line(() => false),
      "2 cameras, none on this node"
    )
    assert.strictEqual(
      line((id) => id === gate.id),
      "2 cameras, 1 on this node"
    )
    assert.strictEqual(
      line(() => true),
      "2 cameras"
    )
  })

  it("names a removed camera by its id where a defect made its state unknown", () => {
    const { message } = ReconcileLog.describe({
      before: new Map([[gate.id, { _tag: "Unknown" as const }]]),
      cameras: new Map([[yard.id, yard]]),
      disabled: new Set<CameraId>(),
      actions: [{ _tag: "Stop", id: gate.id }]
    })
    assert.strictEqual(message, "1 camera: camera 1 removed from the table")
  })
})

describe("the notices of a reconciliation", () => {
  const withFragment = (host: string, fragment = "audio=aac") =>
    new StreamUrl({ scheme: "rtsp", host, target: `/live#${fragment}` })
  const fact = withFragment("10.0.0.1").notice ?? "no notice"
  const start = (entry: Camera): Diff.Action => ({ _tag: "Start", camera: entry })

  it("report a fact of several cameras once, with their names", () => {
    const first = camera(1, "Gate", { url: withFragment("10.0.0.1") })
    const second = camera(7, "Yard", { url: withFragment("10.0.0.7") })
    assert.deepStrictEqual(ReconcileLog.notices([start(first), start(camera(2))]), [
      `camera 1 "Gate": ${fact}`
    ])
    assert.deepStrictEqual(
      ReconcileLog.notices([
        start(first),
        { _tag: "Restart", camera: second, changed: ["url"] },
        start(camera(8, "Hall"))
      ]),
      [`2 cameras: 1 "Gate", 7 "Yard": ${fact}`]
    )
  })

  it("name a camera once whose addresses share a fact, and once for each fact", () => {
    const other = withFragment("10.0.0.9", "video=copy")
    const entry = camera(1, "Gate", {
      backups: [withFragment("10.0.0.8"), withFragment("10.0.0.10"), other]
    })
    assert.deepStrictEqual(ReconcileLog.notices([start(entry)]), [
      `camera 1 "Gate": ${fact}`,
      `camera 1 "Gate": ${other.notice}`
    ])
  })

  it("are for addresses that come into use", () => {
    const entry = camera(1, "Gate", { url: withFragment("10.0.0.1") })
    assert.deepStrictEqual(
      ReconcileLog.notices([
        { _tag: "Rename", camera: entry },
        { _tag: "Stop", id: entry.id },
        { _tag: "Invalidate", camera: invalid(7, "Yard") }
      ]),
      []
    )
  })
})
