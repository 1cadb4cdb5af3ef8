/** A media server that rejects the tracks of a stream: what is tried, and what the reason names. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import {
  type CameraId,
  MediaPath,
  MemoryCameraSource,
  NativeEngine,
  Restream,
  StatusStore
} from "@restream/core"
import { ReaderSession, Rtp } from "@restream/core/rtsp"
import { type Quirks, RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { anyFfmpeg, ffprobes } from "../ffmpeg/Binaries.ts"
import * as RecordingProxy from "../../kit/RecordingProxy.ts"
import { configured } from "../../rtsp/MediaMtx.ts"
import { mediaMtx } from "../../rtsp/Peers.ts"
import { until } from "../../kit/Eventually.ts"
import { publishable, watch } from "../../rtsp/LiveCamera.ts"
import { job, startRelay, urlOf } from "../Streams.ts"

const video = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"]
const aac = [
  "m=audio 0 RTP/AVP 97",
  "a=rtpmap:97 MPEG4-GENERIC/48000/2",
  "a=fmtp:97 mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=1190"
]
const always = (...media: ReadonlyArray<string>): Quirks => ({
  alwaysAvailable: ["v=0", "s=-", "t=0 0", ...media, ""].join("\r\n")
})

const pcmu = ["m=audio 0 RTP/AVP 0"]

const audioFirst = (sdp: string) => {
  const [head, ...medias] = sdp.split(/(?=^m=)/m)
  return [head, ...medias.toReversed()].join("")
}

/** Relays a camera with H.264 and PCMU to a server. */
const relayTo = Effect.fnUntraced(function* (to: string, audio = true, quirks: Quirks = {}) {
  const camera = yield* RtspServer.make({ settings: () => ({ quirks }) })
  yield* TestPattern.publish(camera, "cam", { frameRate: 25, keyframeEvery: 5, audio })
  const native = NativeEngine.make()
  return yield* startRelay(native, job(camera.url("cam"), to))
})

const rejects = Effect.fnUntraced(function* (quirks: Quirks, path = "out") {
  const sink = yield* RtspServer.make({ settings: () => ({ quirks }) })
  const { reason } = yield* Effect.flip(relayTo(sink.url(path)))
  return reason
})

describe.concurrent("a native relay to a path with tracks of its own", () => {
  it.live("is published without audio if the path expects video only", () =>
    Effect.gen(function* () {
      const sink = yield* RtspServer.make({ settings: () => ({ quirks: always(...video) }) })
      const relay = yield* relayTo(sink.url("out"))
      yield* relay.flowing
      assert.deepStrictEqual(relay.notices, [
        "relaying without audio: the media server rejected the stream with audio"
      ])
      assert.isUndefined(relay.published.audio)
    })
  )

  const orders: ReadonlyArray<[string, ReadonlyArray<string>, Quirks]> = [
    ["path", [...pcmu, ...video], {}],
    ["camera", [...video, ...pcmu], { sdp: audioFirst }]
  ]
  it.live.each(orders)(
    "is published in the order of the path, where the audio of the %s comes first",
    ([, path, quirks]) =>
      Effect.gen(function* () {
        const sink = yield* RtspServer.make({ settings: () => ({ quirks: always(...path) }) })
        const toSink = yield* RecordingProxy.make("sink", sink.port)
        const relay = yield* relayTo(`rtsp://127.0.0.1:${toSink.port}/out`, true, quirks)
        yield* relay.flowing
        assert.deepStrictEqual(relay.notices, [])
        assert.strictEqual(relay.published.audio?.codec, "pcm_mulaw")
        for (const [index, type] of (path[0] === pcmu[0] ? [0, 96] : [96, 0]).entries()) {
          const packet = yield* toSink.heard(
            (entry) => entry._tag === "Frame" && entry.from === "us" && entry.channel === 2 * index
          )
          assert.strictEqual(packet._tag === "Frame" && Rtp.payloadType(packet.packet, 0), type)
        }
      })
  )

  it.live("is published with silent audio if the path has audio and the camera has none", () =>
    Effect.gen(function* () {
      const sink = yield* RtspServer.make({
        settings: () => ({ quirks: always(...aac, ...video) })
      })
      const relay = yield* relayTo(sink.url("out"), false)
      yield* relay.flowing
      assert.deepStrictEqual(relay.notices, [
        "the path has aac/48000/2, which the camera does not send"
      ])
      assert.isUndefined(relay.published.audio)
    })
  )

  it.live("names the tracks of the path and those of the camera", () =>
    Effect.gen(function* () {
      const reason = yield* rejects(always(...video, ...aac))
      assert.deepInclude(
        { ...reason },
        {
          _tag: "ServerRejected",
          request: "RECORD",
          expected: "h264 + aac/48000/2",
          announced: "h264 + pcm_mulaw/8000/1"
        }
      )
      assert.include(reason.message, "the path has h264 + aac/48000/2")
    })
  )

  it.live("names what to check if the path has no tracks to read, or the same", () =>
    Effect.gen(function* () {
      const same = [...video, "m=audio 0 RTP/AVP 0"]
      for (const quirks of [{}, { rejectWith: { DESCRIBE: 401 } }, always(...same)] as const) {
        const all: Quirks = {
          ...quirks,
          rejectWith: { ...("rejectWith" in quirks ? quirks.rejectWith : {}), RECORD: 400 }
        }
        const reason = yield* rejects(all)
        assert.include(reason.message, "overridePublisher")
        assert.notProperty(reason, "expected")
      }
      const announce = yield* rejects({ rejectWith: { ANNOUNCE: 400 } })
      assert.include(announce.message, "all_others")
      const colon = yield* rejects({ rejectWith: { ANNOUNCE: 400 } }, "gate:1")
      assert.include(colon.message, 'allow no ":" in a path')
    })
  )

  it.live.skipIf(mediaMtx === undefined)(
    "is published to a path of MediaMTX with alwaysAvailable",
    () =>
      Effect.gen(function* () {
        const path = (name: string, ...codecs: ReadonlyArray<string>) => [
          `${name}:`,
          "  alwaysAvailable: yes",
          "  alwaysAvailableTracks:",
          ...codecs.map((codec) => `    - {codec: ${codec}}`)
        ]
        const server = yield* configured(
          [],
          [
            ...path("video", "H264"),
            ...path("hevc", "H265"),
            '"~^any/":',
            "other:",
            "  source: rtsp://127.0.0.1:1/none"
          ]
        )
        yield* server.start
        yield* (yield* relayTo(server.at("video"))).flowing
        const hevc = yield* Effect.flip(relayTo(server.at("hevc")))
        assert.include(hevc.reason.message, "the path has hevc, the camera sends h264")
        const other = yield* Effect.flip(relayTo(server.at("other")))
        assert.include(other.reason.message, "check source, overridePublisher")
        const absent = yield* Effect.flip(relayTo(server.at("absent")))
        assert.include(absent.reason.message, "all_others")
        for (const character of ["~", ":"]) {
          const { reason } = yield* Effect.flip(relayTo(server.at(`any/a${character}b`)))
          assert.include(reason.message, `allow no "${character}" in a path`)
        }
        yield* (yield* relayTo(server.at(`any/${"a".repeat(MediaPath.maxLength - 4)}`))).flowing
      })
  )

  it.live.skipIf(mediaMtx === undefined)(
    "keeps its readers at MediaMTX when the camera or the relay restarts",
    () =>
      Effect.gen(function* () {
        const server = yield* configured(
          [],
          [
            "out:",
            "  alwaysAvailable: yes",
            "  alwaysAvailableTracks:",
            "    - {codec: H264}",
            "    - {codec: G711, muLaw: yes, sampleRate: 8000, channelCount: 1}"
          ]
        )
        yield* server.start
        const session = yield* ReaderSession.open({ url: urlOf(server.at("out")) })
        yield* session.setup(publishable(session))
        const watched = watch(session.trackByChannel)
        yield* session.play(watched.handler)
        const reading = yield* Effect.forkScoped(session.closed)
        for (const [audio, quirks] of [
          [true, {}],
          [true, { sdp: audioFirst }],
          [false, {}],
          [true, {}]
        ] as const) {
          yield* Effect.gen(function* () {
            const relay = yield* relayTo(server.at("out"), audio, quirks)
            yield* relay.flowing
            const before = watched.counts.get(0) ?? 0
            yield* until("a second of video", () => (watched.counts.get(0) ?? 0) > before + 50)
          }).pipe(Effect.scoped)
        }
        assert.isUndefined(reading.pollUnsafe())
        yield* Fiber.interrupt(reading)
      })
  )

  it.live.each(["native", "ffmpeg"] as const)("publishes with mediaServer.query: %s", (engine) =>
    Effect.gen(function* () {
      const camera = yield* RtspServer.make()
      yield* TestPattern.publish(camera, "cam", { frameRate: 25, keyframeEvery: 5 })
      const sink = yield* RtspServer.make()
      const toSink = yield* RecordingProxy.make("sink", sink.port)
      const tree = Restream.layer({
        ...defaultSettings,
        ffmpeg: {
          ...defaultSettings.ffmpeg,
          path: anyFfmpeg,
          ffprobePath: ffprobes[0]!.path
        },
        mediaServer: {
          ...defaultSettings.mediaServer,
          port: toSink.port,
          query: Redacted.make("?jwt=a.b_c-d e&x=%2F")
        }
      }).pipe(
        Layer.provide(
          MemoryCameraSource.layer([{ id: 1, url: camera.url("cam"), options: { engine } }])
        ),
        Layer.provide(NodeServices.layer)
      )
      yield* Effect.gen(function* () {
        yield* sink.awaitPackets("cam1")
        const base = `rtsp://127.0.0.1:${toSink.port}/cam1?jwt=a.b_c-d%20e&x=%2F`
        const uris = (method: string) =>
          toSink
            .all(RecordingProxy.request(method))
            .flatMap((one) => (one._tag === "Request" ? [one.uri] : []))
        assert.deepStrictEqual(uris("ANNOUNCE"), [base])
        assert.isTrue(uris("SETUP").every((uri) => uri.startsWith(`${base}/`)))
        const status = yield* StatusStore
        const state = JSON.stringify(yield* status.get("1" as CameraId))
        assert.notInclude(state, "a.b_c-d")
      }).pipe(Effect.provide(tree))
    })
  )
})
