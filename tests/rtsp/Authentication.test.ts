import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as fc from "fast-check"
import { Authentication, Digest } from "@restream/core/rtsp"
import { holds } from "./Fuzz.ts"

const credentials = (username: string, password: string): Authentication.Credentials => ({
  username,
  password: Redacted.make(password)
})

const only = (...values: ReadonlyArray<string>): Authentication.Challenge => {
  const chosen = Authentication.choose(Authentication.parseChallenges(values))
  if (chosen === undefined) return assert.fail("no challenge was understood")
  return chosen
}

describe("Digest", () => {
  // RFC 7616 §3.9.1 and RFC 2617 §3.5
  const mufasa = {
    username: "Mufasa",
    password: "Circle of Life",
    realm: "http-auth@example.org",
    nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    method: "GET",
    uri: "/dir/index.html",
    qop: "auth",
    nonceCount: 1,
    cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
  } as const

  it("computes the response in the RFC's example with MD5", () => {
    assert.strictEqual(
      Digest.response({ ...mufasa, algorithm: "MD5" }),
      "8ca523f5e9506fed4657c9700eebdbec"
    )
  })

  it("computes the response in the RFC's example with SHA-256", () => {
    assert.strictEqual(
      Digest.response({ ...mufasa, algorithm: "SHA-256" }),
      "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )
  })

  // the value is computed by Python: hashlib.new("sha512_256")
  it("computes the response with SHA-512-256", () => {
    assert.strictEqual(
      Digest.response({ ...mufasa, algorithm: "SHA-512-256" }),
      "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0"
    )
  })

  it("computes a response without qop as in RFC 2069", () => {
    assert.strictEqual(
      Digest.response({
        algorithm: "MD5",
        username: "Mufasa",
        password: "CircleOfLife",
        realm: "testrealm@host.com",
        nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        method: "GET",
        uri: "/dir/index.html",
        qop: undefined,
        nonceCount: 1,
        cnonce: ""
      }),
      "1949323746fe6a43ef61f9606e7febea"
    )
  })

  it("renders nonce counts as eight hexadecimal digits", () => {
    assert.strictEqual(Digest.renderCount(1), "00000001")
    assert.strictEqual(Digest.renderCount(0xabcdef01), "abcdef01")
  })
})

describe("Authentication", () => {
  it("parses commas and quotation marks inside quoted strings", () => {
    assert.deepInclude(only('Digest realm="Cam, \\"Nord\\", 2", nonce="a,b=c", opaque="x"'), {
      realm: 'Cam, "Nord", 2',
      nonce: "a,b=c",
      opaque: "x"
    })
  })

  it("parses several challenges in one header", () => {
    const challenges = Authentication.parseChallenges([
      'Digest realm="a, b", nonce="1", algorithm=MD5, Basic realm="c", Digest realm="d", nonce="2", algorithm="SHA-256"'
    ])
    assert.deepStrictEqual(
      challenges.map((challenge) => [challenge._tag, challenge.realm]),
      [
        ["Digest", "a, b"],
        ["Basic", "c"],
        ["Digest", "d"]
      ]
    )
  })

  it("prefers SHA-256 to MD5 to Basic, in any order of challenges", () => {
    const offers = [
      'Basic realm="r"',
      'Digest realm="r", nonce="m"',
      'Digest realm="r", nonce="s", algorithm=SHA-256'
    ]
    const nonceOf = (...values: ReadonlyArray<string>) => {
      const challenge = only(...values)
      return challenge._tag === "Basic" ? "basic" : challenge.nonce
    }
    assert.strictEqual(nonceOf(...offers), "s")
    assert.strictEqual(nonceOf(...offers.toReversed()), "s")
    assert.strictEqual(nonceOf(offers[1] ?? "", offers[0] ?? ""), "m")
    assert.strictEqual(nonceOf(offers[0] ?? ""), "basic")
  })

  it("skips unknown algorithms, schemes and qop values", () => {
    assert.deepInclude(
      only(
        'Digest realm="r", nonce="1", algorithm=SHA-1',
        'Digest realm="r", nonce="2", qop="auth-int"',
        "Negotiate",
        'Bearer realm="x"',
        'Digest realm="r", nonce="3", algorithm=md5'
      ),
      { nonce: "3", algorithm: "MD5", algorithmName: "md5" }
    )
    assert.isUndefined(
      Authentication.choose(Authentication.parseChallenges(["NTLM", 'Digest realm="no nonce"']))
    )
  })

  it("treats a missing stale as false", () => {
    assert.deepInclude(only('Digest realm="r", nonce="1"'), { stale: false })
    assert.deepInclude(only('Digest realm="r", nonce="1", stale="FALSE"'), { stale: false })
    assert.deepInclude(only('Digest realm="r", nonce="1", stale=TRUE'), { stale: true })
  })

  const answerTo = (...values: ReadonlyArray<string>): string =>
    Authentication.answer({
      challenge: only(...values),
      credentials: credentials("admin", "pass"),
      method: "DESCRIBE",
      uri: "rtsp://h/s",
      nonceCount: 2,
      cnonce: "abc"
    })

  it("responds without qop, without nonce count, client nonce, and unnamed algorithm", () => {
    const header = answerTo('Digest realm="r", nonce="n"')
    assert.match(
      header,
      /^Digest username="admin", realm="r", nonce="n", uri="rtsp:\/\/h\/s", response="[0-9a-f]{32}"$/
    )
  })

  it("responds with qop, with nonce count, client nonce, opaque, and the algorithm as spelled", () => {
    const header = answerTo(
      'Digest realm="r", nonce="n", qop="auth-int,auth", opaque="o", algorithm=sha-256'
    )
    assert.match(header, /response="[0-9a-f]{64}", algorithm=sha-256, opaque="o", qop=auth/)
    assert.include(header, 'nc=00000002, cnonce="abc"')
  })

  it("responds to Basic with name and password as UTF-8", () => {
    assert.strictEqual(
      Authentication.answer({
        challenge: only('Basic realm="r"'),
        credentials: credentials("admin", "pä:ß"),
        method: "DESCRIBE",
        uri: "rtsp://h/s",
        nonceCount: 1,
        cnonce: ""
      }),
      `Basic ${Buffer.from("admin:pä:ß").toString("base64")}`
    )
  })

  const schemes = fc.constantFrom<Authentication.AuthenticationScheme>(
    "sha512-256",
    "sha256",
    "md5",
    "basic"
  )
  const nonce = fc.stringMatching(/^[0-9a-f]{8,32}$/)
  const text = fc.string({ unit: "grapheme", maxLength: 20 })
  const realm = fc.string({ unit: fc.constantFrom(...'abc ,"\\=;\xe9'.split("")), maxLength: 20 })
  const uri = fc.constantFrom("rtsp://h/s", "rtsp://h:554/cam?a=1&b=2/trackID=1", "rtsp://h/a,b=c")

  const verdict = (
    header: string,
    scheme: Authentication.AuthenticationScheme,
    options: { realm: string; nonce: string; uri: string },
    user: Authentication.Credentials
  ) =>
    Authentication.verify({
      authorization: header,
      schemes: [scheme],
      credentials: user,
      realm: options.realm,
      isCurrent: (given) => given === options.nonce,
      method: "DESCRIBE",
      uri: options.uri
    })

  it("verifies its own responses, with any name, password and realm", () => {
    holds(
      fc.property(
        schemes,
        realm,
        nonce,
        text.filter((name) => !name.includes(":")),
        text,
        uri,
        fc.constantFrom("auth" as const, undefined),
        fc.integer({ min: 1, max: 0xffffffff }),
        (scheme, realm, nonce, name, password, uri, qop, nonceCount) => {
          const user = credentials(name, password)
          const [challenge] = Authentication.parseChallenges(
            Authentication.challenges({ schemes: [scheme], realm, nonce, qop, opaque: "o,p" })
          )
          if (challenge === undefined) return assert.fail("the challenge was not understood")
          assert.strictEqual(challenge.realm, realm)
          const header = Authentication.answer({
            challenge,
            credentials: user,
            method: "DESCRIBE",
            uri,
            nonceCount,
            cnonce: "c0ffee"
          })
          const asked = { realm, nonce, uri }
          assert.strictEqual(verdict(header, scheme, asked, user), "granted")
          assert.strictEqual(
            verdict(header, scheme, asked, credentials(name, `${password}x`)),
            "wrong"
          )
          if (scheme !== "basic") {
            assert.strictEqual(verdict(header, scheme, { ...asked, nonce: "other" }, user), "stale")
            assert.strictEqual(
              verdict(header, scheme, { ...asked, uri: "rtsp://h/elsewhere" }, user),
              "wrong"
            )
          }
        }
      )
    )
  })

  it("ignores a response of a scheme that was not offered", () => {
    const header = Authentication.answer({
      challenge: only('Basic realm="r"'),
      credentials: credentials("a", "b"),
      method: "DESCRIBE",
      uri: "rtsp://h/s",
      nonceCount: 1,
      cnonce: ""
    })
    const asked = { realm: "r", nonce: "n", uri: "rtsp://h/s" }
    assert.strictEqual(verdict(header, "md5", asked, credentials("a", "b")), "missing")
  })

  it("accepts a signed path, and the stream's URL in SETUP", () => {
    const judge = (signed: string, asked: string, method: string) => {
      const challenge = only('Digest realm="r", nonce="n"')
      const user = credentials("a", "b")
      return Authentication.verify({
        authorization: Authentication.answer({
          challenge,
          credentials: user,
          method,
          uri: signed,
          nonceCount: 1,
          cnonce: ""
        }),
        schemes: ["md5"],
        credentials: user,
        realm: "r",
        isCurrent: () => true,
        method,
        uri: asked
      })
    }
    assert.strictEqual(judge("/s/trackID=0", "rtsp://h/s/trackID=0", "SETUP"), "granted")
    assert.strictEqual(judge("rtsp://h/s/", "rtsp://h/s/trackID=0", "SETUP"), "granted")
    assert.strictEqual(judge("rtsp://h/s", "rtsp://h/s/trackID=0", "PLAY"), "wrong")
  })

  it("never throws or hangs on any input", () => {
    const spiced = fc
      .array(
        fc.oneof(
          fc.string({ maxLength: 10 }),
          fc.constantFrom(
            "Digest ",
            "Basic ",
            'realm="',
            '"',
            "\\",
            ",",
            "=",
            "nonce=",
            'qop="auth"'
          )
        ),
        { maxLength: 20 }
      )
      .map((parts) => parts.join(""))
    holds(
      fc.property(fc.array(spiced, { maxLength: 3 }), (values) => {
        Authentication.choose(Authentication.parseChallenges(values))
        Authentication.verify({
          authorization: values[0],
          schemes: ["sha256", "md5", "basic"],
          credentials: credentials("a", "b"),
          realm: "r",
          isCurrent: () => true,
          method: "PLAY",
          uri: "rtsp://h/s"
        })
      })
    )
  })
})
