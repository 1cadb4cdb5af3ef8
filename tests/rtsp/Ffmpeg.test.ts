import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Announcement } from "@restream/core"
import { PublisherSession } from "@restream/core/rtsp"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { play, url, watch, publishable } from "./LiveCamera.ts"
import { publishWithFfmpeg, readFrames } from "./Peers.ts"

const framesOf = (stdout: string, track: number): ReadonlyArray<string> =>
  stdout.split("\n").filter((line) => line.startsWith(`${track},`))

describe("ffmpeg", () => {
  it.live("publishes to the server, and reads the stream back without errors", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* publishWithFfmpeg(server.url("live"))
      yield* server.awaitPackets("live")
      const status = yield* server.path("live")
      assert.deepStrictEqual(
        status?.publisher?.tracks.map(({ codec }) => codec),
        ["h264", "aac"]
      )
      const { code, stderr, stdout } = yield* readFrames(server.url("live"), 20)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      assert.strictEqual(framesOf(stdout, 0).length, 20)
      assert.isAbove(framesOf(stdout, 1).length, 5)
    })
  )

  it.live("reads with many readers, each of which receives all pictures", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ resolve: () => "pattern" })
      yield* TestPattern.publish(server, "pattern", { frameRate: 25 })
      const readers = Array.from({ length: 6 }, (_, index) => server.url(`cam${index}`))
      const all = yield* Effect.forEach(readers, (reader) => readFrames(reader, 10), {
        concurrency: "unbounded"
      })
      for (const { code, stderr, stdout } of all) {
        assert.strictEqual(stderr, "")
        assert.strictEqual(code, 0)
        assert.strictEqual(framesOf(stdout, 0).length, 10)
      }
    })
  )

  const guarded = RtspServer.make({
    authentication: { username: "admin", password: Redacted.make("secret") }
  })
  const withPassword = (address: string, password: string) =>
    address.replace("rtsp://", `rtsp://admin:${password}@`)

  it.live("authenticates by Digest, to publish and to read", () =>
    Effect.gen(function* () {
      const server = yield* guarded
      yield* publishWithFfmpeg(withPassword(server.url("live"), "secret"), { audio: false })
      yield* server.awaitPackets("live")
      const { code } = yield* readFrames(withPassword(server.url("live"), "secret"), 5)
      assert.strictEqual(code, 0)
      assert.strictEqual(yield* server.authenticationFailures, 0)
    })
  )

  it.live("is rejected with a wrong password, counted as one failure", () =>
    Effect.gen(function* () {
      const server = yield* guarded
      const { code, stderr } = yield* readFrames(withPassword(server.url("live"), "wrong"), 5)
      assert.notStrictEqual(code, 0)
      assert.include(stderr, "401")
      assert.strictEqual(yield* server.authenticationFailures, 1)
    })
  )

  it.live("publishes to the server what ReaderSession plays", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* publishWithFfmpeg(server.url("live"))
      yield* server.awaitPackets("live")
      const { session, watched } = yield* play({ url: url(server.url("live")) })
      assert.deepInclude(publishable(session)[0], { codec: "h264", width: 320, height: 180 })
      assert.deepInclude(publishable(session)[1], { codec: "aac", sampleRate: 44_100, channels: 1 })
      yield* watched.first(0)
      yield* watched.first(2)
    })
  )

  it.live("reads what PublisherSession publishes", () =>
    Effect.gen(function* () {
      const source = yield* RtspServer.make()
      yield* TestPattern.publish(source, "cam", { frameRate: 25, keyframeEvery: 1 })
      const sink = yield* RtspServer.make()
      const { session } = yield* play({ url: url(source.url("cam")) })
      session.connection.setFrameHandler(undefined)
      const publisher = yield* PublisherSession.open({
        url: url(sink.url("out")),
        announcement: Announcement.announcement(publishable(session))
      })
      const watched = watch(session.trackByChannel)
      session.connection.setFrameHandler({
        frames: (bytes, start, end, reused) => {
          watched.handler.frames(bytes, start, end, reused)
          publisher.connection.write(bytes.subarray(start, end))
        }
      })
      yield* watched.first(0)
      const { code, stderr, stdout } = yield* readFrames(sink.url("out"), 10)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      assert.strictEqual(framesOf(stdout, 0).length, 10)
    })
  )
})
