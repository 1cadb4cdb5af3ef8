/** The native engine between GStreamer's RTSP servers: an implementation that shares nothing with ours. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine, type ProbeError, type RelayError } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Schedule } from "effect"
import { gstreamerLacks, readFrames, serving, skipped } from "../../rtsp/Peers.ts"
import { camera, job, probe, startRelay } from "../Streams.ts"
import * as RecordingProxy from "../../kit/RecordingProxy.ts"

const noCamera = gstreamerLacks("camera")
const noReader = gstreamerLacks("reader")
if (noCamera !== undefined) skipped("the native engine with GStreamer as a camera", noCamera)
if (noReader !== undefined) skipped("the native engine with GStreamer as a reader", noReader)

const native = NativeEngine.make()

const probing = (address: string) => probe(native, camera(address))

/**
 * GStreamer answers 503 while it takes down the media of the client before, which a busy machine shows; a
 * camera that does so is tried again.
 */
const patiently = <A, E extends ProbeError | RelayError, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, {
    while: ({ reason }) => reason._tag === "Rejected" && reason.status === 503,
    schedule: Schedule.spaced("200 millis"),
    times: 20
  })

/** Requests of ours that carried a password, by their answers: those that were taken, and the others. */
const passwords = (proxy: RecordingProxy.RecordingProxy) => {
  const said = proxy.all(({ _tag }) => _tag !== "Frame")
  const counts = { taken: 0, refused: 0 }
  for (const [at, one] of said.entries()) {
    if (one._tag !== "Request" || one.from !== "us") continue
    if (!one.headers.some(([name]) => name.toLowerCase() === "authorization")) continue
    const answer = said.slice(at).find((next) => next._tag === "Response")
    if (answer?._tag === "Response" && answer.status === 401) counts.refused++
    else counts.taken++
  }
  return counts
}

describe("the native engine, with GStreamer", () => {
  it.live.skipIf(noCamera !== undefined)(
    "as camera, is probed, and its video and audio are relayed",
    () =>
      Effect.gen(function* () {
        const { port } = yield* serving("camera")
        const sink = yield* RtspServer.make()
        const address = `rtsp://127.0.0.1:${port}/cam`
        assert.deepStrictEqual(yield* probing(address), {
          video: { codec: "h264", width: 320, height: 240 },
          audio: { codec: "pcm_mulaw", sampleRate: 8000, channels: 1, copyable: true }
        })
        const running = yield* patiently(startRelay(native, job(address, sink.url("out"))))
        yield* running.flowing
        const { code, stderr, stdout } = yield* readFrames(sink.url("out"), 15)
        assert.deepStrictEqual([code, stderr], [0, ""])
        for (const track of [0, 1]) {
          assert.isAbove(
            stdout.split("\n").filter((line) => line.startsWith(`${track},`)).length,
            4
          )
        }
        assert.deepInclude(running.counters(), { lost: 0, dropped: 0 })
      })
  )

  for (const method of ["digest", "basic"]) {
    it.live.skipIf(noCamera !== undefined)(
      `as camera with ${method}, authenticates without a failed attempt, and fails after one attempt`,
      () =>
        Effect.gen(function* () {
          const { port } = yield* serving("camera", method)
          const sink = yield* RtspServer.make()
          const through = (proxy: RecordingProxy.RecordingProxy, password: string) =>
            `rtsp://admin:${password}@127.0.0.1:${proxy.port}/cam`

          const good = yield* RecordingProxy.make("good", port)
          yield* patiently(probing(through(good, "secret")))
          yield* Effect.scoped(
            Effect.flatMap(
              patiently(startRelay(native, job(through(good, "secret"), sink.url("out")))),
              ({ flowing }) => flowing
            )
          )
          assert.strictEqual(passwords(good).refused, 0)
          assert.isAbove(passwords(good).taken, 5)

          const attempts: ReadonlyArray<
            (address: string) => Effect.Effect<unknown, ProbeError | RelayError>
          > = [
            probing,
            (address) => Effect.scoped(startRelay(native, job(address, sink.url("out"))))
          ]
          for (const attempt of attempts) {
            const wrong = yield* RecordingProxy.make("wrong", port)
            const { reason } = yield* Effect.flip(attempt(through(wrong, "wrong")))
            assert.deepInclude({ ...reason }, { _tag: "Unauthorized", credentials: "wrong" })
            assert.deepStrictEqual(passwords(wrong), { taken: 0, refused: 1 })
          }
        })
    )
  }

  for (const audio of [false, true]) {
    it.live.skipIf(noReader !== undefined)(
      `as media server, accepts the stream; with audio: ${audio}`,
      () =>
        Effect.gen(function* () {
          const { port, running } = yield* audio ? serving("sink", "sound") : serving("sink")
          const camera = yield* RtspServer.make()
          yield* TestPattern.publish(camera, "cam", { frameRate: 25, keyframeEvery: 5, audio })
          const proxy = yield* RecordingProxy.make("sink", port)
          const relayed = yield* startRelay(
            native,
            job(camera.url("cam"), `rtsp://127.0.0.1:${proxy.port}/out`)
          )
          yield* relayed.flowing
          yield* running.awaitSaid(/pictures \d+/)
          if (audio) yield* running.awaitSaid(/sounds \d+/)
          assert.deepInclude(relayed.counters(), { lost: 0, dropped: 0 })
        })
    )
  }

  it.live.skipIf(noReader !== undefined)("as media server, receives TEARDOWN", () =>
    Effect.gen(function* () {
      const { port, running } = yield* serving("sink")
      const camera = yield* RtspServer.make()
      yield* TestPattern.publish(camera, "cam", { frameRate: 25, keyframeEvery: 5 })
      const proxy = yield* RecordingProxy.make("sink", port)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startRelay(native, job(camera.url("cam"), `rtsp://127.0.0.1:${proxy.port}/out`))
          yield* running.awaitSaid(/pictures \d+/)
        })
      )
      yield* proxy.heard(RecordingProxy.request("TEARDOWN"))
      const last = proxy.all(({ _tag, from }) => _tag === "Response" && from === "peer").at(-1)
      assert.strictEqual(last?._tag === "Response" && last.status, 200)
    })
  )
})
