/** Which media server the rows name, and whether their paths are free there. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraRow, CameraTypes, ServerChoice } from "@restream/core"
import { options } from "../kit/Tree.ts"
import { makeDecoder } from "../kit/Decoder.ts"

const servers = ["hall", "yard"].map((name) => ({
  server: { name, address: `${name}:8554`, key: `key of ${name}` },
  weight: 1
}))

const summaries = (rows: ReadonlyArray<CameraRow>, pathTemplate = "cam{id}", given = servers) =>
  [
    ...makeDecoder({
      types: CameraTypes.make(),
      pathTemplate,
      servers: given,
      defaults: options.defaults
    })(rows).cameras.values()
  ].map((camera) =>
    camera._tag === "Camera"
      ? `${camera.id} ${camera.mediaServer?.name} ${camera.path}`
      : `${camera.id} invalid: ${camera.problem}`
  )

const row = (id: number, more: CameraRow = {}): CameraRow => ({
  id,
  url: `rtsp://10.0.0.5/${id}`,
  ...more
})

/** The server by the path. */
const chosen = (path: string): string => ServerChoice.inOrder(path, servers)[0]!.name

/** A camera whose path leads to a server. */
const idFor = (name: string): number =>
  [1, 2, 3, 4, 5, 6, 7, 8].find((id) => chosen(`cam${id}`) === name)!

describe("media server of a row", () => {
  it("is the one that the column or the option names", () => {
    assert.deepStrictEqual(
      summaries([
        row(1, { media_server: "yard" }),
        row(2, { media_server: " Hall " }),
        row(3, { options: { media_server: "yard" } })
      ]),
      ["1 yard cam1", "2 hall cam2", "3 yard cam3"]
    )
  })

  it("follows from the path where the row names none", () => {
    const ids = [1, 2, 3, 4, 5, 6, 7, 8]
    assert.deepStrictEqual(
      summaries(ids.map((id) => row(id, { media_server: null }))),
      ids.map((id) => `${id} ${chosen(`cam${id}`)} cam${id}`)
    )
    assert.deepStrictEqual(summaries([row(1, { path: "gate" })]), [`1 ${chosen("gate")} gate`])
  })

  it("must be one of the settings", () => {
    assert.deepStrictEqual(
      summaries([row(1, { media_server: "yrad" }), row(2, { options: { media_server: "roof" } })]),
      [
        '1 invalid: column media_server: unknown media server "yrad"; did you mean yard?',
        '2 invalid: column options.media_server: unknown media server "roof"; mediaServers has hall, yard'
      ]
    )
  })

  it("is a part of the path where the template names it", () => {
    const template = "{media_server}/cam{id}"
    assert.deepStrictEqual(summaries([row(1, { media_server: "yard" })], template), [
      "1 yard yard/cam1"
    ])
    const name = chosen("/cam2")
    assert.deepStrictEqual(summaries([row(2)], template), [`2 ${name} ${name}/cam2`])
    assert.deepStrictEqual(summaries([row(3, { media_server: "x" })], template), [
      '3 invalid: column media_server: unknown media server "x"; mediaServers has hall, yard'
    ])
  })

  it("is the same for all streams of a camera", () => {
    const id = idFor("yard")
    const streams = { streams: "main, sub", path_sub: "elsewhere", url_sub: "rtsp://10.0.0.5/sub" }
    assert.deepStrictEqual(summaries([row(id, streams)]), [
      `${id} yard cam${id}`,
      `${id}:sub yard elsewhere`
    ])
  })

  it("does not matter with one media server: the column is another one's", () => {
    assert.deepStrictEqual(summaries([row(1, { media_server: "x" })], "cam{id}", []), [
      "1 undefined cam1"
    ])
    assert.deepStrictEqual(summaries([row(1, { media_server: "x" })], "{media_server}{id}", []), [
      "1 undefined x1"
    ])
  })
})

describe("path on several media servers", () => {
  it("belongs to one camera of each server", () => {
    assert.deepStrictEqual(
      summaries([
        row(1, { path: "gate", media_server: "hall" }),
        row(2, { path: "gate", media_server: "yard" }),
        row(3, { path: "gate", media_server: "yard" })
      ]),
      [
        "1 hall gate",
        "2 yard gate",
        "3 invalid: the path gate on media server yard belongs to camera 2"
      ]
    )
  })
})
