import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Aac, H264, H265, Keyframe, Mpeg4, ReceptionStats, Rtcp, Rtp } from "@restream/core/rtsp"
import { withSubLayers } from "./Cameras.ts"
import { holds } from "./Fuzz.ts"

const header: Rtp.RtpHeader = {
  marker: true,
  payloadType: 96,
  sequence: 65_535,
  timestamp: 0xfffffff0,
  ssrc: 0xdeadbeef
}

/** A packet in the middle of other bytes. */
const inside = (packet: Buffer) => {
  const bytes = Buffer.concat([Buffer.alloc(7, 0xee), packet, Buffer.alloc(5, 0xee)])
  return [bytes, 7, 7 + packet.length] as const
}

const withPayload = (...payload: ReadonlyArray<number>) =>
  inside(Rtp.make(header, Buffer.from(payload)))

describe("Rtp", () => {
  it("parses the header in place", () => {
    const [bytes, at, end] = withPayload(1, 2, 3)
    assert.isTrue(Rtp.isRtp(bytes, at, end))
    assert.deepStrictEqual(
      {
        marker: Rtp.marker(bytes, at),
        payloadType: Rtp.payloadType(bytes, at),
        sequence: Rtp.sequence(bytes, at),
        timestamp: Rtp.timestamp(bytes, at),
        ssrc: Rtp.ssrc(bytes, at)
      },
      header
    )
    assert.strictEqual(Rtp.payloadStart(bytes, at, end), at + 12)
    assert.strictEqual(Rtp.payloadEnd(bytes, at, end), end)
  })

  it("finds the payload after contributing sources and extension, and before the padding", () => {
    const packet = Buffer.concat([
      Rtp.make(header),
      Buffer.alloc(8),
      Buffer.from([0xbe, 0xde, 0, 1, 9, 9, 9, 9]),
      Buffer.from([1, 2, 3]),
      Buffer.from([0, 0, 3])
    ])
    packet[0] = 0x80 | 0x20 | 0x10 | 2
    const [bytes, at, end] = inside(packet)
    assert.strictEqual(Rtp.payloadStart(bytes, at, end), at + 12 + 8 + 8)
    assert.strictEqual(Rtp.payloadEnd(bytes, at, end), end - 3)
  })

  it("detects sources, extensions and padding that exceed the packet", () => {
    const start = (first: number, ...rest: ReadonlyArray<number>) => {
      const packet = Buffer.concat([Rtp.make(header), Buffer.from(rest)])
      packet[0] = first
      const [bytes, at, end] = inside(packet)
      return [Rtp.payloadStart(bytes, at, end), Rtp.payloadEnd(bytes, at, end) - at] as const
    }
    assert.strictEqual(start(0x8f)[0], -1)
    assert.strictEqual(start(0x90, 0, 0)[0], -1)
    assert.strictEqual(start(0x90, 0, 0, 0, 2, 1, 1, 1, 1)[0], -1)
    assert.isBelow(start(0xa0, 1, 200)[1], 0)
    assert.isBelow(start(0xa0, 1, 0)[1], 0)
  })

  it("rejects short packets and other versions", () => {
    assert.isFalse(Rtp.isRtp(Buffer.alloc(11, 0x80), 0, 11))
    assert.isFalse(Rtp.isRtp(Buffer.alloc(20), 0, 20))
    assert.isFalse(Rtp.isRtp(Buffer.alloc(20, 0x80), 10, 40))
  })

  it("has a payload if anything is left between header, extension and padding", () => {
    const has = (first: number, ...rest: ReadonlyArray<number>) => {
      const packet = Buffer.concat([Buffer.alloc(12), Buffer.from(rest)])
      packet[0] = first
      return Rtp.hasPayload(...inside(packet))
    }
    assert.isFalse(has(0x80))
    assert.isTrue(has(0x80, 1))
    // padding of two bytes, behind a payload and alone; of more bytes than there are
    assert.isTrue(has(0xa0, 1, 0, 2))
    assert.isFalse(has(0xa0, 0, 2))
    assert.isFalse(has(0xa0, 0, 9))
    // one contributing source, and one that is cut off
    assert.isTrue(has(0x81, 0, 0, 0, 0, 1))
    assert.isFalse(has(0x81, 0, 0, 0, 0))
    assert.isFalse(has(0x81, 0, 0))
    // an extension of one word, and one that is cut off
    assert.isTrue(has(0x90, 0, 0, 0, 1, 0, 0, 0, 0, 1))
    assert.isFalse(has(0x90, 0, 0, 0, 1, 0, 0, 0, 0))
    assert.isFalse(has(0x90, 0, 0, 0, 1, 0))
  })
})

describe("ReceptionStats", () => {
  const take = (...sequences: ReadonlyArray<number>): ReceptionStats.ReceptionStats => {
    const reception = new ReceptionStats.ReceptionStats()
    for (const sequence of sequences) reception.take(sequence, 1)
    return reception
  }

  it("counts gaps, also when the sequence number wraps", () => {
    assert.strictEqual(take(1, 2, 3).lost, 0)
    assert.strictEqual(take(1, 2, 5).lost, 2)
    assert.strictEqual(take(65_534, 65_535, 0, 1).lost, 0)
    assert.strictEqual(take(65_534, 1).lost, 2)
    assert.strictEqual(take(65_534, 1).report()?.highestSequence, 0x10001)
  })

  it("counts neither repeated nor late packets as lost", () => {
    assert.strictEqual(take(5, 5, 4, 6).lost, 0)
    assert.strictEqual(take(5, 5, 4, 6).packets, 4)
  })

  it("treats a large jump or another source as a restart", () => {
    assert.strictEqual(take(1, 30_000, 30_001).lost, 0)
    const reception = take(1, 2)
    reception.take(500, 2)
    assert.strictEqual(reception.lost, 0)
    assert.strictEqual(reception.ssrc, 2)
  })

  it("reports packets lost since the last report and in total", () => {
    const reception = take(1, 2, 5, 6)
    assert.deepInclude(reception.report(), { fractionLost: 85, cumulativeLost: 2 })
    reception.take(7, 1)
    assert.deepInclude(reception.report(), {
      ssrc: 1,
      fractionLost: 0,
      cumulativeLost: 2,
      highestSequence: 7
    })
    assert.isUndefined(new ReceptionStats.ReceptionStats().report())
  })

  it("counts every missing packet", () => {
    holds(
      fc.property(
        fc.integer({ min: 0, max: 65_535 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 300 }),
        (first, kept) => {
          const reception = new ReceptionStats.ReceptionStats()
          reception.take(first, 1)
          let missing = 0
          let pending = 0
          kept.forEach((comes, index) => {
            if (comes) {
              reception.take((first + 1 + index) & 0xffff, 1)
              missing += pending
              pending = 0
            } else pending++
          })
          assert.strictEqual(reception.lost, missing)
        }
      )
    )
  })
})

describe("Rtcp", () => {
  const report: Rtcp.SenderReport = {
    ssrc: 0xcafebabe,
    ntpSeconds: 0xe1234567,
    ntpFraction: 0x89abcdef,
    timestamp: 0xffffffff,
    packets: 10,
    octets: 1000
  }

  it("parses its own sender report, also after other packets", () => {
    const made = Rtcp.makeSenderReport(report, "source")
    assert.deepStrictEqual(Rtcp.readSenderReport(made, 0, made.length), report)
    const other = Rtcp.makeReceiverReport({ ssrc: 1, blocks: [], name: "x" })
    const [bytes, at, end] = inside(Buffer.concat([other, made]))
    assert.deepStrictEqual(Rtcp.readSenderReport(bytes, at, end), report)
    assert.strictEqual(Rtcp.middleOfNtp(report), 0x456789ab)
  })

  it("finds no sender report in other or truncated packets", () => {
    const receiver = Rtcp.makeReceiverReport({ ssrc: 1, blocks: [], name: "x" })
    assert.isUndefined(Rtcp.readSenderReport(receiver, 0, receiver.length))
    const made = Rtcp.makeSenderReport(report, "source")
    assert.isUndefined(Rtcp.readSenderReport(made, 0, 20))
  })

  it("makes a receiver report of whole words, with statistics and a name", () => {
    const reception = new ReceptionStats.ReceptionStats()
    for (const sequence of [1, 2, 5]) reception.take(sequence, 0xcafebabe)
    const block = reception.report(Rtcp.middleOfNtp(report), 65_536)
    const made = Rtcp.makeReceiverReport({
      ssrc: 7,
      blocks: block === undefined ? [] : [block],
      name: "restream"
    })
    assert.isTrue(Rtcp.isRtcp(made, 0, made.length))
    assert.strictEqual(made.length % 4, 0)
    assert.strictEqual(
      made.toString("hex"),
      "81c90007" + // one block, type 201, 8 words
        "00000007" +
        "cafebabe" +
        "66000002" + // 2 of 5 lost
        "00000005" +
        "00000000" +
        "456789ab" +
        "00010000" +
        "81ca0004" +
        "00000007" +
        `0108${Buffer.from("restream").toString("hex")}0000`
    )
  })

  it("never throws on any input", () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(90), fc.nat(90), (bytes, at, end) => {
        Rtcp.readSenderReport(bytes, at, end)
        const packet = Buffer.concat([Buffer.from([0x80, 200, 0, 6]), bytes])
        Rtcp.readSenderReport(packet, 0, packet.length)
        Rtcp.isRtcp(bytes, at, end)
      })
    )
  })

  it("is distinguished from other packets by its version, its type and its length", () => {
    const report = (first: number, type: number, length = 8) => {
      const bytes = Buffer.alloc(16)
      bytes[4] = first
      bytes[5] = type
      return Rtcp.isRtcp(bytes, 4, 4 + length)
    }
    for (const type of [192, 200, 223]) assert.isTrue(report(0x80, type))
    for (const type of [0, 191, 224, 255]) assert.isFalse(report(0x80, type), String(type))
    for (const first of [0x00, 0x40, 0xc0]) assert.isFalse(report(first, 200))
    assert.isFalse(report(0x80, 200, 7))
  })
})

const size = (codec: { pictureSize: (sps: Uint8Array) => unknown }, sps: string) =>
  codec.pictureSize(Buffer.from(sps, "base64"))

describe("H264", () => {
  // parameter sets from libx264
  const sizes: ReadonlyArray<readonly [what: string, sps: string, width: number, height: number]> =
    [
      ["baseline", "Z0LAH9kAUAW7ARAAAAMAEAAAAwMg8YMkgA==", 1280, 720],
      ["high, cropped", "Z2QAKKzZQHgCJ+XARAAAAwAEAAADAMg8YMZY", 1920, 1080],
      ["interlaced, cropped", "Z2QAKKzZQHgET94CIAAAAwAgAAAGQ+LFssA=", 1920, 1080],
      ["4:4:4, cropped", "Z/QAHpGbKBSF/Hz4CIAAAAMAgAAAGQeLFss=", 642, 362],
      ["4:2:2, cropped", "Z3oAHrzZQKQv4ifARAAAAwAEAAADAMg8WLZY", 642, 362],
      ["grey, cropped", "Z2QAHvNlApC/j58BbIAAAAMAgAAAGQeLFss=", 642, 362],
      ["scaling matrix", "Z2QAHqzZQLASbARAAAADAEAAAAyDxYtlgA==", 704, 576]
    ]
  for (const [what, sps, width, height] of sizes) {
    it(`parses the video size: ${what}`, () => {
      assert.deepStrictEqual(size(H264, sps), { width, height })
    })
  }

  it("finds no size in a truncated or invalid set", () => {
    const sps = Buffer.from(sizes[1]?.[1] ?? "", "base64")
    assert.isUndefined(H264.pictureSize(sps.subarray(0, 8)))
    assert.isUndefined(H264.pictureSize(Buffer.from([0x68, 0xeb, 0xe3, 0xcb])))
    assert.isUndefined(H264.pictureSize(Buffer.alloc(0)))
    assert.isUndefined(
      H264.pictureSize(Buffer.concat([Buffer.from([0x67, 66, 0, 31]), Buffer.alloc(40)]))
    )
  })

  const keyframes: ReadonlyArray<
    readonly [what: string, starts: boolean, payload: ReadonlyArray<number>]
  > = [
    ["the first IDR slice of a picture", true, [0x65, 0x88]],
    ["a later IDR slice of a picture", false, [0x65, 0x42]],
    ["an IDR slice without its header", false, [0x65]],
    ["a sequence parameter set", true, [0x67, 0x42]],
    ["a picture parameter set", true, [0x68, 0xce]],
    ["another slice", false, [0x61, 0x9a]],
    ["an access unit delimiter", false, [0x09, 0xf0]],
    ["supplemental information", false, [0x06, 0x05]],
    ["an aggregate with parameter sets", true, [24, 0, 2, 9, 0xf0, 0, 2, 0x67, 0x42]],
    ["an aggregate without", false, [24, 0, 2, 9, 0xf0, 0, 2, 0x61, 0x9a]],
    ["an aggregate of kind B", true, [25, 0, 1, 0, 2, 0x67, 0x42]],
    ["an aggregate that lies about its sizes", false, [24, 0xff, 0xff, 0x61, 0x9a]],
    ["the first fragment of the first IDR slice", true, [0x7c, 0x85, 0x88]],
    ["the first fragment of a later IDR slice", false, [0x7c, 0x85, 0x42]],
    ["an aggregate with the first IDR slice", true, [24, 0, 2, 9, 0xf0, 0, 2, 0x65, 0x88]],
    ["an aggregate with a later IDR slice", false, [24, 0, 2, 9, 0xf0, 0, 2, 0x65, 0x42]],
    ["the first fragment of an IDR slice, without slice data", true, [0x7c, 0x85]],
    ["the only fragment of an IDR slice", true, [0x7c, 0xc5, 0x88]],
    ["a first fragment with the reserved bit", true, [0x7c, 0xa5, 0x88]],
    ["a first fragment with the indicator of no reference", true, [0x1c, 0x85, 0x88]],
    ["the first fragment of a sequence parameter set", true, [0x7c, 0x87, 0x42]],
    ["the first fragment of another slice, without slice data", false, [0x7c, 0x81]],
    ["a later fragment of an IDR slice", false, [0x7c, 0x05, 1]],
    ["the first fragment of another slice", false, [0x7c, 0x81, 1]],
    ["a fragment without its header", false, [0x7c]],
    ["no payload", false, []]
  ]
  for (const [what, starts, payload] of keyframes) {
    it(`treats ${what} as ${starts ? "the" : "no"} start of a keyframe`, () => {
      assert.strictEqual(H264.startsKeyframe(...withPayload(...payload)), starts)
    })
  }

  it("never throws or hangs on any input", () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        H264.pictureSize(Buffer.concat([Buffer.from([0x67, 100]), bytes]))
        H264.startsKeyframe(...withPayload(...bytes))
        H264.startsKeyframe(bytes, 0, bytes.length)
      })
    )
  })

  it("reads the size from a sequence parameter set only", () => {
    const sps = Buffer.from("Z2QAKKzZQHgCJ+XARAAAAwAEAAADAMg8YMZY", "base64")
    assert.deepStrictEqual(H264.pictureSize(sps), { width: 1920, height: 1080 })
    for (const type of [0x61, 0x65, 0x68, 0x6f]) {
      const other = Buffer.from(sps)
      other[0] = type
      assert.isUndefined(H264.pictureSize(other))
    }
  })
})

describe("H265", () => {
  // parameter sets from libx265
  const sizes: ReadonlyArray<readonly [what: string, sps: string, width: number, height: number]> =
    [
      ["main, cropped", "QgEBAWAAAAMAkAAAAwAAAwB4oAPAgBDlllZpJMrwFoCAAAADAIAAAAyE", 1920, 1080],
      ["odd size", "QgEBAWAAAAMAkAAAAwAAAwA/oAUSAXHJJllZpJMrwFoCAAADAAIAAAMAMhA=", 642, 362],
      ["4:4:4", "QgEBBAgAAAMAnggAAAMAAD+QAKJALjnnyys0kmV4C0BAAAADAEAAAAZC", 642, 362]
    ]
  for (const [what, sps, width, height] of sizes) {
    it(`parses the video size: ${what}`, () => {
      assert.deepStrictEqual(H265.sequenceParameters(Buffer.from(sps, "base64")), {
        width,
        height,
        describesSubLayers: false
      })
    })
  }

  it("detects a set that describes sub-layers", () => {
    assert.deepStrictEqual(H265.sequenceParameters(withSubLayers), {
      width: 16,
      height: 16,
      describesSubLayers: true
    })
  })

  const keyframes: ReadonlyArray<
    readonly [what: string, starts: boolean, payload: ReadonlyArray<number>]
  > = [
    ["an IDR picture", true, [19 << 1, 1, 0x80]],
    ["a later slice segment of an IDR picture", false, [19 << 1, 1, 0x40]],
    ["a clean random access picture", true, [21 << 1, 1, 0x80]],
    ["a video parameter set", true, [32 << 1, 1, 0]],
    ["another picture", false, [1 << 1, 1, 0]],
    ["an aggregate with parameter sets", true, [48 << 1, 1, 0, 2, 2, 1, 0, 2, 33 << 1, 1]],
    ["an aggregate without", false, [48 << 1, 1, 0, 2, 2, 1, 0, 2, 2, 1]],
    ["the first fragment of an IDR picture", true, [49 << 1, 1, 0x80 | 19, 0x80]],
    ["the first fragment of a later slice segment", false, [49 << 1, 1, 0x80 | 19, 0x40]],
    ["an aggregate with an IDR picture", true, [48 << 1, 1, 0, 3, 19 << 1, 1, 0x80]],
    ["a later fragment", false, [49 << 1, 1, 19, 0]],
    ["the first fragment of another picture", false, [49 << 1, 1, 0x80 | 1, 0]],
    ["a fragment without its header", false, [49 << 1, 1]],
    ["one byte", false, [19 << 1]]
  ]
  for (const [what, starts, payload] of keyframes) {
    it(`treats ${what} as ${starts ? "the" : "no"} start of a keyframe`, () => {
      assert.strictEqual(H265.startsKeyframe(...withPayload(...payload)), starts)
    })
  }

  it("never throws or hangs on any input", () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        H265.sequenceParameters(Buffer.concat([Buffer.from([0x42, 1]), bytes]))
        H265.startsKeyframe(...withPayload(...bytes))
        H265.startsKeyframe(bytes, 0, bytes.length)
      })
    )
  })
})

describe("Keyframe", () => {
  it("finds the start of a JPEG", () => {
    const starts = Keyframe.startsKeyframe("mjpeg")
    assert.isTrue(starts(...withPayload(0, 0, 0, 0, 1)))
    assert.isFalse(starts(...withPayload(0, 0, 1, 0, 1)))
  })

  it("parses H.264 and H.265, and passes every packet of other codecs", () => {
    assert.isTrue(Keyframe.startsKeyframe("h264")(...withPayload(0x65, 0x88)))
    assert.isFalse(Keyframe.startsKeyframe("hevc")(...withPayload(0x61, 0)))
    assert.isTrue(Keyframe.startsKeyframe("vp8")(...withPayload(0x61, 0)))
  })
})

describe("Mpeg4", () => {
  // from ffmpeg, for 64 × 64
  const config =
    "000001b001000001b58913000001000000012000c48d8800cd0204081443000001b24c61766335392e33372e313030"

  it("accepts a complete configuration", () => {
    assert.isTrue(Mpeg4.isConfig(config))
    assert.isTrue(Mpeg4.isConfig(config.toUpperCase()))
  })

  it("rejects what a media server rejects", () => {
    for (const hex of [
      "",
      "zz",
      "000001b0f3",
      config.slice(10),
      `00${config}`,
      config.replace("00000120", "000001b5"),
      `${config}000001b300`
    ]) {
      assert.isFalse(Mpeg4.isConfig(hex), hex)
    }
  })

  it("finds start codes of two zeros and a one only", () => {
    const valid = "000001b0f3000001b58913000001000000012000c488"
    assert.isTrue(Mpeg4.isConfig(valid))
    // the code of a frame, which no configuration holds, behind what is no start
    for (const noStart of ["000501", "050001", "000002"]) {
      assert.isTrue(Mpeg4.isConfig(`${valid}${noStart}b6`), noStart)
    }
    assert.isFalse(Mpeg4.isConfig(`${valid}000001b6`))
    assert.isFalse(Mpeg4.isConfig(`${valid}0`))
    assert.isFalse(Mpeg4.isConfig(`${valid}zz`))
    assert.isFalse(Mpeg4.isConfig(` ${valid}`))
  })
})

describe("Aac", () => {
  const configs: ReadonlyArray<readonly [hex: string, sampleRate: number, channels: number]> = [
    ["1408", 16_000, 1],
    ["140856E500", 16_000, 1],
    ["1210", 44_100, 2],
    ["1238", 44_100, 8],
    ["1200", 44_100, 0],
    // an explicit sample rate
    ["17800fa008", 8_000, 1],
    // spectral band replication: a core of 24 kHz, 48 kHz decoded
    ["2b118800", 48_000, 2],
    // parametric stereo: one coded channel, two decoded
    ["eb098800", 48_000, 2]
  ]
  for (const [hex, sampleRate, channels] of configs) {
    it(`parses the configuration ${hex}`, () => {
      assert.deepStrictEqual(Aac.parseConfig(hex), { sampleRate, channels })
    })
  }

  it("parses the LATM configuration", () => {
    assert.deepStrictEqual(Aac.parseMuxConfig("400024203fc0"), { sampleRate: 44_100, channels: 2 })
    assert.isUndefined(Aac.parseMuxConfig("c00024203fc0"))
  })

  it("rejects what a media server rejects", () => {
    for (const hex of ["", "14", "140", "zz", "0c08", "1788", "1248", "1209", "f8f0"]) {
      assert.isUndefined(Aac.parseConfig(hex), hex)
    }
  })

  it("never throws on any input", () => {
    holds(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(?:[0-9a-f]{2}){0,10}$/)), (hex) => {
        Aac.parseConfig(hex)
        Aac.parseMuxConfig(hex)
      })
    )
  })

  it("rejects an extended configuration without a sample rate", () => {
    const config = (bits: string) => {
      const text = bits.replaceAll(" ", "")
      const bytes = text.padEnd(Math.ceil(text.length / 8) * 8, "0").match(/.{8}/g) ?? []
      return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2))).toString("hex")
    }
    // type, rate, channels, extension's rate, type
    assert.deepInclude(Aac.parseConfig(config("00101 0100 0001 0011 00010 000")), { channels: 1 })
    assert.isUndefined(Aac.parseConfig(config("00101 0100 0001 1101 00010 000")))
    assert.isUndefined(Aac.parseConfig(config("00101 0100 0001 0011 00001 000")))
  })
})
