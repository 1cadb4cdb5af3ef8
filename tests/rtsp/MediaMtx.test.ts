/** Tests against MediaMTX: `MEDIAMTX_BIN=/path/to/mediamtx npx vitest run tests/rtsp`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { Announcement, PublishableTracks } from "@restream/core"
import { PublisherSession, Sdp } from "@restream/core/rtsp"
import { RtspServer } from "@restream/core/testing"
import { broken, description, lines, orderly, spropAnnexB, withBackchannel } from "./Cameras.ts"
import { fuzzRuns } from "./Fuzz.ts"
import { play, publishPattern, url, publishable } from "./LiveCamera.ts"
import { mediaServer } from "./MediaMtx.ts"
import { mediaMtx, readFrames, skipped } from "./Peers.ts"

if (mediaMtx === undefined) skipped("MediaMTX as a peer", "MEDIAMTX_BIN names no binary")

describe.skipIf(mediaMtx === undefined)("MediaMTX", () => {
  it.live("accepts PublisherSession, and serves ffmpeg and ReaderSession", () =>
    Effect.gen(function* () {
      const server = yield* mediaServer()
      const publisher = yield* publishPattern(server.at("cam1"))
      const { code, stderr, stdout } = yield* readFrames(server.at("cam1"), 25)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
      assert.strictEqual(stdout.split("\n").filter((line) => line.startsWith("0,")).length, 25)
      const { session, watched } = yield* play({ url: url(server.at("cam1")) })
      assert.deepStrictEqual(
        publishable(session).map(({ codec }) => codec),
        ["h264", "pcm_mulaw"]
      )
      yield* watched.first(0)
      assert.isFalse(publisher.connection.isClosed)
    })
  )

  it.live("ends the publisher on TEARDOWN", () =>
    Effect.gen(function* () {
      const server = yield* mediaServer()
      yield* Effect.scoped(publishPattern(server.at("cam1")))
      yield* server.running.awaitSaid(/destroyed: torn down/)
    })
  )

  it.live("closes a replaced publisher", () =>
    Effect.gen(function* () {
      const server = yield* mediaServer()
      const old = yield* publishPattern(server.at("cam1"))
      yield* publishPattern(server.at("cam1"))
      assert.strictEqual((yield* Effect.flip(old.closed)).reason._tag, "Closed")
    })
  )

  it.live("accepts a correct password, and rejects a wrong one", () =>
    Effect.gen(function* () {
      const server = yield* mediaServer([
        "authInternalUsers:",
        "- user: admin",
        "  pass: secret",
        "  permissions: [{action: publish}, {action: read}]"
      ])
      const withPassword = (password: string) =>
        server.at("cam1").replace("rtsp://", `rtsp://admin:${password}@`)
      const { reason } = yield* Effect.flip(publishPattern(withPassword("wrong")))
      assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "wrong" })
      yield* publishPattern(withPassword("secret"))
    })
  )

  const announce = (address: string, announcement: PublisherSession.Announcement) =>
    Effect.scoped(PublisherSession.open({ url: url(address), announcement }))

  const cameras: ReadonlyArray<readonly [what: string, sdp: string]> = [
    ["an orderly camera", orderly],
    ["a camera with a loudspeaker", withBackchannel],
    ["a camera with a broken description", broken],
    [
      "a camera with H.265 as the type of JPEG",
      lines("m=video 0 RTP/AVP 26", "a=rtpmap:26 H265/90000")
    ],
    [
      "a camera with PCMU as the type of PCMA",
      lines(
        "m=video 0 RTP/AVP 35",
        "a=rtpmap:35 H264/90000",
        "m=audio 0 RTP/AVP 8",
        "a=rtpmap:8 PCMU/8000"
      )
    ],
    [
      "a camera with start codes in its parameter sets",
      lines(
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        `a=fmtp:96 sprop-parameter-sets=${spropAnnexB}`
      )
    ],
    [
      "a camera with every audio codec",
      lines(
        "m=video 0 RTP/AVP 26",
        ...[0, 3, 4, 8, 9, 10, 11, 14, 18].map((type) => `m=audio 0 RTP/AVP ${type}`),
        "m=audio 0 RTP/AVP 97",
        "a=rtpmap:97 opus/16000/1",
        "m=audio 0 RTP/AVP 98",
        "a=rtpmap:98 speex/16000/1",
        "m=audio 0 RTP/AVP 99",
        "a=rtpmap:99 G726-32/8000",
        "m=audio 0 RTP/AVP 100",
        "a=rtpmap:100 L16/16000/zwei",
        "m=audio 0 RTP/AVP 101",
        "a=rtpmap:101 MP4A-LATM/44100/2",
        "a=fmtp:101 profile-level-id=41;cpresent=0;config=400024203fc0",
        "m=audio 0 RTP/AVP 102",
        "a=rtpmap:102 MPEG4-GENERIC/16000/1",
        "a=fmtp:102 streamtype=4;mode=aac-hbr;config=1408;sizelength=13;profile-level-id=x",
        "m=audio 0 RTP/AVP 103",
        "a=rtpmap:103 AC3/48000"
      )
    ],
    [
      "a camera with H.265",
      lines(
        "m=video 0 RTP/AVP 98",
        "a=rtpmap:98 H265/90000",
        "a=fmtp:98 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwB4lZgJ;sprop-sps=QgEBAWAAAAMAkAAAAwAAAwB4oAPAgBDlllZpJMrwFoCAAAADAIAAAAyE;sprop-pps=RAHBcrRiQA==;sprop-max-don-diff=x"
      )
    ],
    [
      "a camera with invalid H.265 parameter sets",
      lines(
        "m=video 0 RTP/AVP 98",
        "a=rtpmap:98 H265/90000",
        "a=fmtp:98 sprop-vps=QAEM;sprop-sps=QgEB;sprop-pps=RAHB"
      )
    ],
    [
      "a camera with other codecs",
      lines(
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 AV1/90000",
        "a=fmtp:96 profile=x;tier=0",
        "m=video 0 RTP/AVP 97",
        "a=rtpmap:97 VP9/90000",
        "a=fmtp:97 profile-id=-1",
        "m=video 0 RTP/AVP 98",
        "a=rtpmap:98 VP8/90000",
        "m=video 0 RTP/AVP 99",
        "a=rtpmap:99 MP4V-ES/90000",
        "a=fmtp:99 profile-level-id=x;config=zz",
        "m=video 0 RTP/AVP 32",
        "m=video 0 RTP/AVP 33"
      )
    ]
  ]
  for (const [what, sdp] of cameras) {
    it.live(`accepts the announcement of ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* mediaServer()
        const { tracks } = PublishableTracks.publishableTracks(Result.getOrThrow(Sdp.parse(sdp)))
        yield* announce(server.at("cam1"), Announcement.announcement(tracks))
        assert.isAbove(tracks.length, 0)
      })
    )
  }

  it.live("accepts every announcement, for any camera description", () =>
    Effect.gen(function* () {
      const server = yield* mediaServer()
      const offers = fc
        .sample(description, Math.min(fuzzRuns, 20_000))
        .map((sdp) => PublishableTracks.publishableTracks(Result.getOrThrow(Sdp.parse(sdp))))
        .filter((offer) => offer.tracks.length > 0)
      for (const { tracks } of offers) {
        const { sdp } = Announcement.announcement(tracks)
        const tried = yield* Effect.result(announce(server.at("cam1"), { sdp, controls: [] }))
        // RECORD without SETUP fails: the announcement itself was accepted
        const reason = Result.isFailure(tried) ? tried.failure.reason : undefined
        assert.deepInclude(reason, { _tag: "Rejected", request: "RECORD" }, sdp)
      }
      assert.isAbove(offers.length, 0)
    })
  )

  // MediaMTX must reject what `RtspServer` rejects
  const h264 = lines(
    "v=0",
    "o=- 0 0 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "m=video 0 RTP/AVP 96",
    "a=rtpmap:96 H264/90000",
    "a=fmtp:96 packetization-mode=1",
    "a=control:trackID=0"
  )
  const controls = ["trackID=0", "trackID=1"]
  const refused: ReadonlyArray<readonly [what: string, sdp: string]> = [
    ["packetization mode 0", h264.replace("=1", "=0")],
    ["no packetization mode", h264.replace(/a=fmtp.*\r\n/, "")],
    ["a loudspeaker", `${h264}m=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\na=sendonly\r\n`],
    [
      "AAC without its configuration",
      `${h264}m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000\r\na=fmtp:97 sizelength=13\r\n`
    ],
    [
      "AAC without its size",
      `${h264}m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000\r\na=fmtp:97 config=1408\r\n`
    ],
    ["sets that are no base64", h264.replace("=1", "=1;sprop-parameter-sets=!,?")]
  ]
  for (const [what, sdp] of refused) {
    it.live(`rejects an announcement with ${what}, as RtspServer does`, () =>
      Effect.gen(function* () {
        const real = yield* mediaServer()
        const embedded = yield* RtspServer.make()
        for (const address of [real.at("cam1"), embedded.url("cam1")]) {
          const { reason } = yield* Effect.flip(announce(address, { sdp, controls }))
          assert.deepInclude(reason, { _tag: "Rejected", status: 400 })
          // releases up to 1.16 check packetization modes at SETUP
          assert.include(["ANNOUNCE", "SETUP"], reason._tag === "Rejected" ? reason.request : "")
        }
      })
    )
  }
})
