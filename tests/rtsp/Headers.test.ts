import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import { RtpInfo, SessionHeader, Transport } from "@restream/core/rtsp"
import { holds } from "./Fuzz.ts"

describe("Transport", () => {
  it("renders a pair of channels, without a mode for playing", () => {
    assert.strictEqual(
      Transport.render(Transport.interleaved([2, 3])),
      "RTP/AVP/TCP;unicast;interleaved=2-3"
    )
    assert.strictEqual(
      Transport.render(Transport.interleaved([0, 1], "record")),
      "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"
    )
  })

  it("parses several transports, and skips unknown ones", () => {
    const read = Transport.parse(
      'RAW/RAW/UDP;unicast, RTP/AVP;unicast;client_port=5000-5001;mode="PLAY", rtp/avp/tcp;interleaved=0-1;ssrc=1A2b;mode=receive'
    )
    assert.deepStrictEqual(read, [
      {
        profile: "RTP/AVP",
        lower: "UDP",
        delivery: "unicast",
        clientPort: [5000, 5001],
        mode: "play"
      },
      { profile: "RTP/AVP", lower: "TCP", interleaved: [0, 1], ssrc: 0x1a2b, mode: "record" }
    ])
  })

  const answers: ReadonlyArray<
    readonly [what: string, answer: string | undefined, channels: Transport.Pair]
  > = [
    ["the channels asked for", "RTP/AVP/TCP;unicast;interleaved=2-3", [2, 3]],
    ["other channels", "RTP/AVP/TCP;unicast;interleaved=6-7;ssrc=00000000", [6, 7]],
    ["the first channel alone", "RTP/AVP/TCP;unicast;interleaved=0", [0, 1]],
    ["one channel twice", "RTP/AVP/TCP;interleaved=4-4", [4, 5]],
    ["RTP/AVP although it is TCP", "RTP/AVP;unicast;interleaved=4-5", [4, 5]],
    ["RTP/AVP and no channels", "RTP/AVP;unicast", [2, 3]],
    ["no channels", "RTP/AVP/TCP;unicast", [2, 3]],
    ["nothing", undefined, [2, 3]],
    ["what can't be read", "gibberish", [2, 3]]
  ]
  for (const [what, answer, channels] of answers) {
    it(`parses a response with ${what}`, () => {
      assert.deepStrictEqual(Transport.chosenChannels(answer, [2, 3]), Result.succeed(channels))
    })
  }

  it("rejects a response with UDP, and channels out of range", () => {
    for (const answer of [
      "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001",
      "RTP/AVP;multicast;destination=224.1.0.1;port=5000-5001",
      "RTP/AVP/TCP;interleaved=256-257",
      "RTP/AVP/TCP;interleaved=0-999"
    ]) {
      assert.isTrue(Result.isFailure(Transport.chosenChannels(answer, [0, 1])), answer)
    }
  })

  const pair = fc
    .tuple(fc.nat({ max: 65_535 }), fc.nat({ max: 65_535 }))
    .filter(([a, b]) => a !== b)

  it("parses what it renders", () => {
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
    const transport = fc.record({
      profile: fc.constantFrom("RTP/AVP", "RTP/SAVP", "RTP/AVPF"),
      lower: fc.constantFrom("TCP" as const, "UDP" as const),
      delivery: optional(fc.constantFrom("unicast" as const, "multicast" as const)),
      interleaved: optional(pair),
      clientPort: optional(pair),
      serverPort: optional(pair),
      ssrc: optional(fc.integer({ min: 0, max: 0xffffffff })),
      mode: optional(fc.constantFrom("play" as const, "record" as const))
    })
    holds(
      fc.property(fc.array(transport, { minLength: 1, maxLength: 3 }), (transports) => {
        const written = transports.map(Transport.render).join(",")
        assert.strictEqual(Transport.parse(written).map(Transport.render).join(","), written)
        assert.deepEqual(
          Transport.parse(written),
          transports.map(
            (made) =>
              Object.fromEntries(
                Object.entries(made).filter(([, value]) => value !== undefined)
              ) as unknown as Transport.Transport
          )
        )
      })
    )
  })

  it("never throws on any input", () => {
    holds(
      fc.property(fc.string({ maxLength: 100 }), (text) => {
        Transport.parse(text)
        Transport.chosenChannels(`RTP/AVP/TCP;interleaved=${text}`, [0, 1])
      })
    )
  })
})

describe("SessionHeader", () => {
  it("parses the session id and the timeout, with blanks anywhere", () => {
    assert.deepStrictEqual(SessionHeader.parse("1185d20035702ca;timeout=60"), {
      id: "1185d20035702ca",
      timeoutSeconds: 60
    })
    assert.deepStrictEqual(SessionHeader.parse(" 12345678 ; Timeout = 5 "), {
      id: "12345678",
      timeoutSeconds: 5
    })
  })

  it("ignores an invalid timeout", () => {
    for (const value of ["9", "9;timeout=0", "9;timeout=x", "9;timeout"]) {
      assert.deepStrictEqual(SessionHeader.parse(value), { id: "9", timeoutSeconds: undefined })
    }
    assert.isUndefined(SessionHeader.parse(";timeout=5"))
  })

  it("parses what it renders", () => {
    holds(
      fc.property(
        fc.stringMatching(/^[A-Za-z0-9$\-_.+]{1,30}$/),
        fc.option(fc.integer({ min: 1, max: 9_999_999 }), { nil: undefined }),
        (id, timeoutSeconds) => {
          assert.deepStrictEqual(
            SessionHeader.parse(SessionHeader.render({ id, timeoutSeconds })),
            { id, timeoutSeconds }
          )
        }
      )
    )
  })
})

describe("RtpInfo", () => {
  it("parses the start of each track, even if a URL contains commas and semicolons", () => {
    assert.deepStrictEqual(
      RtpInfo.parse("url=rtsp://h/a,b;c/trackID=0;seq=17;rtptime=4294967295, url=rtsp://h/2;seq=x"),
      [
        { url: "rtsp://h/a,b;c/trackID=0", sequence: 17, timestamp: 4_294_967_295 },
        { url: "rtsp://h/2", sequence: undefined, timestamp: undefined }
      ]
    )
  })

  it("parses what it renders", () => {
    const entry = fc.record({
      url: fc.webUrl().filter((url) => !url.includes("url=")),
      sequence: fc.option(fc.nat({ max: 65_535 }), { nil: undefined }),
      timestamp: fc.option(fc.integer({ min: 0, max: 0xffffffff }), { nil: undefined })
    })
    holds(
      fc.property(fc.array(entry, { maxLength: 3 }), (entries) => {
        assert.deepStrictEqual(RtpInfo.parse(RtpInfo.render(entries)), entries)
      })
    )
  })

  it("renders what is known", () => {
    assert.strictEqual(
      RtpInfo.render([
        { url: "a", sequence: 1, timestamp: 2 },
        { url: "b", sequence: undefined, timestamp: undefined },
        { url: "c", sequence: 0, timestamp: undefined },
        { url: "d", sequence: undefined, timestamp: 0 }
      ]),
      "url=a;seq=1;rtptime=2,url=b,url=c;seq=0,url=d;rtptime=0"
    )
  })
})
