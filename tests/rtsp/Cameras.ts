/** Descriptions as cameras send them, with their errors. The parameter sets come from test encodes. */

import * as fc from "fast-check"

export const lines = (...text: ReadonlyArray<string>): string => `${text.join("\r\n")}\r\n`

/** 1920×1080, H.264 high profile. */
export const sprop1080 = "Z2QAKKzZQHgCJ+XARAAAAwAEAAADAMg8YMZY,aOvjyyLA"

/** The same with Annex B start codes before each set. */
export const spropAnnexB = sprop1080
  .split(",")
  .map((set) =>
    Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from(set, "base64")]).toString("base64")
  )
  .join(",")

const bits = (text: string): Buffer =>
  Buffer.from(
    (text.padEnd(Math.ceil(text.length / 8) * 8, "0").match(/.{8}/g) ?? []).map((byte) =>
      Number.parseInt(byte, 2)
    )
  )

/**
 * A sequence parameter set of H.265 with two sub-layers, the lower of which has its own profile and level;
 * then set 0, 4:2:0, 16 × 16.
 */
export const withSubLayers: Buffer = Buffer.concat([
  Buffer.from([0x42, 0x01]),
  bits(`00000011${"0".repeat(96)}11${"00".repeat(7)}${"0".repeat(96)}1010000010001000010001${"01"}`)
])

/** H.264 and AAC, all in order. */
export const orderly = lines(
  "v=0",
  "o=- 1600000000000000 1 IN IP4 192.168.1.64",
  "s=Media Presentation",
  "e=NONE",
  "b=AS:5100",
  "t=0 0",
  "a=control:rtsp://192.168.1.64/Streaming/Channels/101/",
  "m=video 0 RTP/AVP 96",
  "c=IN IP4 0.0.0.0",
  "b=AS:5000",
  "a=recvonly",
  "a=x-dimensions:1920,1080",
  "a=control:rtsp://192.168.1.64/Streaming/Channels/101/trackID=1",
  "a=rtpmap:96 H264/90000",
  `a=fmtp:96 profile-level-id=640028; packetization-mode=1; sprop-parameter-sets=${sprop1080}`,
  "m=audio 0 RTP/AVP 104",
  "a=recvonly",
  "a=control:rtsp://192.168.1.64/Streaming/Channels/101/trackID=2",
  "a=rtpmap:104 mpeg4-generic/16000/1",
  "a=fmtp:104 profile-level-id=15; streamtype=5; mode=AAC-hbr; config=1408; SizeLength=13; IndexLength=3; IndexDeltaLength=3;",
  "a=Media_header:MEDIAINFO=494D4B48"
)

/** With a back channel and ONVIF metadata. */
export const withBackchannel = lines(
  "v=0",
  "o=- 2252310609 2252310609 IN IP4 0.0.0.0",
  "s=Media Server",
  "c=IN IP4 0.0.0.0",
  "t=0 0",
  "a=control:*",
  "m=video 0 RTP/AVP 96",
  "a=control:trackID=0",
  "a=rtpmap:96 H264/90000",
  `a=fmtp:96 packetization-mode=1;profile-level-id=640028;sprop-parameter-sets=${sprop1080}`,
  "a=recvonly",
  "m=audio 0 RTP/AVP 8",
  "a=control:trackID=1",
  "a=recvonly",
  "m=application 0 RTP/AVP 107",
  "a=control:trackID=4",
  "a=rtpmap:107 vnd.onvif.metadata/90000",
  "a=recvonly",
  "m=audio 0 RTP/AVP 0",
  "a=control:trackID=5",
  "a=rtpmap:0 PCMU/8000",
  "a=sendonly"
)

/** Errors on every line that is not parsed. */
export const broken = lines(
  "v=0",
  "o=",
  "s=H.264 Program, streamed by the LIVE555 Media Server",
  "s=second name",
  "s=",
  "c=IN c=IN IP4 0.0.0.0",
  "c=",
  "t=now-",
  "nonsense",
  "=",
  "a=",
  "m=video 0 RTP/AVP 96",
  "c=IN",
  " a=rtpmap: 96 H264/90000 ",
  "a=fmtp:96",
  "a=control:track1",
  "m=data 0 RTP/AVP 98",
  "a=control:track2",
  "m=",
  "a=control:track3"
)

const h265Sets = {
  "sprop-vps": "QAEMAf//AWAAAAMAkAAAAwAAAwB4lZgJ",
  "sprop-sps": "QgEBAWAAAAMAkAAAAwAAAwB4oAPAgBDlllZpJMrwFoCAAAADAIAAAAyE",
  "sprop-pps": "RAHBcrRiQA=="
}

/** The fmtp of H.265 video. */
export const h265Fmtp = Object.entries(h265Sets)
  .map(([name, set]) => `${name}=${set}`)
  .join(";")

const words = (text: string): fc.Arbitrary<string> => fc.constantFrom(...text.split(" "))

const value = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom(sprop1080, spropAnnexB, ...Object.values(h265Sets)),
  words(
    "1408 140856E500 1210 2b118800 400024203fc0 000001b0f3 000001b001000001b58913000001000000012000c48d8800f50804040443 13 5 4 AAC-hbr AAC-lbr 0 1 2 on off"
  )
)

const fmtp = fc
  .array(
    fc
      .tuple(
        words(
          "sprop-parameter-sets packetization-mode profile-level-id sprop-vps sprop-sps sprop-pps config sizelength indexlength mode streamtype cpresent object tier profile level-idx max-fr max-fs profile-id sprop-stereo vbr sprop-max-don-diff"
        ),
        value
      )
      .map((pair) => pair.join("=")),
    { maxLength: 6 }
  )
  .map((pairs) => pairs.join(";"))

const encoding = words(
  "H264/90000 H264 H265/90000 mpeg4-generic/16000/2 MPEG4-GENERIC/44100 MP4A-LATM/44100/2 MP4A-LATM/90000 PCMU/8000 PCMA/16000/x AV1/90000 VP8/90000 VP9/90000 MP4V-ES/90000 opus/8000 multiopus/48000/6 speex/16000/1 G726-32/8000 AC3/48000 AC3/48000/0 vorbis/44100/2 L16/8000/x L24/48000/2 FOO/0 FOO FOO/8000/y JPEG/90000 MP2T/90000 telephone-event/8000"
)

const media = fc
  .tuple(
    words("video audio application data"),
    fc.integer({ min: 0, max: 127 }),
    fc.option(encoding, { nil: undefined }),
    fmtp,
    fc.constantFrom("a=sendonly", "a=recvonly", "")
  )
  .map(([kind, type, encoding, fmtp, direction]) =>
    lines(
      `m=${kind} 0 RTP/AVP ${type}`,
      encoding === undefined ? "" : `a=rtpmap:${type} ${encoding}`,
      `a=fmtp:${type} ${fmtp}`,
      direction
    )
  )

/** Arbitrary descriptions: valid, invalid, and absurd. */
export const description: fc.Arbitrary<string> = fc
  .array(media, { minLength: 1, maxLength: 4 })
  .map((medias) => medias.join(""))
