import { assert, describe, it } from "@effect/vitest"
import { load } from "@restream/config"
import {
  type CameraOptions,
  type Engine,
  EngineFallback,
  Engines,
  Reason,
  Restream,
  LiveSettings
} from "@restream/core"
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, Result } from "effect"
import { camera } from "./Streams.ts"
import * as FakeEngine from "../kit/FakeEngine.ts"

const native: Engine = FakeEngine.make("native").engine
const ffmpeg: Engine = FakeEngine.make("ffmpeg").engine

const unsupported = new Reason.Unsupported({ what: "UDP" })
const missing = new Reason.LaunchFailed({ detail: "ffmpeg is not there" })
const refused = new Reason.Refused({ authority: "10.0.0.5:554" })

const auto = () => new EngineFallback([native, ffmpeg])

describe("EngineFallback", () => {
  it("starts with the first engine, which has a fallback", () => {
    const inUse = auto()
    assert.strictEqual(inUse.engine.name, "native")
    assert.isTrue(inUse.hasFallback)
  })

  it("uses the next engine for what the first does not support", () => {
    const inUse = auto()
    assert.deepStrictEqual(inUse.onFailure(unsupported), {
      _tag: "TryNext",
      notice: "native does not support UDP; using ffmpeg"
    })
    assert.strictEqual(inUse.engine.name, "ffmpeg")
    assert.isFalse(inUse.hasFallback)
  })

  it("stays with the next engine in later attempts", () => {
    const inUse = auto()
    inUse.onFailure(unsupported)
    for (let attempt = 0; attempt < 3; attempt++) {
      inUse.reset()
      assert.strictEqual(inUse.engine.name, "ffmpeg")
      assert.deepStrictEqual(inUse.onFailure(refused), { _tag: "GiveUp", reason: refused })
    }
  })

  it("gives up on failures that every engine would have", () => {
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

  describe("if the next engine cannot be launched", () => {
    it("returns to the first engine", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      assert.deepStrictEqual(inUse.onFailure(missing), {
        _tag: "TryNext",
        notice: "cannot start: ffmpeg is not there; native relays what it supports"
      })
      assert.strictEqual(inUse.engine.name, "native")
      // so that it leaves out the audio instead of failing
      assert.isFalse(inUse.hasFallback)
    })

    it("reports the launch failure if the first engine can do nothing", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      inUse.onFailure(missing)
      assert.deepStrictEqual<unknown>(inUse.onFailure(unsupported), {
        _tag: "GiveUp",
        reason: missing
      })
    })

    it("reports other failures of the first engine", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      inUse.onFailure(missing)
      assert.deepStrictEqual(inUse.onFailure(refused), { _tag: "GiveUp", reason: refused })
    })

    it("tries the next engine again in the next attempt, without repeating the notice", () => {
      const inUse = auto()
      inUse.onFailure(unsupported)
      inUse.onFailure(missing)
      inUse.reset()
      assert.strictEqual(inUse.engine.name, "ffmpeg")
      assert.deepStrictEqual(inUse.onFailure(missing), { _tag: "TryNext", notice: undefined })
      assert.strictEqual(inUse.engine.name, "native")
    })
  })

  it.each([native, ffmpeg])("has no fallback if one engine is chosen", (engine) => {
    const inUse = new EngineFallback([engine])
    assert.isFalse(inUse.hasFallback)
    for (const reason of [unsupported, missing]) {
      assert.deepStrictEqual(inUse.onFailure(reason), { _tag: "GiveUp", reason })
      assert.strictEqual(inUse.engine, engine)
    }
  })
})

describe("Engines", () => {
  const selecting = (engines: Engines["Service"], engine: string, url = "rtsp://10.0.0.5/live") =>
    Result.map(engines.select(camera(url, { engine })), (selected) =>
      selected.map(({ name }) => name)
    )

  it("selects by name, and all in order for auto", () => {
    const mine = { ...FakeEngine.make("mine").engine }
    const engines = Engines.make([native, mine, ffmpeg])
    assert.deepStrictEqual(engines.choices, ["auto", "native", "mine", "ffmpeg"])
    assert.deepStrictEqual(selecting(engines, "auto"), Result.succeed(["native", "mine", "ffmpeg"]))
    assert.deepStrictEqual(selecting(engines, "mine"), Result.succeed(["mine"]))
  })

  it("fails for an unknown choice", () => {
    const failed = Result.flip(selecting(Engines.make([native]), "gstreamer"))
    assert.deepInclude(Result.getOrThrow(failed), {
      _tag: "UnknownEngine",
      choice: "gstreamer",
      known: ["auto", "native"]
    })
  })

  it("skips engines that do not support the camera, for auto only", () => {
    const never = { ...native, supports: () => false }
    const both = Engines.make([never, ffmpeg])
    assert.deepStrictEqual(selecting(both, "auto"), Result.succeed(["ffmpeg"]))
    assert.deepStrictEqual(selecting(both, "native"), Result.succeed(["native"]))
    // the failure to open explains best what is missing
    assert.deepStrictEqual(selecting(Engines.make([never]), "auto"), Result.succeed(["native"]))
  })
})

describe("the engines of a daemon", () => {
  const { settings } = Result.getOrThrow(load({ env: { PG_DSN: "postgres://localhost/x" } }))

  it.effect("are native and ffmpeg, and ffmpeg alone for what native does not support", () =>
    Effect.gen(function* () {
      const engines = yield* Engines
      const names = (url: string, chosen: Partial<CameraOptions> = {}) =>
        Result.getOrThrow(engines.select(camera(url, { engine: "auto", ...chosen }))).map(
          ({ name }) => name
        )
      assert.deepStrictEqual(names("rtsp://10.0.0.5/live"), ["native", "ffmpeg"])
      assert.deepStrictEqual(names("http://10.0.0.5/live"), ["ffmpeg"])
      assert.deepStrictEqual(names("rtsp://10.0.0.5/live", { transport: "udp" }), ["ffmpeg"])
    }).pipe(
      Effect.provide(
        Restream.builtInEngines.pipe(
          Layer.provide(LiveSettings.layer(settings)),
          Layer.provide(NodeServices.layer)
        )
      )
    )
  )
})
