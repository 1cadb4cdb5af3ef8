import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { InterleavedFrame, H264, ParameterSets, Rtp, Sdp } from "@restream/core/rtsp"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { play, url } from "../rtsp/LiveCamera.ts"
import { readFrames } from "../rtsp/Peers.ts"

describe("TestPattern", () => {
  it("describes video of 64 × 64, and an optional tone", () => {
    const session = Result.getOrThrow(Sdp.parse(TestPattern.description({ audio: true })))
    const [video, audio] = session.medias
    const sets = ParameterSets.h264(video?.formats[0]?.fmtp.get("sprop-parameter-sets"))
    assert.deepStrictEqual(sets?.size, { width: 64, height: 64 })
    assert.strictEqual(sets?.profileLevelId, video?.formats[0]?.fmtp.get("profile-level-id"))
    assert.strictEqual(audio?.formats[0]?.encoding, "PCMU")
    assert.strictEqual(Result.getOrThrow(Sdp.parse(TestPattern.description())).medias.length, 1)
  })

  it("splits a picture into packets below the MTU, and marks the last", () => {
    const nal = Buffer.from(Uint8Array.from({ length: 3000 }, (_, index) => index & 0xff))
    nal[0] = 0x65
    const fragments = TestPattern.payloads(nal)
    assert.deepStrictEqual(
      fragments.map((fragment) => fragment[1]),
      [0x85, 0x05, 0x45]
    )
    assert.isTrue(fragments.every((fragment) => fragment.length <= 1200))
    assert.deepStrictEqual(
      Buffer.concat([nal.subarray(0, 1), ...fragments.map((fragment) => fragment.subarray(2))]),
      nal
    )
    assert.deepStrictEqual(TestPattern.payloads(nal.subarray(0, 1200)), [nal.subarray(0, 1200)])
  })

  it.effect("sends pictures, audio and keyframes by the clock", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* TestPattern.publish(server, "cam", { frameRate: 5, keyframeEvery: 5, audio: true })
      const { session } = yield* play({ url: url(server.url("cam")) })
      const pictures: Array<number> = []
      const keyframes: Array<number> = []
      let sounds = 0
      session.connection.setFrameHandler({
        frames: (bytes, start, end) => {
          for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
            const packet = InterleavedFrame.packetStart(at)
            const trackSlot = session.trackByChannel[InterleavedFrame.channel(bytes, at)]
            if (trackSlot === 2) sounds++
            if (trackSlot !== 0) continue
            const timestamp = Rtp.timestamp(bytes, packet)
            if (pictures.at(-1) !== timestamp) pictures.push(timestamp)
            const starts = H264.startsKeyframe(bytes, packet, InterleavedFrame.end(bytes, at))
            if (starts && keyframes.at(-1) !== timestamp) keyframes.push(timestamp)
          }
        }
      })
      yield* TestClock.adjust("3 seconds")
      yield* Effect.repeat(
        Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
        { until: () => pictures.length >= 11 && sounds >= 101 }
      )
      // the reader starts at the first keyframe after PLAY, at one second
      assert.deepStrictEqual(
        pictures,
        Array.from({ length: 11 }, (_, index) => 90_000 + index * 18_000)
      )
      assert.deepStrictEqual(keyframes, [90_000, 180_000, 270_000])
      assert.isAtLeast(sounds, 101)
    })
  )

  it.live("is decoded by ffmpeg without errors, picture by picture", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 5, audio: true })
      const { code, stderr, stdout } = yield* readFrames(server.url("cam"), 30)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      const pictures = stdout
        .split("\n")
        .filter((line) => line.startsWith("0,"))
        .map((line) => line.split(",").at(-1)?.trim())
      assert.strictEqual(pictures.length, 30)
      // the bar moves with each keyframe, and rests between keyframes
      assert.strictEqual(new Set(pictures).size, 6)
      assert.strictEqual(new Set(pictures.slice(0, 5)).size, 1)
      assert.include(stdout, "#dimensions 0: 64x64")
      assert.isAbove(stdout.split("\n").filter((line) => line.startsWith("1,")).length, 10)
    })
  )
})
