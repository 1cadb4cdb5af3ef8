/**
 * Cameras that take their time: for a response, for the next picture, or for their audio. Both engines.
 *
 * `SLOW_SECONDS=12 SELDOM_SECONDS=8 npx vitest run tests/engine/SlowCamera.test.ts` is the long run.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import { type Engine, NativeEngine } from "@restream/core"
import {
  type Quirks,
  RtspServer,
  type RtspServerOptions,
  TestPattern
} from "@restream/core/testing"
import { Duration, Effect, PubSub, type Scope } from "effect"
import { ffmpegs } from "./ffmpeg/Binaries.ts"
import { engine as ffmpegEngine } from "./ffmpeg/Engines.ts"
import { job, startRelay } from "./Streams.ts"

/** Longer than the 5 s that a single request once had. */
const slowSeconds = Number(process.env["SLOW_SECONDS"] ?? "6")
const seldomSeconds = Number(process.env["SELDOM_SECONDS"] ?? "3")
vi.setConfig({ testTimeout: 60_000 + 10_000 * slowSeconds + 15_000 * seldomSeconds })

interface EngineUnderTest {
  readonly label: string
  readonly make: (options: {
    readonly openTimeout: Duration.Input
    readonly stallTimeout?: Duration.Input
  }) => Effect.Effect<Engine, never, Scope.Scope>
  /** How many connections a camera sees until it is live. */
  readonly connections: number
}

const engines: ReadonlyArray<EngineUnderTest> = [
  {
    label: "the native engine",
    make: (options) => Effect.succeed(NativeEngine.make(options)),
    connections: 1
  },
  ...ffmpegs.map(({ label, path }) => ({
    label,
    make: (options: Parameters<EngineUnderTest["make"]>[0]) =>
      ffmpegEngine({ ...options, ffmpegPath: path }),
    connections: 2
  }))
]

const peers = Effect.fnUntraced(function* (
  quirks: Quirks,
  pattern: TestPattern.TestPatternOptions,
  options: Omit<RtspServerOptions, "settings"> = {}
) {
  const camera = yield* RtspServer.make({ ...options, settings: () => ({ quirks }) })
  yield* TestPattern.publish(camera, "cam", pattern)
  return { camera, sink: yield* RtspServer.make() }
})

describe.concurrent.each(engines)("$label, with a slow camera,", ({ connections, make }) => {
  it.live.each(["DESCRIBE", "SETUP", "PLAY"] as const)(
    "waits for the response to %s as long as opening the camera may take",
    (method) =>
      Effect.gen(function* () {
        const { camera, sink } = yield* peers(
          { delays: { [method]: Duration.seconds(slowSeconds) } },
          { frameRate: 25, keyframeEvery: 5 }
        )
        const engine = yield* make({ openTimeout: Duration.seconds(slowSeconds + 4) })
        const events = yield* camera.events
        const relay = yield* startRelay(engine, job(camera.url("cam"), sink.url("out")))
        yield* Effect.raceFirst(relay.flowing, relay.ended)
        yield* sink.awaitPackets("out")
        const requests = (yield* PubSub.takeAll(events)).flatMap((event) =>
          event._tag === "Request" ? [event.method] : []
        )
        assert.lengthOf(
          requests.filter((method) => method === "DESCRIBE"),
          connections
        )
      })
  )

  it.live("times out when the camera's own openTimeout is over", () =>
    Effect.gen(function* () {
      const { camera, sink } = yield* peers({ delays: { DESCRIBE: "20 seconds" } }, {})
      const engine = yield* make({ openTimeout: "1 minute" })
      const openTimeout = Duration.seconds(2)
      const start = startRelay(engine, job(camera.url("cam"), sink.url("out"), { openTimeout }))
      const { reason } = yield* Effect.flip(start)
      assert.deepInclude({ ...reason }, { _tag: "TimedOut", phase: "requesting the stream" })
    })
  )

  it.live("relays a camera that sends a picture every few seconds", () =>
    Effect.gen(function* () {
      const { camera, sink } = yield* peers({}, { frameRate: 1 / seldomSeconds, keyframeEvery: 1 })
      const engine = yield* make({
        openTimeout: "10 seconds",
        stallTimeout: Duration.seconds(seldomSeconds + 2)
      })
      const relay = yield* startRelay(engine, job(camera.url("cam"), sink.url("out")))
      const ended = yield* Effect.forkChild(relay.ended)
      const seen = new Set<number | undefined>()
      while (seen.size < 5 && ended.pollUnsafe() === undefined) {
        seen.add(relay.counters().lastVideoAt)
        yield* Effect.sleep("100 millis")
      }
      assert.isUndefined(ended.pollUnsafe())
    })
  )

  // what each engine does with the audio: the native engine transcodes nothing
  const audio: ReadonlyArray<readonly ["copy" | "opus"]> =
    connections === 1 ? [["copy"]] : [["copy"], ["opus"]]
  it.live.each(audio)("relays the video of a camera that sends no audio to %s", ([policy]) =>
    Effect.gen(function* () {
      const { camera, sink } = yield* peers({}, { frameRate: 25, keyframeEvery: 5, audio: true })
      yield* camera.freeze("cam", "audio")
      const engine = yield* make({ openTimeout: "10 seconds" })
      const relay = yield* startRelay(
        engine,
        job(camera.url("cam"), sink.url("out"), { audio: policy })
      )
      yield* Effect.raceFirst(relay.flowing, relay.ended)
      yield* sink.awaitPackets("out")
      const codecs = (yield* sink.path("out"))?.publisher?.tracks.map(({ codec }) => codec)
      assert.deepStrictEqual(codecs, policy === "copy" ? ["h264", "pcm_mulaw"] : ["h264"])
      assert.strictEqual(relay.published.audio === undefined, policy !== "copy")
      assert.lengthOf(relay.notices, policy === "copy" ? 0 : 1)
    })
  )
})
