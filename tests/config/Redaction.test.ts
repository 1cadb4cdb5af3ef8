import { assert, describe, it } from "@effect/vitest"
import { oneLine, redact } from "@restream/config"
import { StreamUrl } from "@restream/core"
import { Result } from "effect"
import * as fc from "fast-check"

/** The least time that some runs take on the processor, in microseconds; other processes do not count. */
const cpuTime = (run: () => void): number =>
  Math.min(
    ...Array.from({ length: 5 }, () => {
      const before = process.cpuUsage()
      run()
      return process.cpuUsage(before).user
    })
  )

describe("Redaction", () => {
  for (const text of [
    "Did you mean file:rtsp://admin:TopSecret1@10.0.0.5/live",
    "[rtsp @ 0x55] rtsp://admin:Top/Secret1@10.0.0.5/live: Invalid data",
    "rtsp://10.0.0.5/live?user=admin&password=TopSecret1: 404 Not Found",
    "GET /user=admin_password=TopSecret1_channel=1_stream=0.sdp",
    'Authorization: Digest username="admin", response="TopSecret1"',
    "Authorization: Basic VG9wU2VjcmV0MQ==TopSecret1",
    "postgres://user:TopSecret1@db/cameras",
    "password=TopSecret1 host=db",
    "host=db password = TopSecret1",
    "host=db password='TopSecret1 it\\'s TopSecret1' user=u",
    "--pg-dsn=host=db password='a TopSecret1",
    "http://10.0.0.5/videostream.cgi?loginuse=admin&loginpas=TopSecret1: 404",
    "GET /live?pw=TopSecret1&channel=1",
    "GET /live?p=TopSecret1",
    "GET /live?channel=TopSecret1/TopSecret1",
    "GET /live?stream=a%26pwd%3DTopSecret1",
    "psw=TopSecret1",
    "rtsp://10.0.0.5/user=admin_psw=TopSecret1_channel=1",
    "rtsp://10.0.0.5/11?x7=TopSecret1?key=TopSecret1"
  ]) {
    it(`removes the secret from ${text.replaceAll(/TopSecret1|Top\/Secret1/g, "…")}`, () => {
      const shown = redact(text)
      assert.notInclude(shown, "Secret1")
      assert.include(shown, "***")
    })
  }

  it("does not change text without secrets", () => {
    for (const text of [
      "Connection refused",
      "rtsp://10.0.0.5/Streaming/Channels/101: Connection timed out",
      'password authentication failed for user "restream"',
      "method SETUP failed: 461 Unsupported transport",
      "rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif: timed out",
      "http://10.0.0.5/axis-media/media.amp?camera=1&streamprofile=Low%20rate&videocodec=h264",
      "rtsp://10.0.0.5/h264?x=1",
      "the primary key: id",
      'duplicate key value violates unique constraint "cameras_pkey"'
    ]) {
      assert.strictEqual(redact(text), text)
    }
  })

  it("removes all known secrets anywhere in a text, also those that contain each other", () => {
    // digits only, in a text without any: whatever is left of a secret shows
    const digits = fc.stringMatching(/^[0-9]{3,8}$/)
    const word = fc.stringMatching(/^[g-z]{0,8}$/)
    const nested = fc
      .tuple(digits, digits, digits)
      .map(([before, inner, after]) => [inner, `${before}${inner}`, `${before}${inner}${after}`])
    fc.assert(
      fc.property(
        fc.array(fc.oneof(nested, fc.tuple(digits)), { minLength: 1, maxLength: 4 }),
        word,
        fc.array(fc.tuple(fc.nat(), word), { maxLength: 6 }),
        fc.boolean(),
        (groups, beginning, parts, isReversed) => {
          const secrets = groups.flat()
          const text = [
            beginning,
            ...parts.flatMap(([n, after]) => [secrets[n % secrets.length], after])
          ]
          const shown = redact(text.join(" "), isReversed ? secrets.toReversed() : secrets)
          const expected = [beginning, ...parts.flatMap(([, after]) => ["***", after])]
          assert.strictEqual(shown, expected.join(" "))
        }
      )
    )
  })

  it("removes a password of any characters anywhere in a text", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 4, unit: "grapheme" }),
        fc.string(),
        fc.string(),
        (secret, before, after) => {
          fc.pre(!"***".includes(secret) && !`${before}***${after}`.includes(secret))
          const url = new StreamUrl({ scheme: "rtsp", host: "h", username: "u", password: secret })
          assert.notInclude(redact(`${before}${secret}${after}`, url.secrets), secret)
        }
      )
    )
  })

  it("removes the credentials of a URL as Basic authentication sends them", () => {
    const url = new StreamUrl({ scheme: "rtsp", host: "h", username: "u", password: "p@sswd" })
    assert.strictEqual(redact("no dTpwQHNzd2Q= here", url.secrets), "no *** here")
    const nobody = new StreamUrl({ scheme: "rtsp", host: "h", password: "p@sswd" })
    assert.strictEqual(redact("no OnBAc3N3ZA== here", nobody.secrets), "no *** here")
  })

  for (const piece of [
    "a-",
    "a_",
    "rtsp://",
    "rtsp://@",
    "x://a",
    "://",
    "@",
    "user_",
    "password=_a",
    "password=_",
    "password = '",
    "password= \\",
    "?a",
    "&a=",
    "?stream=1",
    "%26pw",
    "key",
    "authorization:",
    "authorization: basic "
  ]) {
    it(`takes time in proportion to the length of ${JSON.stringify(piece)}, repeated`, () => {
      const long = piece.repeat(64_000 / piece.length)
      const short = piece.repeat(4000 / piece.length)
      // as many characters in all; one part in sixteen if their square has to be looked at
      const inShort = cpuTime(() => {
        for (let n = 0; n < 16; n++) redact(short)
      })
      const inLong = cpuTime(() => void redact(long))
      // the system counts in ticks of some milliseconds; a square takes hundreds
      assert.isBelow(inLong, 6 * inShort + 20_000)
    })
  }

  it("removes the credentials of a URL from any text", () => {
    const url = Result.getOrThrow(StreamUrl.parse("rtsp://admin:p%20w%22d@10.0.0.5/live"))
    const said = `Opening '${StreamUrl.reveal(url)}' with p w"d for reading`
    assert.notInclude(redact(said, url.secrets), 'p w"d')
    assert.notInclude(redact(said, url.secrets), "p%20w%22d")
  })

  it("keeps any text on one line, without control characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(oneLine(text), /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/)
      })
    )
    assert.strictEqual(oneLine("Gate\n\u001b[31mERROR\u202e"), "Gate\\n\\x1b[31mERROR\\u202e")
    assert.strictEqual(oneLine("Hof, Tür 3 – 門"), "Hof, Tür 3 – 門")
  })
})
