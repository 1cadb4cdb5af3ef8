/** Each quirk of `RtspServer`, tested by the bytes it sends, so that tests can rely on the quirks. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Authentication } from "@restream/core/rtsp"
import { type Quirks, type RtspServer, TestPattern } from "@restream/core/testing"
import { cameraWith } from "../rtsp/LiveCamera.ts"
import { connectRaw } from "../rtsp/RawClient.ts"

type Ask = (method: string, ...headers: ReadonlyArray<string>) => Effect.Effect<string>

/** The number of complete responses, including their bodies. */
const answersIn = (text: string): number =>
  [...text.matchAll(/RTSP\/1\.0 \d{3}[^]*?\r\n\r\n/g)].filter((head) => {
    const length = Number(/Content-Length: (\d+)/.exec(head[0])?.[1] ?? 0)
    return text.length >= head.index + head[0].length + length
  }).length

/** A client that sends raw requests, and returns each response as text. */
const dialogue = Effect.fnUntraced(function* (server: RtspServer["Service"]) {
  const client = yield* connectRaw(server.port)
  const url = server.url("cam")
  let exchange = 0
  let before = 0
  const ask: Ask = (method, ...headers) =>
    Effect.gen(function* () {
      const uri = method === "SETUP" ? `${url}/trackID=0` : url
      yield* client.send(
        [`${method} ${uri} RTSP/1.0`, `CSeq: ${++exchange}`, ...headers, "", ""].join("\r\n")
      )
      const all = yield* client.receivedSo((text) => answersIn(text) === exchange)
      const answer = all.slice(before)
      before = all.length
      return answer
    })
  const setup = Effect.gen(function* () {
    const answer = yield* ask("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    return { answer, session: `Session: ${/Session: (\w+)/.exec(answer)?.[1] ?? ""}` }
  })
  return { client, ask, setup }
})

const withQuirks = (quirks: Quirks) =>
  Effect.gen(function* () {
    const server = yield* cameraWith(quirks, {}, { frameRate: 25, keyframeEvery: 1, audio: true })
    return { server, ...(yield* dialogue(server)) }
  })

describe("Quirks", () => {
  const answers: ReadonlyArray<
    readonly [what: string, quirks: Quirks, method: string, said: RegExp]
  > = [
    [
      "nothing",
      {},
      "DESCRIBE",
      /200 OK\r\nCSeq: 1\r\n[^]*Content-Type: application\/sdp\r\nContent-Base: rtsp:\/\/127\.0\.0\.1:\d+\/cam\/\r\n/
    ],
    [
      "a refusal",
      { rejectWith: { DESCRIBE: 503 } },
      "DESCRIBE",
      /^RTSP\/1\.0 503 Service Unavailable/
    ],
    ["OPTIONS that are not known", { rejectWith: { OPTIONS: 404 } }, "OPTIONS", /^RTSP\/1\.0 404/],
    ["few methods", { publicMethods: ["OPTIONS", "PLAY"] }, "OPTIONS", /Public: OPTIONS, PLAY\r\n/],
    ["a small cseq", { cseq: "lowerCase" }, "OPTIONS", /\r\ncseq: 1\r\n/],
    ["no CSeq", { cseq: "missing" }, "OPTIONS", /^RTSP\/1\.0 200 OK\r\nServer/],
    ["a wish for a User-Agent", { requiresUserAgent: true }, "DESCRIBE", /^RTSP\/1\.0 400/],
    ["no Content-Type", { contentType: "missing" }, "DESCRIBE", /^(?![^]*Content-Type)[^]*m=video/],
    [
      "a charset",
      { contentType: "withCharset" },
      "DESCRIBE",
      /Content-Type: application\/sdp; charset=utf-8/
    ],
    ["no Content-Base", { contentBase: "missing" }, "DESCRIBE", /^(?![^]*Content-Base)[^]*m=video/],
    [
      "a Content-Base of a path",
      { contentBase: "pathOnly" },
      "DESCRIBE",
      /Content-Base: \/cam\/\r\n/
    ],
    [
      "a Content-Base without scheme",
      { contentBase: "withoutScheme" },
      "DESCRIBE",
      /Content-Base: 127\.0\.0\.1:\d+\/cam\/\r\n/
    ],
    [
      "a doubled Content-Base",
      { contentBase: "doubled" },
      "DESCRIBE",
      /Content-Base: rtsp:\/\/rtsp:\/\/127/
    ],
    [
      "a Content-Base with another host",
      { contentBase: "wrongHost" },
      "DESCRIBE",
      /Content-Base: rtsp:\/\/192\.168\.1\.64:554\/cam\/\r\n/
    ],
    ["a custom Content-Base", { contentBase: { text: "x" } }, "DESCRIBE", /Content-Base: x\r\n/],
    [
      "a redirect",
      { redirect: "rtsp://elsewhere/" },
      "DESCRIBE",
      /^RTSP\/1\.0 302 Moved Temporarily\r\n[^]*Location: rtsp:\/\/elsewhere\/\r\n/
    ],
    ["another description", { sdp: (sdp) => `${sdp}a=changed\r\n` }, "DESCRIBE", /a=changed\r\n$/],
    ["frames of a dead session", { strayFrames: true }, "OPTIONS", /^\$\0\0p[^]*\$\xc8\0p[^]*RTSP/]
  ]
  for (const [what, quirks, method, said] of answers) {
    it.live(`responds to ${method} with ${what}`, () =>
      Effect.gen(function* () {
        const { ask } = yield* withQuirks(quirks)
        assert.match(yield* ask(method), said)
      })
    )
  }

  const setups: ReadonlyArray<readonly [what: string, quirks: Quirks, said: RegExp]> = [
    ["nothing", {}, /Transport: RTP\/AVP\/TCP;unicast;interleaved=0-1\r\nSession: \w+;timeout=60/],
    ["other channels", { channelOffset: 7 }, /interleaved=7-8\r\n/],
    ["the first channel alone", { interleaved: "first" }, /interleaved=0\r\n/],
    ["no channels", { interleaved: "missing" }, /Transport: RTP\/AVP\/TCP;unicast\r\n/],
    ["RTP/AVP", { claimsUdp: true }, /Transport: RTP\/AVP;unicast;interleaved=0-1/],
    ["UDP alone", { udpOnly: true }, /^RTSP\/1\.0 461 Unsupported Transport/],
    ["a short life", { sessionTimeoutSeconds: 5 }, /Session: \w+;timeout=5\r\n/]
  ]
  for (const [what, quirks, said] of setups) {
    it.live(`responds to SETUP with ${what}`, () =>
      Effect.gen(function* () {
        const { setup } = yield* withQuirks(quirks)
        assert.match((yield* setup).answer, said)
      })
    )
  }

  it.live("rejects a mode", () =>
    Effect.gen(function* () {
      const { ask } = yield* withQuirks({ rejectsMode: true })
      assert.match(
        yield* ask("SETUP", "Transport: RTP/AVP/TCP;interleaved=0-1;mode=play"),
        /^RTSP\/1\.0 400/
      )
    })
  )

  it.live("rejects PLAY without Range", () =>
    Effect.gen(function* () {
      const { ask, setup } = yield* withQuirks({ requiresRange: true })
      const { session } = yield* setup
      assert.match(yield* ask("PLAY", session), /^RTSP\/1\.0 457/)
      assert.match(yield* ask("PLAY", session, "Range: npt=0.000-"), /^RTSP\/1\.0 200/)
    })
  )

  it.live("sends OPTIONS to the client once it plays", () =>
    Effect.gen(function* () {
      const { ask, client, setup } = yield* withQuirks({ sendsOptions: true })
      const { session } = yield* setup
      yield* ask("PLAY", session)
      yield* client.received(/OPTIONS \* RTSP\/1\.0\r\nCSeq: 1\r\n\r\n/)
    })
  )

  it.live("rejects every password", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith(
        { alwaysUnauthorized: true },
        { authentication: { username: "a", password: Redacted.make("b"), schemes: ["basic"] } }
      )
      const { ask } = yield* dialogue(server)
      assert.match(yield* ask("DESCRIBE", `Authorization: Basic ${btoa("a:b")}`), /^RTSP\/1\.0 401/)
      assert.strictEqual(yield* server.authenticationFailures, 1)
    })
  )

  const nonceOf = (answer: string) => /nonce="(\w+)"/.exec(answer)?.[1]

  it.live("authenticates OPTIONS, and changes its nonce with each request", () =>
    Effect.gen(function* () {
      const options = { authentication: { username: "a", password: Redacted.make("b") } }
      const changing = yield* dialogue(
        yield* cameraWith({ authenticatesOptions: true, freshNonces: true }, options)
      )
      const nonces = [
        nonceOf(yield* changing.ask("OPTIONS")),
        nonceOf(yield* changing.ask("OPTIONS"))
      ]
      assert.isDefined(nonces[0])
      assert.notStrictEqual(nonces[0], nonces[1])
      const steady = yield* dialogue(yield* cameraWith({}, options))
      assert.match(yield* steady.ask("OPTIONS"), /200 OK/)
      assert.strictEqual(
        nonceOf(yield* steady.ask("DESCRIBE")),
        nonceOf(yield* steady.ask("DESCRIBE"))
      )
    })
  )

  for (const sendsStale of [false, true]) {
    it.live(`${sendsStale ? "sends" : "does not send"} stale=true`, () =>
      Effect.gen(function* () {
        const credentials = { username: "a", password: Redacted.make("b") }
        const server = yield* cameraWith(
          { freshNonces: true, sendsStale },
          { authentication: credentials }
        )
        const { ask } = yield* dialogue(server)
        const refusal = yield* ask("DESCRIBE")
        const [challenge] = Authentication.parseChallenges([
          /WWW-Authenticate: (.*)\r\n/.exec(refusal)?.[1] ?? ""
        ])
        if (challenge === undefined) return assert.fail("there was no challenge")
        yield* ask("DESCRIBE")
        const late = Authentication.answer({
          challenge,
          credentials,
          method: "DESCRIBE",
          uri: server.url("cam"),
          nonceCount: 1,
          cnonce: "c"
        })
        const answer = yield* ask("DESCRIBE", `Authorization: ${late}`)
        assert.match(answer, /^RTSP\/1\.0 401/)
        assert.strictEqual(answer.includes("stale=true"), sendsStale)
        assert.strictEqual(yield* server.authenticationFailures, 0)
      })
    )
  }

  it.live("sends nothing, closes, or sends garbage at a method", () =>
    Effect.gen(function* () {
      const ask = "DESCRIBE rtsp://127.0.0.1/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n"
      const closing = yield* withQuirks({ closeAt: "DESCRIBE" })
      yield* closing.client.send(ask)
      assert.strictEqual(yield* closing.client.closed, "")
      const garbling = yield* withQuirks({ garbageAt: "DESCRIBE" })
      yield* garbling.client.send(ask)
      assert.match(yield* garbling.client.received(/\x99$/), /^\0/)
      const silent = yield* withQuirks({ silentAt: "DESCRIBE" })
      yield* silent.client.send(ask)
      // the first bytes are the response to the next request
      assert.match(yield* silent.ask("OPTIONS"), /^RTSP\/1\.0 200 OK\r\nCSeq: 1\r\n[^]*Public/)
    })
  )

  it.live("closes after SETUP", () =>
    Effect.gen(function* () {
      const { client, setup } = yield* withQuirks({ closeAfterSetup: true })
      assert.match((yield* setup).answer, /200 OK/)
      yield* client.closed
    })
  )

  it.live("closes within a frame", () =>
    Effect.gen(function* () {
      const { ask, client, setup } = yield* withQuirks({ closeMidFrame: 3 })
      yield* ask("PLAY", (yield* setup).session)
      const all = Buffer.from(yield* client.closed, "latin1")
      assert.strictEqual(all.subarray(-7).toString("hex"), "24000400806000")
    })
  )

  it.live("sends garbage between frames", () =>
    Effect.gen(function* () {
      const { ask, client, setup } = yield* withQuirks({ garbageEvery: 2 })
      yield* ask("PLAY", (yield* setup).session)
      yield* client.received(/\x99\x99\$/)
    })
  )

  it.live("continues after TEARDOWN, on an unassigned channel", () =>
    Effect.gen(function* () {
      const { ask, client, setup } = yield* withQuirks({ goesOnAfterTeardown: true })
      const { session } = yield* setup
      yield* ask("PLAY", session)
      yield* client.received(/\$\0/)
      yield* client.send(`TEARDOWN rtsp://h/cam RTSP/1.0\r\nCSeq: 99\r\n${session}\r\n\r\n`)
      yield* client.received(/CSeq: 99\r\n[^]*\$\xc8/)
    })
  )

  it.effect("freezes one track or all, after a time or on command, and thaws", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith(
        { freeze: { tracks: "video", after: "2 seconds" } },
        {},
        { frameRate: 10, keyframeEvery: 1 }
      )
      const { ask, setup } = yield* dialogue(server)
      yield* ask("PLAY", (yield* setup).session)
      yield* server.awaitReaders("cam", 1)
      const sent = Effect.map(server.path("cam"), (status) => status?.readers[0]?.packets ?? 0)
      const sentWithin = Effect.gen(function* () {
        const before = yield* sent
        yield* TestClock.adjust("1 second")
        return (yield* sent) - before
      })
      assert.isAbove(yield* sentWithin, 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* sentWithin, 0)
      yield* server.thaw("cam")
      assert.isAbove(yield* sentWithin, 0)
      yield* server.freeze("cam", "audio")
      assert.isAbove(yield* sentWithin, 0)
      yield* server.freeze("cam", "all")
      assert.strictEqual(yield* sentWithin, 0)
    })
  )

  it.live("can be changed while the server runs", () =>
    Effect.gen(function* () {
      const { ask, server } = yield* withQuirks({})
      assert.match(yield* ask("DESCRIBE"), /200 OK/)
      yield* server.configure("cam", { quirks: { rejectWith: { DESCRIBE: 404 } } })
      assert.match(yield* ask("DESCRIBE"), /404/)
      yield* server.configure("cam", {})
      assert.match(yield* ask("DESCRIBE"), /200 OK/)
    })
  )

  it.live("apply to one path, with the query first", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      yield* TestPattern.publish(server, "other")
      yield* server.configure("cam?a=1", { quirks: { rejectWith: { OPTIONS: 500 } } })
      yield* server.configure("cam", { quirks: { rejectWith: { OPTIONS: 501 } } })
      const status = (path: string) =>
        Effect.gen(function* () {
          const client = yield* connectRaw(server.port)
          yield* client.send(`OPTIONS ${server.url(path)} RTSP/1.0\r\nCSeq: 1\r\n\r\n`)
          return (yield* client.received(/\r\n\r\n/)).slice(9, 12)
        })
      assert.deepStrictEqual(
        [yield* status("cam?a=1"), yield* status("cam?a=2"), yield* status("other")],
        ["500", "501", "200"]
      )
    })
  )
})
