import { assert, describe, it } from "@effect/vitest"
import { oneLine, redact } from "@restream/config"
import { StreamUrl } from "@restream/core"
import { Result } from "effect"
import * as fc from "fast-check"

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

  it("removes a known secret anywhere in a text", () => {
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
    "?a",
    "&a=",
    "?stream=1",
    "%26pw",
    "key",
    "authorization:",
    "authorization: basic "
  ]) {
    // a million characters take a fraction of a second, or minutes if their square has to be looked at
    it(`accepts any length of ${JSON.stringify(piece)}`, () => {
      const text = piece.repeat(1_000_000 / piece.length)
      assert.isAtMost(redact(text).length, text.length + 1_000_000)
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
