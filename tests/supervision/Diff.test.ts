import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  Diff,
  type InvalidCamera,
  type MediaPath,
  StreamUrl
} from "@restream/core"
import * as fc from "fast-check"
import { options } from "../kit/Tree.ts"

const shown = {
  name: fc.constantFrom("Gate", "Door"),
  type: fc.constantFrom("url", "axis")
}

const validCamera = (id: CameraId): fc.Arbitrary<Camera> =>
  fc
    .record({
      ...shown,
      host: fc.constantFrom("10.0.0.1", "10.0.0.2"),
      path: fc.constantFrom("gate", "door"),
      audio: fc.constantFrom("auto" as const, "drop" as const)
    })
    .map(({ audio, host, name, path, type }) => ({
      _tag: "Camera",
      id,
      name,
      type,
      url: new StreamUrl({ scheme: "rtsp", host }),
      path: path as MediaPath.MediaPath,
      options: { ...options.defaults, audio }
    }))

const invalidCamera = (id: CameraId): fc.Arbitrary<InvalidCamera> =>
  fc
    .record({ ...shown, problem: fc.constantFrom("column host is missing", "no path") })
    .map((fields) => ({ _tag: "InvalidCamera", id, ...fields }))

const ids = ["1", "2", "3", "4"].map((id) => id as CameraId)

/** Up to four cameras, some of them invalid, few enough values that two draws often agree. */
const cameras: fc.Arbitrary<Diff.Cameras> = fc
  .tuple(...ids.map((id) => fc.option(fc.oneof(validCamera(id), invalidCamera(id)))))
  .map(
    (drawn) =>
      new Map(drawn.flatMap((camera) => (camera === null ? [] : [[camera.id, camera] as const])))
  )

/** Cameras as texts: the URL's credentials included, since two URLs may print alike. */
const asTexts = (map: Diff.LastApplied) =>
  [...map].map(([id, camera]) =>
    JSON.stringify([
      id,
      camera,
      camera._tag === "Camera" ? StreamUrl.reveal(camera.url) : undefined
    ])
  )

describe("Diff", () => {
  it("leads from the applied to the desired cameras", () => {
    fc.assert(
      fc.property(cameras, cameras, (applied, wanted) => {
        const result = Diff.apply(applied, Diff.diff(applied, wanted))
        assert.deepStrictEqual(asTexts(result).sort(), asTexts(wanted).sort())
      })
    )
  })

  it("finds nothing to do a second time", () => {
    fc.assert(
      fc.property(cameras, cameras, (applied, wanted) => {
        const result = Diff.apply(applied, Diff.diff(applied, wanted))
        // each read decodes its rows again
        const readAgain = new Map([...wanted].map(([id, camera]) => [id, { ...camera }]))
        assert.deepStrictEqual(Diff.diff(result, readAgain), [])
      })
    )
  })

  it("names each camera once at most", () => {
    fc.assert(
      fc.property(cameras, cameras, (applied, wanted) => {
        const named = Diff.diff(applied, wanted).map((action) =>
          action._tag === "Stop" ? action.id : action.camera.id
        )
        assert.strictEqual(new Set(named).size, named.length)
      })
    )
  })

  it("restarts exactly where a relay would be another", () => {
    fc.assert(
      fc.property(validCamera(ids[0]!), validCamera(ids[0]!), (before, after) => {
        const [action] = Diff.diff(new Map([[before.id, before]]), new Map([[after.id, after]]))
        const isSameRelay =
          before.url.host === after.url.host &&
          before.path === after.path &&
          before.options.audio === after.options.audio
        const isSameToPeople = before.name === after.name && before.type === after.type
        const expected = isSameRelay ? (isSameToPeople ? undefined : "Rename") : "Restart"
        assert.strictEqual(action?._tag, expected)
      })
    )
  })

  it("restarts a camera whose action failed, with any next desired state", () => {
    fc.assert(
      fc.property(cameras, cameras, cameras, (applied, wanted, next) => {
        const failed = Diff.diff(applied, wanted)
        const again = new Map(
          Diff.diff(Diff.apply(applied, [], failed), next).map((action) => [
            action._tag === "Stop" ? action.id : action.camera.id,
            action._tag
          ])
        )
        for (const action of failed) {
          if (action._tag === "Rename") continue
          const id = action._tag === "Stop" ? action.id : action.camera.id
          const now = next.get(id)
          const expected =
            now === undefined ? "Stop" : now._tag === "Camera" ? "Start" : "Invalidate"
          assert.strictEqual(again.get(id), expected)
        }
      })
    )
  })

  it("ends cameras before it starts others", () => {
    fc.assert(
      fc.property(cameras, cameras, (applied, wanted) => {
        const tags = Diff.diff(applied, wanted).map(({ _tag }) => _tag)
        const firstStart = tags.findIndex((tag) => tag !== "Stop" && tag !== "Invalidate")
        const lastEnd = tags.findLastIndex((tag) => tag === "Stop" || tag === "Invalidate")
        assert.isTrue(firstStart === -1 || lastEnd < firstStart)
      })
    )
  })
})
