/** What a native relay says to a camera and to a media server, as a recording proxy sees it. */
import { assert, describe, it } from "@effect/vitest"
import {
  anyServer,
  type CameraOptions,
  type DestinationServer,
  NativeEngine,
  type ProbeError,
  type RelayError,
  type RunningRelay
} from "@restream/core"
import { Rtcp, Rtp } from "@restream/core/rtsp"
import {
  type Quirks,
  RtspServer,
  type RtspServerOptions,
  TestPattern
} from "@restream/core/testing"
import { Cause, Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { job, startRelay } from "../Streams.ts"
import * as ScriptedCamera from "../../kit/ScriptedCamera.ts"
import * as RecordingProxy from "../../kit/RecordingProxy.ts"

interface Peers {
  readonly camera: RtspServer["Service"]
  readonly sink: RtspServer["Service"]
  readonly record: RecordingProxy.Recording
  /** The wire to the camera, and that to the media server. */
  readonly toCamera: RecordingProxy.RecordingProxy
  readonly toSink: RecordingProxy.RecordingProxy
  readonly start: (
    options?: Partial<CameraOptions>,
    hasFallback?: boolean
  ) => Effect.Effect<RunningRelay, ProbeError | RelayError, Scope.Scope>
}

/** A camera and a media server, each at the end of a proxy, and an engine between them. */
const peers = Effect.fnUntraced(function* (
  settings: {
    readonly camera?: RtspServerOptions
    readonly quirks?: Quirks
    readonly sinkQuirks?: Quirks
    readonly engine?: NativeEngine.NativeEngineOptions
    readonly server?: DestinationServer
  } = {}
) {
  const camera = yield* RtspServer.make({
    settings: () => ({ quirks: settings.quirks }),
    ...settings.camera
  })
  const sink = yield* RtspServer.make({ settings: () => ({ quirks: settings.sinkQuirks }) })
  const record = new RecordingProxy.Recording()
  const toCamera = yield* RecordingProxy.make("camera", camera.port, record)
  const toSink = yield* RecordingProxy.make("sink", sink.port, record)
  const engine = NativeEngine.make(settings.engine)
  const start: Peers["start"] = (options, hasFallback = false) =>
    startRelay(engine, {
      ...job(
        `rtsp://127.0.0.1:${toCamera.port}/cam`,
        `rtsp://127.0.0.1:${toSink.port}/out`,
        options,
        hasFallback
      ),
      server: settings.server
    })
  return { camera, sink, record, toCamera, toSink, start } satisfies Peers
})

const living = { frameRate: 25, keyframeEvery: 5, audio: true } as const

/**
 * Lets what is on its way arrive. All peers are in this process, and loopback delivers at once: what was
 * written is read within a few turns of the event loop, however long they take.
 */
const settle = Effect.promise(async () => {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** Done when a peer has answered all that we asked, and we have read the answers. */
const answered = (proxy: RecordingProxy.RecordingProxy) => {
  const asked = () => proxy.all((said) => said._tag === "Request" && said.from === "us").length
  const answers = () => proxy.all((said) => said._tag === "Response" && said.from === "peer").length
  return Effect.andThen(
    proxy.heard(() => asked() === answers()),
    settle
  )
}

/** What the media server was announced. */
const codecsAt = (sink: RtspServer["Service"]) =>
  Effect.map(sink.path("out"), (status) => status?.publisher?.tracks.map(({ codec }) => codec))

const ssrcOf = (packet: Buffer) => Rtp.ssrc(packet, 0)

describe.concurrent("the native engine, on the wire,", () => {
  it.live("sends PLAY only after ANNOUNCE at the media server", () =>
    Effect.gen(function* () {
      const { camera, record, start } = yield* peers()
      yield* TestPattern.publish(camera, "cam", living)
      yield* (yield* start()).flowing
      // the server is asked for signs of life at any time behind that
      const isPlay = (one: RecordingProxy.Entry) =>
        one.proxy === "camera" && RecordingProxy.request("PLAY")(one)
      const before = record.said.slice(0, record.said.findIndex(isPlay) + 1)
      assert.isFalse(before.some(({ _tag }) => _tag === "Frame"))
      assert.deepStrictEqual(
        before.flatMap((one) => (one._tag === "Request" ? [`${one.proxy} ${one.method}`] : [])),
        [
          "camera DESCRIBE",
          "camera SETUP",
          "camera SETUP",
          "sink ANNOUNCE",
          "sink SETUP",
          "sink SETUP",
          "sink RECORD",
          "camera PLAY"
        ]
      )
      // the server has to have said yes before the camera is let loose
      const said = before.map((one) => `${one.proxy} ${one._tag}`)
      assert.isBelow(said.lastIndexOf("sink Response"), said.lastIndexOf("camera Request"))
    })
  )

  it.live.each<[string, Quirks]>([
    ["is in order", {}],
    ["chooses other channels", { channelOffset: 10 }],
    ["sends packets of dead sessions and garbage", { strayFrames: true, garbageEvery: 7 }]
  ])("brings each packet of a camera that %s, unchanged and in its order", ([, quirks]) =>
    Effect.gen(function* () {
      const { camera, sink, start, toCamera, toSink } = yield* peers({ quirks })
      const hand = yield* ScriptedCamera.publish(camera, "cam", { audio: true })
      const relay = yield* start()
      yield* camera.awaitReaders("cam", 1)
      for (let i = 0; i < 40; i++) {
        hand.picture(i % 10 === 0 ? "keyframe" : "other", 200 * (i + 1))
        hand.sound()
        hand.sound()
        if (i % 4 === 0) yield* settle
      }
      const total = hand.sent[0] + hand.sent[1]
      const isArrived = () =>
        toSink.all(RecordingProxy.frame("us", "rtp")).length >= total || undefined
      // a picture that is complete takes all before it along; sound behind it waits 20 ms
      while (isArrived() === undefined) yield* settle
      const offset = quirks.channelOffset ?? 0
      for (const [track, ssrc] of ScriptedCamera.sources.entries()) {
        const packets = (
          proxy: RecordingProxy.RecordingProxy,
          from: "us" | "peer",
          channel: number
        ) =>
          proxy
            .all(RecordingProxy.frame(from, "rtp"))
            .flatMap((one) =>
              one._tag === "Frame" && one.channel === channel && ssrcOf(one.packet) === ssrc
                ? [one.packet.toString("base64")]
                : []
            )
        const came = packets(toCamera, "peer", 2 * track + offset)
        assert.strictEqual(came.length, hand.sent[track])
        assert.deepStrictEqual(packets(toSink, "us", 2 * track), came)
      }
      const { bytes, dropped, lost, packets } = relay.counters()
      // the wire hears them a moment before the server does
      while (((yield* sink.path("out"))?.packets ?? 0) < packets) yield* settle
      const status = yield* sink.path("out")
      assert.deepStrictEqual({ bytes, packets }, { bytes: status?.bytes, packets: status?.packets })
      assert.deepStrictEqual({ dropped, lost }, { dropped: 0, lost: 0 })
    })
  )

  it.live("forwards the camera's reports, and not those of the media server", () =>
    Effect.gen(function* () {
      const { camera, start, toCamera, toSink } = yield* peers()
      const hand = yield* ScriptedCamera.publish(camera, "cam")
      yield* start()
      yield* camera.awaitReaders("cam", 1)
      hand.picture("keyframe")
      hand.report()
      hand.picture("other")
      const passed = yield* toSink.heard(RecordingProxy.frame("us", "rtcp"))
      const answer = yield* toSink.heard(RecordingProxy.frame("peer", "rtcp"))
      assert.isTrue(passed._tag === "Frame" && answer._tag === "Frame")
      if (passed._tag !== "Frame" || answer._tag !== "Frame") return
      assert.isDefined(Rtcp.readSenderReport(passed.packet, 0, passed.packet.length))
      yield* settle
      const answers = toCamera.all(
        (one) => one._tag === "Frame" && one.from === "us" && one.packet.equals(answer.packet)
      )
      assert.strictEqual(answers.length, 0)
    })
  )

  it.effect("sends the camera receiver reports every five seconds, and counts the gaps", () =>
    Effect.gen(function* () {
      const { camera, start, toCamera, toSink } = yield* peers()
      const hand = yield* ScriptedCamera.publish(camera, "cam", { audio: true })
      const relay = yield* start()
      yield* camera.awaitReaders("cam", 1)
      // sets and picture, 7 numbers missing, one more: 4 of 11 came
      hand.picture("keyframe")
      hand.lose(7)
      hand.picture("other")
      hand.sound()
      hand.picture("other")
      yield* relay.flowing
      yield* toSink.heard(
        () => toSink.all(RecordingProxy.frame("us", "rtp")).length === hand.sent[0] + hand.sent[1]
      )
      const reports = () => toCamera.all(RecordingProxy.frame("us", "rtcp"))
      yield* TestClock.adjust("4999 millis")
      yield* settle
      assert.strictEqual(reports().length, 0)
      yield* TestClock.adjust("1 millis")
      yield* toCamera.heard(() => reports().length === 2)
      const blocks = reports().map((one) =>
        one._tag !== "Frame"
          ? undefined
          : {
              channel: one.channel,
              type: one.packet[1],
              ssrc: one.packet.readUInt32BE(8),
              fraction: one.packet[12],
              lost: one.packet.readUIntBE(13, 3),
              highest: one.packet.readUInt32BE(16)
            }
      )
      assert.deepStrictEqual(blocks, [
        {
          channel: 1,
          type: 201,
          ssrc: ScriptedCamera.sources[0],
          fraction: Math.floor((7 * 256) / 12),
          lost: 7,
          highest: 65_500 + 11
        },
        { channel: 3, type: 201, ssrc: ScriptedCamera.sources[1], fraction: 0, lost: 0, highest: 0 }
      ])
      assert.strictEqual(relay.counters().lost, 7)
      yield* TestClock.adjust("5 seconds")
      yield* toCamera.heard(() => reports().length === 4)
    })
  )

  it.live("gives the time of the last video, and does not count audio", () =>
    Effect.gen(function* () {
      const { camera, start, toSink } = yield* peers()
      const hand = yield* ScriptedCamera.publish(camera, "cam", { audio: true })
      const relay = yield* start()
      yield* camera.awaitReaders("cam", 1)
      const startedAt = yield* Clock.currentTimeMillis
      hand.picture("keyframe")
      yield* relay.flowing
      const { lastVideoAt } = relay.counters()
      assert.isAtLeast(lastVideoAt ?? 0, startedAt)
      // from now on the time of an update differs
      while ((yield* Clock.currentTimeMillis) === lastVideoAt) yield* settle
      hand.sound()
      yield* toSink.heard(
        (one) => RecordingProxy.frame("us", "rtp")(one) && one._tag === "Frame" && one.channel === 2
      )
      assert.strictEqual(relay.counters().lastVideoAt, lastVideoAt)
      hand.picture("other")
      while (relay.counters().lastVideoAt === lastVideoAt) yield* settle
    })
  )

  it.effect("sends keep-alives to the media server within its timeout", () =>
    Effect.gen(function* () {
      const { camera, start, toSink } = yield* peers({ engine: { stallTimeout: "1 hour" } })
      yield* ScriptedCamera.publish(camera, "cam")
      yield* start()
      // a camera that sends nothing: MediaMTX would put us out after 10 s
      for (let times = 1; times <= 4; times++) {
        yield* TestClock.adjust("5 seconds")
        yield* toSink.heard(() => toSink.all(RecordingProxy.request("OPTIONS")).length >= times)
        yield* answered(toSink)
      }
    })
  )

  it.effect("keeps the server's session alive while the camera takes long for PLAY", () =>
    Effect.gen(function* () {
      const { camera, start, toCamera, toSink } = yield* peers({
        quirks: { silentAt: "PLAY" },
        engine: { openTimeout: "1 hour" }
      })
      yield* ScriptedCamera.publish(camera, "cam")
      const starting = yield* Effect.forkChild(start())
      yield* toCamera.heard(RecordingProxy.request("PLAY"))
      for (let times = 1; times <= 3; times++) {
        yield* answered(toSink)
        yield* TestClock.adjust("5 seconds")
        yield* toSink.heard(() => toSink.all(RecordingProxy.request("OPTIONS")).length === times)
      }
      assert.isUndefined(starting.pollUnsafe())
    })
  )

  describe("keeps the camera's session alive", () => {
    /** Starts a relay of a camera, which is asked for its methods as soon as it plays; waits for the answer. */
    const playing = Effect.fnUntraced(function* (quirks: Quirks) {
      const { camera, start, toCamera } = yield* peers({
        quirks,
        engine: { stallTimeout: "1 hour" }
      })
      yield* ScriptedCamera.publish(camera, "cam")
      const relay = yield* start()
      const ended = yield* Effect.forkChild(relay.ended)
      yield* toCamera.heard(RecordingProxy.request("OPTIONS"))
      yield* settle
      return { toCamera, ended }
    })

    it.effect("every half of its timeout, with GET_PARAMETER where it supports that", () =>
      Effect.gen(function* () {
        const { ended, toCamera } = yield* playing({
          sessionTimeoutSeconds: 5,
          enforcesTimeout: true
        })
        for (let i = 1; i <= 6; i++) {
          yield* TestClock.adjust("2500 millis")
          yield* toCamera.heard(
            () => toCamera.all(RecordingProxy.request("GET_PARAMETER")).length === i
          )
          yield* answered(toCamera)
        }
        assert.isUndefined(ended.pollUnsafe())
        const [first] = toCamera.all(RecordingProxy.request("GET_PARAMETER"))
        assert.strictEqual(
          first?._tag === "Request" && first.uri,
          `rtsp://127.0.0.1:${toCamera.port}/cam/`
        )
      })
    )

    it.effect("at least every 25 s, with OPTIONS where it supports nothing else", () =>
      Effect.gen(function* () {
        const { toCamera } = yield* playing({
          publicMethods: ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]
        })
        const asked = () => toCamera.all(RecordingProxy.request("OPTIONS")).length
        assert.strictEqual(asked(), 1)
        yield* TestClock.adjust("24999 millis")
        yield* settle
        assert.strictEqual(asked(), 1)
        yield* TestClock.adjust("1 millis")
        yield* toCamera.heard(() => asked() === 2)
        assert.strictEqual(toCamera.all(RecordingProxy.request("GET_PARAMETER")).length, 0)
      })
    )

    it.effect("while the media server delays its response", () =>
      Effect.gen(function* () {
        const { camera, start, toCamera, toSink } = yield* peers({
          quirks: { sessionTimeoutSeconds: 5, enforcesTimeout: true },
          sinkQuirks: { silentAt: "RECORD" }
        })
        yield* ScriptedCamera.publish(camera, "cam")
        yield* Effect.forkChild(start())
        yield* toSink.heard(RecordingProxy.request("RECORD"))
        yield* settle
        yield* TestClock.adjust("2500 millis")
        yield* toCamera.heard(RecordingProxy.request("OPTIONS"))
      })
    )

    it.effect("at the same rate without a response, with any timeout", () =>
      Effect.gen(function* () {
        const { ended, toCamera } = yield* playing({
          silentAt: "OPTIONS",
          sessionTimeoutSeconds: 5
        })
        for (let i = 1; i <= 4; i++) {
          yield* TestClock.adjust("2500 millis")
          yield* toCamera.heard(() => toCamera.all(RecordingProxy.request("OPTIONS")).length > i)
          yield* settle
        }
        assert.isUndefined(ended.pollUnsafe())
      })
    )

    it.effect("and continues without a response", () =>
      Effect.gen(function* () {
        const { ended, toCamera } = yield* playing({ silentAt: "GET_PARAMETER" })
        for (let i = 1; i <= 3; i++) {
          yield* TestClock.adjust("25 seconds")
          yield* toCamera.heard(
            () => toCamera.all(RecordingProxy.request("GET_PARAMETER")).length === i
          )
          yield* settle
        }
        assert.isUndefined(ended.pollUnsafe())
      })
    )
  })

  it.live("ends with the defect of a server check", () =>
    Effect.gen(function* () {
      const { camera, sink, start } = yield* peers({
        server: { ...anyServer, check: Effect.die("a fault") }
      })
      yield* TestPattern.publish(camera, "cam", living)
      const relay = yield* start()
      yield* relay.flowing
      yield* sink.kick("out")
      const exit = yield* Effect.exit(relay.ended)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    })
  )

  describe("sends TEARDOWN to both sides", () => {
    const tearsDown = ({ toCamera, toSink }: Peers) => ({
      camera: toCamera.all(RecordingProxy.request("TEARDOWN")).length,
      sink: toSink.all(RecordingProxy.request("TEARDOWN")).length
    })

    /** Starts a relay of a living camera, runs it until `end` is done, and closes its scope. */
    const until = Effect.fnUntraced(function* (
      settings: Parameters<typeof peers>[0],
      end: (
        peers: Peers & { readonly relay: RunningRelay }
      ) => Effect.Effect<unknown, unknown, Scope.Scope>
    ) {
      const all = yield* peers(settings)
      yield* TestPattern.publish(all.camera, "cam", living)
      const scope = yield* Scope.make()
      const relay = yield* Scope.provide(all.start(), scope)
      yield* relay.flowing
      yield* end({ ...all, relay })
      yield* Scope.close(scope, Exit.void)
      yield* settle
      return all
    })

    it.live("when its scope is closed, and sends no frame after it", () =>
      Effect.gen(function* () {
        const all = yield* until({}, () => Effect.void)
        assert.deepStrictEqual(tearsDown(all), { camera: 1, sink: 1 })
        const said = all.toSink.all(({ from }) => from === "us")
        assert.strictEqual(said.findIndex(RecordingProxy.request("TEARDOWN")), said.length - 1)
        yield* all.camera.awaitConnections(0)
        yield* all.sink.awaitConnections(0)
      })
    )

    it.live("after packets that were queued", () =>
      Effect.gen(function* () {
        const { camera, start, toCamera, toSink } = yield* peers()
        const hand = yield* ScriptedCamera.publish(camera, "cam", { audio: true })
        const scope = yield* Scope.make()
        const relay = yield* Scope.provide(start(), scope)
        yield* camera.awaitReaders("cam", 1)
        hand.picture("keyframe")
        yield* relay.flowing
        const { packets } = relay.counters()
        hand.sound()
        // taken by the relay, and not yet twenty milliseconds old
        while (relay.counters().packets === packets) yield* Effect.yieldNow
        yield* Scope.close(scope, Exit.void)
        yield* toCamera.heard(RecordingProxy.request("TEARDOWN"))
        const said = toSink.all(({ from }) => from === "us")
        const sound = said.findIndex((one) => one._tag === "Frame" && one.channel === 2)
        assert.notStrictEqual(sound, -1)
        assert.isBelow(sound, said.findIndex(RecordingProxy.request("TEARDOWN")))
      })
    )

    it.live("and sends no frame after it to a media server that responds late", () =>
      Effect.gen(function* () {
        const all = yield* until({ sinkQuirks: { silentAt: "TEARDOWN" } }, () => Effect.void)
        const said = all.toSink.all(({ from }) => from === "us")
        assert.strictEqual(said.findIndex(RecordingProxy.request("TEARDOWN")), said.length - 1)
        assert.strictEqual(tearsDown(all).camera, 1)
      })
    )

    it.live("when it is interrupted in its start", () =>
      Effect.gen(function* () {
        const all = yield* peers({ sinkQuirks: { silentAt: "RECORD" } })
        yield* TestPattern.publish(all.camera, "cam", living)
        const starting = yield* Effect.forkChild(Effect.scoped(all.start()))
        yield* all.toSink.heard(RecordingProxy.request("RECORD"))
        yield* Fiber.interrupt(starting)
        yield* settle
        assert.deepStrictEqual(tearsDown(all), { camera: 1, sink: 1 })
      })
    )

    it.live("when the server refuses", () =>
      Effect.gen(function* () {
        const all = yield* peers({ sinkQuirks: { rejectWith: { RECORD: 400 } } })
        yield* TestPattern.publish(all.camera, "cam", living)
        const { reason } = yield* Effect.flip(Effect.scoped(all.start()))
        assert.strictEqual(reason._tag, "ServerRejected")
        // with audio, and once more without
        yield* settle
        assert.deepStrictEqual(tearsDown(all), { camera: 1, sink: 2 })
      })
    )

    it.live("when the camera refuses to play", () =>
      Effect.gen(function* () {
        const all = yield* peers({ quirks: { rejectWith: { PLAY: 503 } } })
        yield* TestPattern.publish(all.camera, "cam", living)
        yield* Effect.flip(Effect.scoped(all.start()))
        yield* settle
        assert.deepStrictEqual(tearsDown(all), { camera: 1, sink: 1 })
      })
    )

    it.live("when the camera is suspended", () =>
      Effect.gen(function* () {
        const all = yield* until({ engine: { stallTimeout: "1 second" } }, ({ camera, relay }) =>
          Effect.andThen(camera.freeze("cam", "video"), Effect.flip(relay.ended))
        )
        assert.deepStrictEqual(tearsDown(all), { camera: 1, sink: 1 })
      })
    )

    it.live("to the media server alone when the camera closes the connection", () =>
      Effect.gen(function* () {
        const all = yield* until({}, ({ camera, relay }) =>
          Effect.andThen(camera.kick("cam"), Effect.flip(relay.ended))
        )
        assert.deepStrictEqual(tearsDown(all), { camera: 0, sink: 1 })
      })
    )

    it.live("to the camera when the media server closes the connection", () =>
      Effect.gen(function* () {
        const all = yield* until({}, ({ relay, sink }) =>
          Effect.andThen(sink.kick("out"), Effect.flip(relay.ended))
        )
        assert.deepStrictEqual(tearsDown(all), { camera: 1, sink: 0 })
      })
    )

    it.live("to the camera when the server is suspended, after a second", () =>
      Effect.gen(function* () {
        const all = yield* until({ engine: { stallTimeout: "1 second" } }, ({ relay, toSink }) =>
          Effect.gen(function* () {
            // a server that has never given a sign of life is not held to one
            yield* toSink.heard(RecordingProxy.request("OPTIONS"))
            yield* settle
            yield* toSink.hold
            const { reason } = yield* Effect.flip(relay.ended)
            assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "output" })
          })
        )
        assert.strictEqual(tearsDown(all).camera, 1)
      })
    )
  })

  describe("with audio that cannot be relayed", () => {
    const aacWithoutConfiguration: Quirks = {
      sdp: (sdp) =>
        sdp
          .replace("m=audio 0 RTP/AVP 0", "m=audio 0 RTP/AVP 97")
          .replace(
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:97 MPEG4-GENERIC/44100/2\r\na=fmtp:97 mode=AAC-hbr;sizelength=13"
          )
    }

    it.live("relays the video without audio, with a notice", () =>
      Effect.gen(function* () {
        const { camera, sink, start } = yield* peers({ quirks: aacWithoutConfiguration })
        yield* TestPattern.publish(camera, "cam", living)
        const relay = yield* start()
        yield* relay.flowing
        assert.deepStrictEqual(yield* codecsAt(sink), ["h264"])
        assert.isUndefined(relay.published.audio)
        assert.deepStrictEqual(relay.notices, [
          "relaying without audio: aac audio: the description has no AAC config"
        ])
      })
    )

    /** The description with the audio in front of the video. */
    const audioFirst = (sdp: string) => sdp.replace(/(m=video[^]*?)(m=audio[^]*)$/, "$2$1")

    it.live.each<[string, Quirks]>([
      ["after the video", {}],
      ["before the video", { sdp: audioFirst }]
    ])("leaves out audio, described %s, that the media server rejects", ([, quirks]) =>
      Effect.gen(function* () {
        const { camera, sink, start } = yield* peers({
          quirks,
          sinkQuirks: { rejectsAudio: true }
        })
        const hand = yield* ScriptedCamera.publish(camera, "cam", { audio: true })
        const relay = yield* start()
        yield* camera.awaitReaders("cam", 1)
        hand.sound()
        hand.picture("keyframe")
        hand.sound()
        hand.picture("other")
        yield* relay.flowing
        yield* sink.awaitPackets("out")
        assert.deepStrictEqual(yield* codecsAt(sink), ["h264"])
        assert.isUndefined(relay.published.audio)
        assert.deepStrictEqual(relay.notices, [
          "relaying without audio: the media server rejected the stream with audio"
        ])
        // the sound goes nowhere, and not among the pictures either
        assert.strictEqual(relay.counters().packets, hand.sent[0])
      })
    )

    it.live("omits a track whose SETUP the camera rejects, with a notice", () =>
      Effect.gen(function* () {
        const { camera, sink, start } = yield* peers({ quirks: { rejectsAudio: true } })
        yield* TestPattern.publish(camera, "cam", living)
        const relay = yield* start()
        yield* relay.flowing
        assert.deepStrictEqual(yield* codecsAt(sink), ["h264"])
        assert.isUndefined(relay.published.audio)
        assert.deepStrictEqual(relay.notices, [
          "relaying without audio: the camera rejected SETUP of its audio track"
        ])
      })
    )

    it.live("leaves the camera to the next engine, which supports it", () =>
      Effect.gen(function* () {
        const { camera, start } = yield* peers({ quirks: aacWithoutConfiguration })
        yield* TestPattern.publish(camera, "cam", living)
        const { reason } = yield* Effect.flip(Effect.scoped(start({}, true)))
        assert.strictEqual(reason._tag, "Unsupported")
        yield* Effect.scoped(Effect.flatMap(start({ audio: "drop" }, true), (one) => one.flowing))
        yield* Effect.scoped(Effect.flatMap(start({ audio: "copy" }, true), (one) => one.flowing))
      })
    )

    it.live.each(["aac", "opus"] as const)("transcodes none to %s", (audio) =>
      Effect.gen(function* () {
        const { camera, sink, start } = yield* peers()
        yield* TestPattern.publish(camera, "cam", living)
        const { reason } = yield* Effect.flip(Effect.scoped(start({ audio }, true)))
        assert.deepInclude(
          { ...reason },
          { _tag: "Unsupported", what: `transcoding pcm_mulaw audio to ${audio}` }
        )
        const relay = yield* start({ audio })
        yield* relay.flowing
        assert.strictEqual((yield* sink.path("out"))?.publisher?.tracks.length, 1)
        assert.isUndefined(relay.published.audio)
      })
    )
  })
})
