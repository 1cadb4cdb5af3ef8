import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import { Announcement, PublishableTracks } from "@restream/core"
import { Sdp } from "@restream/core/rtsp"
import {
  broken,
  description,
  lines,
  orderly,
  sprop1080,
  spropAnnexB,
  withBackchannel,
  withSubLayers
} from "../../../rtsp/Cameras.ts"
import { holds } from "../../../rtsp/Fuzz.ts"

const relay = (text: string): PublishableTracks.PublishableTracks =>
  PublishableTracks.publishableTracks(Result.getOrThrow(Sdp.parse(text)))

const announce = (text: string, options?: Announcement.AnnouncementOptions): string =>
  Announcement.announcement(relay(text).tracks, options).sdp

/** The announcement of one media with these lines. */
const announced = (...media: ReadonlyArray<string>): ReadonlyArray<string> =>
  announce(lines(...media)).split("\r\n")

const reasons = (...media: ReadonlyArray<string>): ReadonlyArray<string> =>
  relay(lines("m=video 0 RTP/AVP 26", ...media)).omitted.map(({ reason }) => reason)

const h265 = {
  vps: "QAEMAf//AWAAAAMAkAAAAwAAAwB4lZgJ",
  sps: "QgEBAWAAAAMAkAAAAwAAAwB4oAPAgBDlllZpJMrwFoCAAAADAIAAAAyE",
  pps: "RAHBcrRiQA=="
}

describe("publishableTracks and announcement", () => {
  it("announces video and audio with generated controls", () => {
    const { omitted, tracks } = relay(orderly)
    assert.deepStrictEqual(omitted, [])
    const facts = tracks.map(({ media, published, ...rest }) => {
      assert.strictEqual(media.control, rest.control)
      assert.strictEqual(published.format.payloadType, rest.payloadType)
      return rest
    })
    assert.deepStrictEqual(facts, [
      {
        kind: "video",
        codec: "h264",
        payloadType: 96,
        clockRate: 90_000,
        control: "rtsp://192.168.1.64/Streaming/Channels/101/trackID=1",
        width: 1920,
        height: 1080
      },
      {
        kind: "audio",
        codec: "aac",
        payloadType: 104,
        clockRate: 16_000,
        control: "rtsp://192.168.1.64/Streaming/Channels/101/trackID=2",
        sampleRate: 16_000,
        channels: 1
      }
    ])
    const { controls, sdp } = Announcement.announcement(tracks)
    assert.deepStrictEqual(controls, ["trackID=0", "trackID=1"])
    assert.strictEqual(
      sdp,
      lines(
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        `a=fmtp:96 packetization-mode=1; sprop-parameter-sets=${sprop1080}; profile-level-id=640028`,
        "a=control:trackID=0",
        "m=audio 0 RTP/AVP 104",
        "a=rtpmap:104 mpeg4-generic/16000/1",
        "a=fmtp:104 streamtype=5; profile-level-id=15; mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=1408",
        "a=control:trackID=1"
      )
    )
  })

  it("omits back channels and metadata, and numbers the remaining tracks", () => {
    const { omitted, tracks } = relay(withBackchannel)
    assert.deepStrictEqual(
      tracks.map(({ codec, control }) => [codec, control]),
      [
        ["h264", "trackID=0"],
        ["pcm_alaw", "trackID=1"]
      ]
    )
    const { controls, sdp } = Announcement.announcement(tracks)
    assert.deepStrictEqual(controls, ["trackID=0", "trackID=1"])
    assert.deepStrictEqual(
      omitted.map(({ codec, kind, reason }) => [kind, codec, reason]),
      [
        ["application", "vnd.onvif.metadata", "neither audio nor video"],
        ["audio", "pcm_mulaw", "back channel to the camera's loudspeaker"]
      ]
    )
    assert.notInclude(sdp, "sendonly")
  })

  it("keeps media if all are marked as back channels", () => {
    const { tracks } = relay(
      lines(
        "m=video 0 RTP/AVP 26",
        "a=sendonly",
        "m=audio 0 RTP/AVP 0",
        "a=sendonly",
        "m=application 0 RTP/AVP 107"
      )
    )
    assert.deepStrictEqual(
      tracks.map(({ codec }) => codec),
      ["mjpeg", "pcm_mulaw"]
    )
  })

  it("announces the first supported payload type per media", () => {
    const sdp = announced(
      "m=audio 0 RTP/AVP 13 101 97 0",
      "a=rtpmap:101 telephone-event/8000",
      "a=rtpmap:97 mpeg4-generic/16000"
    )
    assert.include(sdp, "m=audio 0 RTP/AVP 0")
  })

  it("describes static payload types", () => {
    assert.include(announced("m=video 0 RTP/AVP 26"), "a=rtpmap:26 JPEG/90000")
    assert.include(announced("m=audio 0 RTP/AVP 0"), "a=rtpmap:0 PCMU/8000")
    assert.include(announced("m=audio 0 RTP/AVP 8"), "a=rtpmap:8 PCMA/8000")
    assert.include(announced("m=audio 0 RTP/AVP 9"), "a=rtpmap:9 G722/8000")
    assert.include(announced("m=audio 0 RTP/AVP 10"), "a=rtpmap:10 L16/44100/2")
    assert.include(announced("m=audio 0 RTP/AVP 14"), "a=rtpmap:14 MPA/90000")
  })

  for (const fmtp of ["", "a=fmtp:96 packetization-mode=0", "a=fmtp:96 profile-level-id=zz"]) {
    it(`adds packetization-mode=1 to H.264 with ${fmtp === "" ? "no fmtp" : fmtp}`, () => {
      assert.include(
        announced("m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", fmtp),
        "a=fmtp:96 packetization-mode=1"
      )
    })
  }

  it("omits H.264 in interleaved mode", () => {
    assert.deepStrictEqual(
      reasons("m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=2"),
      ["packetization-mode=2 (interleaved) is not supported"]
    )
  })

  it("removes start codes from parameter sets", () => {
    assert.include(
      announced(
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        `a=fmtp:96 sprop-parameter-sets=${spropAnnexB}`
      ),
      `a=fmtp:96 packetization-mode=1; sprop-parameter-sets=${sprop1080}; profile-level-id=640028`
    )
  })

  it("splits parameter sets in one value", () => {
    const [sps, pps] = sprop1080.split(",").map((set) => Buffer.from(set, "base64"))
    const both = Buffer.concat([
      Buffer.from([0, 0, 0, 1]),
      sps ?? Buffer.alloc(0),
      Buffer.from([0, 0, 1]),
      pps ?? Buffer.alloc(0)
    ])
    assert.include(
      announced(
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        `a=fmtp:96 sprop-parameter-sets=${both.toString("base64")}`
      ),
      `a=fmtp:96 packetization-mode=1; sprop-parameter-sets=${sprop1080}; profile-level-id=640028`
    )
  })

  for (const sprop of [
    "",
    "Z2QAKA==",
    "!!!,???",
    "Z0IAKeKQFAe2AtwEBAaQeJEV",
    `${sprop1080.split(",")[0]},`
  ]) {
    it(`omits invalid parameter sets: ${sprop}`, () => {
      assert.include(
        announced(
          "m=video 0 RTP/AVP 96",
          "a=rtpmap:96 H264/90000",
          `a=fmtp:96 sprop-parameter-sets=${sprop}`
        ),
        "a=fmtp:96 packetization-mode=1"
      )
    })
  }

  it("announces the parameter sets of H.265 only if all three are valid", () => {
    const fmtp = (...sets: ReadonlyArray<string>) =>
      announced(
        "m=video 0 RTP/AVP 98",
        "a=rtpmap:98 H265/90000",
        `a=fmtp:98 ${sets.join(";")}`
      ).find((line) => line.startsWith("a=fmtp"))
    const all = [`sprop-vps=${h265.vps}`, `sprop-sps=${h265.sps}`, `sprop-pps=${h265.pps}`]
    assert.strictEqual(
      fmtp(...all),
      `a=fmtp:98 sprop-vps=${h265.vps}; sprop-sps=${h265.sps}; sprop-pps=${h265.pps}`
    )
    assert.isUndefined(fmtp(...all.slice(1)))
    // MediaMTX cannot parse this set
    const sps = withSubLayers.toString("base64")
    assert.isUndefined(fmtp(all[0] ?? "", `sprop-sps=${sps}`, all[2] ?? ""))
    assert.isUndefined(fmtp(all[0] ?? "", "sprop-sps=QgEB", all[2] ?? ""))
    assert.isUndefined(fmtp(all[0] ?? "", all[1] ?? "", "sprop-pps=AAAA"))
  })

  it("finds the size of H.265 video", () => {
    const { tracks } = relay(
      lines(
        "m=video 0 RTP/AVP 98",
        "a=rtpmap:98 H265/90000",
        `a=fmtp:98 sprop-vps=${h265.vps};sprop-sps=${h265.sps};sprop-pps=${h265.pps}`
      )
    )
    assert.deepInclude(tracks[0], { codec: "hevc", width: 1920, height: 1080 })
  })

  it("announces no parameter sets if parameterSets is false", () => {
    const sdp = announce(orderly, { parameterSets: false })
    assert.notInclude(sdp, "sprop")
    assert.include(sdp, "packetization-mode=1")
  })

  const aac = (fmtp: string) =>
    reasons("m=audio 0 RTP/AVP 97", "a=rtpmap:97 mpeg4-generic/16000", fmtp)

  it("omits AAC without config or sizelength, with a reason", () => {
    assert.deepStrictEqual(aac("a=fmtp:97 mode=AAC-hbr; sizelength=13"), [
      "the description has no AAC config"
    ])
    assert.deepStrictEqual(aac("a=fmtp:97 config=1408"), [
      "the AAC sizelength is missing or invalid"
    ])
    assert.deepStrictEqual(aac("a=fmtp:97 sizelength=0; config=1408"), [
      "the AAC sizelength is missing or invalid"
    ])
    assert.deepStrictEqual(aac("a=fmtp:97 sizelength=13; config=zz"), ["the AAC config is invalid"])
    assert.deepStrictEqual(aac("a=fmtp:97 mode=AAC-lbr; sizelength=6; config=1408"), [
      "the AAC mode is not AAC-hbr"
    ])
    assert.deepStrictEqual(aac("a=fmtp:97 streamtype=4; sizelength=13; config=1408"), [])
  })

  it("keeps the video if the audio is omitted", () => {
    const { tracks } = relay(orderly.replace("config=1408; ", ""))
    assert.deepStrictEqual(
      tracks.map(({ kind }) => kind),
      ["video"]
    )
  })

  it("publishes LATM only with its config", () => {
    const latm = (fmtp: string) =>
      reasons("m=audio 0 RTP/AVP 97", "a=rtpmap:97 MP4A-LATM/44100/2", fmtp)
    assert.deepStrictEqual(latm("a=fmtp:97 profile-level-id=41;cpresent=0;config=400024203fc0"), [])
    for (const fmtp of ["", "a=fmtp:97 config=400024203fc0", "a=fmtp:97 cpresent=0;config=ff"]) {
      assert.deepStrictEqual(latm(fmtp), ["the description has no AAC LATM config"])
    }
  })

  it("announces Opus as RFC 7587 requires", () => {
    assert.include(
      announced("m=audio 0 RTP/AVP 97", "a=rtpmap:97 opus/16000/1"),
      "a=rtpmap:97 opus/48000/2"
    )
  })

  it("omits parameters that a media server rejects", () => {
    assert.notInclude(
      announced("m=video 0 RTP/AVP 96", "a=rtpmap:96 AV1/90000", "a=fmtp:96 profile=x;tier=0"),
      "profile"
    )
    assert.include(
      announced("m=audio 0 RTP/AVP 97", "a=rtpmap:97 L16/8000/zwei"),
      "a=rtpmap:97 L16/8000"
    )
  })

  it("omits formats without a name or a clock rate", () => {
    assert.deepStrictEqual(reasons("m=audio 0 RTP/AVP 97"), ["payload type 97 has no rtpmap"])
    assert.deepStrictEqual(reasons("m=audio 0 RTP/AVP 97", "a=rtpmap:97 FOO"), [
      "the clock rate is unknown"
    ])
    assert.deepStrictEqual(reasons("m=audio 0 RTP/AVP"), ["no payload type"])
  })

  it("omits encrypted media and other protocols, and keeps RTP over TCP and with feedback", () => {
    assert.deepStrictEqual(reasons("m=audio 0 RTP/SAVP 0"), [
      "the protocol is RTP/SAVP, not RTP/AVP"
    ])
    assert.deepStrictEqual(reasons("m=audio 0 UDP 0"), ["the protocol is UDP, not RTP/AVP"])
    assert.deepStrictEqual(reasons("m=audio 0 RTP/AVP/TCP 0", "m=audio 0 rtp/avpf 0"), [])
  })

  it("publishes the valid tracks of a broken description", () => {
    const { omitted, tracks } = relay(broken)
    assert.deepStrictEqual(
      tracks.map(({ codec, control }) => [codec, control]),
      [["h264", "track1"]]
    )
    assert.strictEqual(omitted.length, 2)
  })

  it("generates descriptions that it announces unchanged", () => {
    holds(
      fc.property(description, (text) => {
        const once = relay(text)
        if (once.tracks.length === 0) return
        const { sdp } = Announcement.announcement(once.tracks)
        const twice = relay(sdp)
        assert.strictEqual(Announcement.announcement(twice.tracks).sdp, sdp)
        assert.deepStrictEqual(twice.omitted, [])
      })
    )
  })
})
