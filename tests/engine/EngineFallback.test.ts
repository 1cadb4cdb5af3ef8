import { assert, describe, it } from "@effect/vitest"
import { load } from "@restream/config"
import { type Engine, EngineFallback, Engines, Reason, Restream } from "@restream/core"
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, Result } from "effect"
import { options as cameraOptions } from "./Streams.ts"
import * as FakeEngine from "../supervision/FakeEngine.ts"

const native: Engine = FakeEngine.make("native").engine
const ffmpeg: Engine = FakeEngine.make("ffmpeg").engine

const unsupported = new Reason.Unsupported({ what: "UDP" })
const missing = new Reason.LaunchFailed({ detail: "ffmpeg is not there" })
const refused = new Reason.Refused({ authority: "10.0.0.5:554" })

const auto = () => EngineFallback.make([native, ffmpeg])

describe("EngineFallback", () => {
  it("begins with the first engine, which another can take over from", () => {
    const inUse = auto()
    assert.strictEqual(inUse.engine.name, "native")
    assert.isTrue(inUse.hasFallback)
  })

  it("takes the next where the first meets what it does not support, and says so", () => {
    const inUse = auto()
    assert.deepStrictEqual(inUse.onFailure(unsupported), {
      _tag: "TryNext",
      told: "UDP: not supported by native, taking ffmpeg"
    })
    assert.strictEqual(inUse.engine.name, "ffmpeg")
    assert.isFalse(inUse.hasFallback)
  })

  it("stays with it, attempt after attempt", () => {
    const inUse = auto()
    inUse.onFailure(unsupported)
    for (let attempt = 0; attempt < 3; attempt++) {
      inUse.begin()
      assert.strictEqual(inUse.engine.name, "ffmpeg")
      assert.deepStrictEqual(inUse.onFailure(refused), { _tag: "GiveUp", reason: refused })
    }
  })

  it("changes nothing for what another engine would meet as well", () => {
    const inUse = auto()
    for (const reason of [
      refused,
      new Reason.Unauthorized({ credentials: "wrong" }),
      new Reason.NoVideo(),
      new Reason.Stalled({ side: "input", afterMs: 10_000 }),
      new Reason.ServerRejected({ status: 400, detail: "" }),
      // a descriptor that is short is short for ffmpeg, too
      new Reason.LaunchFailed({ detail: "EMFILE" })
    ]) {
      assert.deepStrictEqual(inUse.onFailure(reason), { _tag: "GiveUp", reason })
      assert.strictEqual(inUse.engine.name, "native")
    }
  })

  describe("where the one that stands by can't start", () => {
    it("lets the first do what it can, and says so once", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      assert.deepStrictEqual(inUse.onFailure(missing), {
        _tag: "TryNext",
        told: "cannot start: ffmpeg is not there; native does what it can"
      })
      assert.strictEqual(inUse.engine.name, "native")
      // so that it leaves the sound out, and not the camera
      assert.isFalse(inUse.hasFallback)
    })

    it("blames it where the first can do nothing", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      inUse.onFailure(missing)
      assert.deepStrictEqual<unknown>(inUse.onFailure(unsupported), {
        _tag: "GiveUp",
        reason: missing
      })
    })

    it("tells what else went wrong with the first as it is", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      inUse.onFailure(missing)
      assert.deepStrictEqual(inUse.onFailure(refused), { _tag: "GiveUp", reason: refused })
    })

    it("gives it another chance in the next attempt, without saying the same again", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      inUse.onFailure(missing)
      inUse.begin()
      assert.strictEqual(inUse.engine.name, "ffmpeg")
      assert.deepStrictEqual(inUse.onFailure(missing), { _tag: "TryNext", told: undefined })
      assert.strictEqual(inUse.engine.name, "native")
    })
  })

  it.each([native, ffmpeg])("takes no other where one is chosen", (engine) => {
    const inUse = EngineFallback.make([engine])
    assert.isFalse(inUse.hasFallback)
    for (const reason of [unsupported, missing]) {
      assert.deepStrictEqual(inUse.onFailure(reason), { _tag: "GiveUp", reason })
      assert.strictEqual(inUse.engine, engine)
    }
  })
})

describe("the engines of a daemon", () => {
  const { settings } = Result.getOrThrow(load({ env: { PG_DSN: "postgres://localhost/x" } }))

  it.effect("are those that a camera may have by its choice, native first", () =>
    Effect.gen(function* () {
      const { select } = yield* Engines
      const names = (choice: typeof cameraOptions.engine) => select(choice).map(({ name }) => name)
      assert.deepStrictEqual(names("auto"), ["native", "ffmpeg"])
      assert.deepStrictEqual(names("native"), ["native"])
      assert.deepStrictEqual(names("ffmpeg"), ["ffmpeg"])
    }).pipe(
      Effect.provide(
        Restream.engines(settings, Effect.succeed(true)).pipe(Layer.provide(NodeServices.layer))
      )
    )
  )
})
