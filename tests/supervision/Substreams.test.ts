import { assert, describe, it } from "@effect/vitest"
import { type CameraId, Reason, StatusStore, Supervisor } from "@restream/core"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { layer, setRows } from "../kit/Tree.ts"

const settle = TestClock.adjust("1 second")
const id = "7" as CameraId

const row = {
  id: 7,
  name: "Gate",
  url: "rtsp://10.0.0.5/one",
  url_sub: "rtsp://10.0.0.5/two",
  streams: ["main", "sub"]
}

const words = Effect.gen(function* () {
  const store = yield* StatusStore
  return (yield* store.all).map(({ id, substreams = [], word }) => [
    `${id} ${word}`,
    ...substreams.map(({ path, stream, word }) => `${stream} ${path} ${word}`)
  ])
})

const wrongPassword = new Reason.Unauthorized({ credentials: "wrong" })

describe("streams of one camera", () => {
  it.effect("are one camera in the status", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      const store = yield* StatusStore
      assert.deepStrictEqual(yield* words, [["7 ok", "sub cam7_sub ok"]])
      assert.deepStrictEqual(yield* store.countByState, { Live: 1 })
      yield* setRows([])
      yield* settle
      assert.deepStrictEqual(yield* words, [])
      assert.isTrue(fake.relays.every(({ endedAt }) => endedAt !== undefined))
    }).pipe(Effect.provide(layer([fake], [row])))
  })

  it.effect("fail each by itself, and the camera changes with its further stream", () => {
    const fake = FakeEngine.make()
    fake.answer = ({ url }) =>
      url.path === "two" ? Effect.fail(new Reason.NotFound()) : Effect.succeed(FakeEngine.offer)
    return Effect.gen(function* () {
      yield* settle
      const store = yield* StatusStore
      assert.deepStrictEqual(yield* words, [["7 ok", "sub cam7_sub down"]])
      const before = yield* store.revision
      yield* TestClock.adjust("40 seconds")
      const { cameras } = yield* store.changedSince(before)
      assert.deepStrictEqual(
        cameras.map(({ id }) => id),
        [id]
      )
      assert.strictEqual(cameras[0]?.substreams?.[0]?.reason?._tag, "NotFound")
    }).pipe(Effect.provide(layer([fake], [row])))
  })

  it.effect("share the attempts of one password", () => {
    const fake = FakeEngine.make()
    fake.answer = () => Effect.fail(wrongPassword)
    return Effect.gen(function* () {
      yield* TestClock.adjust("4 minutes")
      // the second may have been about the channel alone; from then on one of them asks
      assert.lengthOf(fake.probes, 2)
      yield* TestClock.adjust("90 seconds")
      assert.lengthOf(fake.probes, 3)
      assert.deepStrictEqual(yield* words, [["7 down", "sub cam7_sub down"]])
    }).pipe(
      Effect.provide(
        layer([fake], [{ ...row, url: "rtsp://a:b@10.0.0.5/1", url_sub: "rtsp://a:b@10.0.0.5/2" }])
      )
    )
  })

  it.effect("are restarted by what changes them, and by a command to the camera", () => {
    const fake = FakeEngine.make()
    const starts = () => fake.relays.map(({ camera }) => camera.id)
    return Effect.gen(function* () {
      yield* settle
      assert.deepStrictEqual(starts(), ["7"])
      yield* setRows([row])
      yield* settle
      assert.deepStrictEqual(starts(), ["7", "7:sub"])
      yield* setRows([{ ...row, url_sub: "rtsp://10.0.0.5/three" }])
      yield* settle
      assert.deepStrictEqual(starts(), ["7", "7:sub", "7:sub"])
      const { send } = yield* Supervisor
      assert.isTrue(yield* send(id, "Restart"))
      yield* settle
      assert.deepStrictEqual(starts().slice(3).sort(), ["7", "7:sub"])
    }).pipe(Effect.provide(layer([fake], [{ ...row, streams: ["main"] }])))
  })
})
