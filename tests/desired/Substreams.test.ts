import { assert, describe, it } from "@effect/vitest"
import { type Camera, type CameraRow, CameraTypes, type InvalidCamera } from "@restream/core"
import { options } from "../kit/Tree.ts"
import { makeDecoder } from "../kit/Decoder.ts"

const reader = () =>
  makeDecoder({
    types: CameraTypes.make(),
    pathTemplate: "cam{id}",
    defaults: options.defaults
  })

const read = (...rows: ReadonlyArray<CameraRow>) => reader()(rows)

const summary = (camera: Camera | InvalidCamera) =>
  camera._tag === "Camera"
    ? `${camera.id} ${camera.path} ${camera.url}`
    : `${camera.id} invalid: ${camera.problem}`

const summaries = (...rows: ReadonlyArray<CameraRow>) =>
  [...read(...rows).cameras.values()].map(summary)

const camera = { id: 7, name: "Gate", type: "hikvision", host: "10.0.0.5" }

const both = [
  "7 cam7 rtsp://10.0.0.5/Streaming/Channels/101",
  "7:sub cam7_sub rtsp://10.0.0.5/Streaming/Channels/102"
]

describe("streams of a row", () => {
  it("relays each stream under the path of the camera and the name of the stream", () => {
    for (const streams of [["main", "sub"], '["main", "sub"]', "main, sub", "Main,Sub"]) {
      assert.deepStrictEqual(summaries({ ...camera, streams }), both)
      assert.deepStrictEqual(summaries({ ...camera, options: { streams } }), both)
    }
    assert.deepStrictEqual(summaries({ ...camera, options: '{"streams": ["main", "sub"]}' }), both)
  })

  it("names the further stream by its camera, with the camera's name", () => {
    const sub = [...read({ ...camera, streams: "main,sub" }).cameras.values()][1]
    assert.deepStrictEqual(sub?.substream, { of: "7" as never, name: "sub" })
    assert.strictEqual(sub?.name, "Gate")
  })

  it("relays one stream where one is named, under the path of the camera", () => {
    assert.deepStrictEqual(summaries({ ...camera, streams: ["sub"] }), [
      "7 cam7 rtsp://10.0.0.5/Streaming/Channels/102"
    ])
  })

  it("takes the path and the address of a stream from columns of their own", () => {
    const row = {
      id: 7,
      url: ["rtsp://10.0.0.5/one"],
      urls: ["rtsp://10.0.0.6/one"],
      url_sub: "rtsp://10.0.0.5/two",
      path: "yard/gate",
      path_sub: "small/gate",
      streams: ["main", "sub"]
    }
    const [main, sub] = read(row).cameras.values()
    assert.strictEqual(summary(sub!), "7:sub small/gate rtsp://10.0.0.5/two")
    // other addresses are the main stream's
    assert.lengthOf((main as Camera).backups ?? [], 1)
    assert.isUndefined((sub as Camera).backups)
  })

  it("reports a problem of a further stream there, and relays the main stream", () => {
    assert.deepStrictEqual(summaries({ id: 7, url: "rtsp://10.0.0.5/one", streams: "main,sub" }), [
      "7 cam7 rtsp://10.0.0.5/one",
      "7:sub invalid: the camera type url makes the same address as for stream main: set the column url_sub"
    ])
    assert.deepStrictEqual(
      summaries({ ...camera, path_sub: "/sub", streams: "main,sub" })[0],
      both[0]
    )
    const taken = summaries(
      { ...camera, streams: "main,sub" },
      { ...camera, id: 8, path: "cam7_sub" }
    )
    assert.include(taken, "8 invalid: the path cam7_sub belongs to camera 7:sub")
  })

  it("refuses streams that are no list of names, but not in a disabled row", () => {
    for (const streams of [["main", "main"], "main;sub", [["a"]], { a: 1 }]) {
      assert.deepStrictEqual(summaries({ ...camera, streams }), [
        '7 invalid: column streams: the value is not a list of different streams such as ["main", "sub"]'
      ])
      const set = read({ ...camera, streams, enabled: false })
      assert.deepStrictEqual([set.cameras.size, set.disabled.size], [0, 1])
    }
    assert.strictEqual(read({ ...camera, streams: "main,sub", enabled: false }).disabled.size, 1)
  })

  it("leaves the main stream as it is when a further stream is added", () => {
    const decode = reader()
    const [before] = decode([{ ...camera, options: { audio: "drop" } }]).cameras.values()
    const row = { ...camera, options: { audio: "drop", streams: ["main", "sub"] } }
    const [after] = decode([row]).cameras.values()
    assert.deepStrictEqual(after, before)
  })
})
