/** What a native relay makes of the packets and descriptions that cameras send, on real connections. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine } from "@restream/core"
import { Rtcp, Rtp } from "@restream/core/rtsp"
import { RtspServer } from "@restream/core/testing"
import { Effect } from "effect"
import * as RecordingProxy from "../../kit/RecordingProxy.ts"
import { h265Fmtp, sprop1080 } from "../../rtsp/Cameras.ts"
import { job, startRelay } from "../Streams.ts"

const keepDoing = (act: () => void) =>
  Effect.forkScoped(Effect.forever(Effect.delay(Effect.sync(act), "20 millis")))

const videoSsrc = 0x0a0b0c0d

/** A camera with the description of the test, a media server behind a recording proxy, and a relay between them. */
const relayOf = Effect.fnUntraced(function* (
  media: ReadonlyArray<string>,
  engine: Partial<NativeEngine.NativeEngineOptions> = {}
) {
  const camera = yield* RtspServer.make()
  const sink = yield* RtspServer.make()
  const toSink = yield* RecordingProxy.make("sink", sink.port)
  const publisher = yield* camera.publish(
    "cam",
    ["v=0", "s=cam", "t=0 0", ...media, ""].join("\r\n")
  )
  const native = NativeEngine.make(engine)
  const relay = yield* startRelay(
    native,
    job(camera.url("cam"), `rtsp://127.0.0.1:${toSink.port}/out`)
  )
  yield* camera.awaitReaders("cam", 1)
  /** The next sequence number by source. */
  const next = new Map<number, number>()
  /** Sends a packet of the first track. */
  const send = (
    payloadType: number,
    payload: ReadonlyArray<number> | Uint8Array = [0x65, 0x88],
    more: {
      readonly marker?: boolean
      readonly ssrc?: number
      readonly track?: number
      readonly sequence?: number
    } = {}
  ) => {
    const ssrc = more.ssrc ?? videoSsrc
    const sequence = more.sequence ?? next.get(ssrc) ?? 0
    next.set(ssrc, sequence + 1)
    publisher.writeRtp(
      more.track ?? 0,
      Rtp.make(
        { marker: more.marker ?? true, payloadType, sequence, timestamp: 3600 * sequence, ssrc },
        Uint8Array.from(payload)
      )
    )
  }
  const announce = toSink.all(RecordingProxy.request("ANNOUNCE")).at(-1)
  const packets = () =>
    toSink
      .all(RecordingProxy.frame("us", "rtp"))
      .flatMap((one) => (one._tag === "Frame" ? [one] : []))
  return {
    relay,
    publisher,
    send,
    toSink,
    packets,
    sdp: announce?._tag === "Request" ? announce.body.split("\r\n") : [],
    /** Succeeds once the media server has this many RTP packets. */
    received: (count: number) => toSink.heard(() => packets().length >= count)
  }
})

const typesOf = (packets: ReadonlyArray<{ readonly packet: Buffer }>) =>
  packets.map(({ packet }) => Rtp.payloadType(packet, 0))

const h264 = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:trackID=0"]
const uniview = ["m=video 0 RTP/AVP 105", "a=rtpmap:105 H264/90000", "a=control:trackID=0"]
const pcmu = ["m=audio 0 RTP/AVP 0", "a=control:trackID=1"]

describe.concurrent("a native relay", () => {
  it.live("forwards only the announced payload type, and counts nothing else", () =>
    Effect.gen(function* () {
      const { packets, received, relay, send } = yield* relayOf([...uniview, ...pcmu])
      send(105)
      send(50)
      // RTCP on the channel for RTP
      send(72)
      send(96, [0x65, 0x88], { ssrc: 9 })
      send(0, [1, 2, 3], { track: 1, ssrc: 4 })
      send(8, [1, 2, 3], { track: 1, ssrc: 4 })
      send(105)
      yield* received(3)
      assert.deepStrictEqual(typesOf(packets()), [105, 0, 105])
      // the packets of other types have the numbers of the same source, and are no losses
      const { dropped, lost, packets: count } = relay.counters()
      assert.deepStrictEqual({ count, dropped, lost }, { count: 3, dropped: 0, lost: 0 })
    })
  )

  it.live.each<[string, number, ReadonlyArray<number>]>([
    ["packets of an unannounced payload type", 50, [0x65, 0x88]],
    ["packets without a payload", 105, []]
  ])("ends when the camera sends only %s", ([, type, payload]) =>
    Effect.gen(function* () {
      const { relay, send } = yield* relayOf(uniview, { stallTimeout: "400 millis" })
      send(105)
      yield* relay.flowing
      const at = relay.counters().lastVideoAt
      yield* keepDoing(() => send(type, payload))
      const { reason } = yield* Effect.flip(relay.ended)
      assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "input" })
      assert.strictEqual(relay.counters().lastVideoAt, at)
    })
  )

  it.live("names the payload type that the camera sends instead", () =>
    Effect.gen(function* () {
      const { relay, send } = yield* relayOf(uniview, {
        stallTimeout: "300 millis",
        openTimeout: "2 seconds"
      })
      yield* keepDoing(() => send(50))
      const { reason } = yield* Effect.flip(relay.ended)
      assert.deepInclude({ ...reason }, { _tag: "Stalled", unannouncedType: 50 })
    })
  )

  it.live("counts no packet of padding only, or with a broken header extension, as video", () =>
    Effect.gen(function* () {
      const { publisher, received, relay, send } = yield* relayOf(uniview)
      const raw = (first: number, ...content: ReadonlyArray<number>) => {
        const packet = Rtp.make(
          { marker: true, payloadType: 105, sequence: 1, timestamp: 1, ssrc: videoSsrc },
          Uint8Array.from(content)
        )
        packet[0] = first
        publisher.writeRtp(0, packet)
      }
      // the test camera sends nothing before a keyframe
      send(50)
      raw(0xa0, 0, 0, 0, 4)
      raw(0xb0, 0xbe, 0xde, 0, 0, 0, 0, 0, 4)
      raw(0x90, 0xbe, 0xde, 0xff, 0xff)
      raw(0xa0, 1, 2, 200)
      yield* received(4)
      assert.isUndefined(relay.counters().lastVideoAt)
      raw(0xb0, 0xbe, 0xde, 0, 0, 0x65, 0x88, 2, 2)
      yield* relay.flowing
      send(105)
    })
  )

  it.live("drops RTCP that is shorter than a header, or no RTCP at all", () =>
    Effect.gen(function* () {
      const { publisher, send, toSink } = yield* relayOf(h264)
      send(96)
      for (const bytes of [[], [0x80], [0x80, 200, 0, 0], [0x80, 96, 0, 1, 0, 0, 0, 0]]) {
        publisher.writeRtcp(0, Uint8Array.from(bytes))
      }
      publisher.writeRtcp(0, Rtcp.makeReceiverReport({ ssrc: 1, blocks: [], name: "cam" }))
      send(96)
      yield* toSink.heard(RecordingProxy.frame("us", "rtcp"))
      yield* toSink.heard(RecordingProxy.frame("us", "rtp"))
      const reports = toSink.all(RecordingProxy.frame("us", "rtcp"))
      assert.deepStrictEqual(
        reports.map((one) => (one._tag === "Frame" ? one.packet[1] : 0)),
        [201]
      )
    })
  )

  it.live.each<
    [
      string,
      {
        readonly media: ReadonlyArray<string>
        readonly track: number
        readonly sends: number
        readonly announced: ReadonlyArray<string>
        readonly type: number
        readonly payload?: ReadonlyArray<number>
      }
    ]
  >([
    [
      "H.264 as 35",
      {
        media: ["m=video 0 RTP/AVP 35", "a=rtpmap:35 H264/90000"],
        track: 0,
        sends: 35,
        announced: ["m=video 0 RTP/AVP 126", "a=rtpmap:126 H264/90000"],
        type: 126
      }
    ],
    [
      "H.265 as the type of JPEG",
      {
        media: ["m=video 0 RTP/AVP 26", "a=rtpmap:26 H265/90000"],
        track: 0,
        sends: 26,
        announced: ["m=video 0 RTP/AVP 126", "a=rtpmap:126 H265/90000"],
        type: 126,
        payload: [19 << 1, 1, 0x88]
      }
    ],
    [
      "JPEG as 26",
      {
        media: ["m=video 0 RTP/AVP 26"],
        track: 0,
        sends: 26,
        announced: ["m=video 0 RTP/AVP 26", "a=rtpmap:26 JPEG/90000"],
        type: 26,
        payload: [0, 0, 0, 0, 1, 80, 8, 8, 0xff]
      }
    ],
    [
      "PCMU as the type of PCMA",
      {
        media: [...h264, "m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMU/8000"],
        track: 1,
        sends: 8,
        announced: ["m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"],
        type: 0
      }
    ],
    [
      "PCMA at 16 kHz as the type for 8 kHz",
      {
        media: [...h264, "m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/16000/1"],
        track: 1,
        sends: 8,
        announced: ["m=audio 0 RTP/AVP 127", "a=rtpmap:127 PCMA/16000/1"],
        type: 127
      }
    ]
  ])("renumbers in the description and in the packets: %s", ([, given]) =>
    Effect.gen(function* () {
      const { packets, received, relay, sdp, send } = yield* relayOf(given.media)
      for (const line of given.announced) assert.include(sdp, line)
      if (given.track === 1) send(96)
      send(given.sends, given.payload, { track: given.track, marker: false })
      send(given.sends, given.payload, { track: given.track })
      yield* received(given.track === 1 ? 3 : 2)
      const ours = packets().filter(({ channel }) => channel === 2 * given.track)
      assert.deepStrictEqual(typesOf(ours), [given.type, given.type])
      assert.deepStrictEqual(
        ours.map(({ packet }) => Rtp.marker(packet, 0)),
        [false, true]
      )
      yield* relay.flowing
    })
  )

  const generic =
    "streamtype=5; profile-level-id=1; mode=generic; config=1408; sizelength=13; indexlength=3; indexdeltalength=3"
  it.live.each<[string, ReadonlyArray<string>]>([
    [
      "whose fmtp names another payload type",
      ["m=audio 0 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/16000", `a=fmtp:96 ${generic}`]
    ],
    [
      "whose fmtp is below the video",
      [`a=fmtp:97 ${generic}`, "m=audio 0 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/16000"]
    ],
    [
      "of mode generic with the lengths of AAC-hbr",
      ["m=audio 0 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/16000", `a=fmtp:97 ${generic}`]
    ]
  ])("publishes AAC %s", ([, media]) =>
    Effect.gen(function* () {
      const { relay, sdp } = yield* relayOf([...h264, ...media])
      assert.deepStrictEqual(relay.notices, [])
      assert.include(
        sdp,
        "a=fmtp:97 streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=1408"
      )
    })
  )

  it.live(
    "recognizes neither the fmtp of the video nor an AAC mode with more fields as AAC-hbr",
    () =>
      Effect.gen(function* () {
        for (const fmtp of [
          "a=fmtp:96 packetization-mode=1",
          `a=fmtp:97 ${generic}; ctsdeltalength=10`,
          `a=fmtp:97 ${generic.replaceAll("=3", "=2")}`
        ]) {
          const media = ["m=audio 0 RTP/AVP 97", "a=rtpmap:97 MPEG4-GENERIC/16000", fmtp]
          const { relay } = yield* relayOf([...h264, ...media])
          assert.strictEqual(relay.notices.length, 1)
        }
      })
  )

  it.live.each<[string, string, string, string]>([
    [
      "H264 as H265",
      "H265",
      `packetization-mode=1;sprop-parameter-sets=${sprop1080}`,
      "a=rtpmap:96 H264/90000"
    ],
    ["H265 as H264", "H264", h265Fmtp, "a=rtpmap:96 H265/90000"],
    ["H265 as HEVC", "HEVC", h265Fmtp, "a=rtpmap:96 H265/90000"]
  ])("announces a codec by its parameter sets where the camera names %s", ([, name, fmtp, want]) =>
    Effect.gen(function* () {
      const { relay, sdp } = yield* relayOf([
        "m=video 0 RTP/AVP 96",
        `a=rtpmap:96 ${name}/90000`,
        `a=fmtp:96 ${fmtp}`
      ])
      assert.include(sdp, want)
      assert.strictEqual(relay.published.video.codec, want.includes("H264") ? "h264" : "hevc")
    })
  )

  it.live("relays a frame of 65,535 bytes unchanged", () =>
    Effect.gen(function* () {
      const { packets, received, send } = yield* relayOf(h264)
      const payload = Buffer.alloc(65_535 - Rtp.headerBytes, 0x24)
      payload.set([0x65, 0x88])
      send(96, payload, { marker: false })
      send(96, payload)
      yield* received(2)
      for (const { packet } of packets()) {
        assert.strictEqual(packet.length, 0xffff)
        assert.isTrue(packet.subarray(Rtp.headerBytes).equals(payload))
      }
    })
  )

  it.live.each<[string, ReadonlyArray<readonly [first: number, ssrc: number]>]>([
    [
      "the sequence numbers start over",
      [
        [60_000, 7],
        [3, 7]
      ]
    ],
    [
      "the sequence numbers go back a little",
      [
        [2_000, 7],
        [1_500, 7]
      ]
    ],
    [
      "the sequence numbers go back around zero",
      [
        [10, 7],
        [64_000, 7]
      ]
    ],
    [
      "the source changes",
      [
        [100, 7],
        [50_000, 8],
        [1, 7]
      ]
    ]
  ])("counts no packets as lost when %s", ([, runs]) =>
    Effect.gen(function* () {
      const { publisher, received, relay, send } = yield* relayOf(h264)
      send(96, [0x65, 0x88], { ssrc: 7, sequence: runs[0]![0] - 1 })
      for (const [first, ssrc] of runs) {
        for (let n = 0; n < 20; n++) {
          publisher.writeRtp(
            0,
            Rtp.make(
              {
                marker: true,
                payloadType: 96,
                sequence: (first + n) & 0xffff,
                // the timestamp starts over, too
                timestamp: n,
                ssrc
              },
              Uint8Array.of(0x41, 0x88)
            )
          )
        }
      }
      yield* received(1 + 20 * runs.length)
      assert.strictEqual(relay.counters().lost, 0)
    })
  )

  it.live.each<[string, ReadonlyArray<string>]>([
    ["the rtpmap", ["a=control:trackID=1a=rtpmap:96 H264/90000"]],
    ["another attribute", ["a=rtpmap:96 H264/90000", "a=control:trackID=1a=recvonly"]],
    [
      "the next media",
      ["a=rtpmap:96 H264/90000", "a=control:trackID=1m=audio 0 RTP/AVP 0", "a=control:trackID=2"]
    ]
  ])("reads a control attribute that is merged with %s", ([, media]) =>
    Effect.gen(function* () {
      const camera = yield* RtspServer.make({
        settings: () => ({
          quirks: {
            sdp: () => ["v=0", "s=-", "t=0 0", "m=video 0 RTP/AVP 96", ...media, ""].join("\r\n")
          }
        })
      })
      const sink = yield* RtspServer.make()
      const toCamera = yield* RecordingProxy.make("camera", camera.port)
      yield* camera.publish("cam", ["v=0", "s=-", "t=0 0", ...h264, ...pcmu, ""].join("\r\n"))
      const native = NativeEngine.make()
      yield* startRelay(native, job(`rtsp://127.0.0.1:${toCamera.port}/cam`, sink.url("out")))
      const [setup] = toCamera.all(RecordingProxy.request("SETUP"))
      assert.match(setup?._tag === "Request" ? setup.uri : "", /\/cam\/trackID=1$/)
    })
  )
})
