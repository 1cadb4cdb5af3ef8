import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, PubSub, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { next, nextRequest } from "../rtsp/Events.ts"
import { connectRaw } from "../rtsp/RawClient.ts"

const request = (
  method: string,
  uri: string,
  headers: ReadonlyArray<string> = [],
  body = ""
): string =>
  [
    `${method} ${uri} RTSP/1.0`,
    "CSeq: 1",
    ...headers,
    ...(body === "" ? [] : [`Content-Length: ${body.length}`]),
    "",
    body
  ].join("\r\n")

const h264 = [
  "v=0",
  "m=video 0 RTP/AVP 96",
  "a=rtpmap:96 H264/90000",
  "a=fmtp:96 packetization-mode=1",
  "a=control:trackID=0",
  ""
].join("\r\n")

const announcing = ["Content-Type: application/sdp"]
const recording = ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"]

/** A publisher up to RECORD, with raw requests. */
const publishRaw = Effect.fnUntraced(function* (server: RtspServer["Service"], path: string) {
  const client = yield* connectRaw(server.port)
  const url = server.url(path)
  yield* client.send(request("ANNOUNCE", url, announcing, h264))
  yield* client.received(/200 OK/)
  yield* client.send(request("SETUP", `${url}/trackID=0`, recording))
  const answers = yield* client.received(/Session: \w+/)
  const session = /Session: (\w+)/.exec(answers)?.[1] ?? ""
  yield* client.send(request("RECORD", url, [`Session: ${session}`]))
  return client
})

const frame = Buffer.from([0x24, 0, 0, 14, 0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x65, 0x88])

describe("RtspServer", () => {
  it.live("reports publishers and readers, with counters", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      assert.isUndefined(yield* server.path("a"))
      const publisher = yield* publishRaw(server, "a")
      yield* server.awaitPublisher("a")
      yield* publisher.send(Buffer.concat([frame, frame]))
      yield* server.awaitPackets("a")
      const status = yield* server.path("a")
      assert.deepStrictEqual(status, {
        path: "a",
        publisher: { connection: 1, tracks: [{ kind: "video", codec: "h264", packets: 2 }] },
        readers: [],
        packets: 2,
        bytes: 2 * frame.length,
        publishers: 1,
        authenticationFailures: 0
      })
      assert.deepStrictEqual(yield* server.paths, status === undefined ? [] : [status])
    })
  )

  it.live("drops a publisher's frames on unassigned channels", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const publisher = yield* publishRaw(server, "a")
      yield* server.awaitPublisher("a")
      const stray = Buffer.from(frame)
      stray[1] = 8
      const client = yield* connectRaw(server.port)
      yield* client.send(
        request("SETUP", `${server.url("a")}/trackID=0`, ["Transport: RTP/AVP/TCP;interleaved=0-1"])
      )
      const session = /Session: (\w+)/.exec(yield* client.received(/Session: \w+/))?.[1] ?? ""
      yield* client.send(request("PLAY", server.url("a"), [`Session: ${session}`]))
      yield* server.awaitReaders("a", 1)
      yield* publisher.send(Buffer.concat([frame, stray, frame, stray]))
      const all = yield* client.receivedSo(
        (text) => text.split(frame.toString("latin1")).length === 3
      )
      assert.notInclude(all, "$\x08")
      assert.notInclude(all, "$\xff")
      assert.strictEqual((yield* server.path("a"))?.packets, 2)
    })
  )

  it.live("emits events of connections, requests and publishers", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const events = yield* server.events
      const publisher = yield* publishRaw(server, "a")
      yield* next(events, "Connected")
      const announce = yield* nextRequest(events, "ANNOUNCE")
      assert.deepInclude(announce, { path: "a", status: 200, userAgent: undefined })
      assert.deepInclude(yield* next(events, "Publishing"), { path: "a" })
      yield* Effect.sync(() => publisher.socket.destroy())
      assert.deepInclude(yield* next(events, "Ended"), {
        path: "a",
        was: "publisher",
        tornDown: false
      })
      yield* server.awaitNoPublisher("a")
    })
  )

  it.live("replaces a publisher at RECORD, without a response to the old one", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const old = yield* publishRaw(server, "a")
      yield* server.awaitPublisher("a")
      yield* publishRaw(server, "a")
      const said = yield* old.closed
      assert.strictEqual(said.split("RTSP/1.0").length - 1, 3)
      assert.strictEqual((yield* server.path("a"))?.publishers, 2)
    })
  )

  it.live("rejects a second publisher with 400 if the first keeps the path", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ overridePublisher: "reject" })
      yield* publishRaw(server, "a")
      yield* server.awaitPublisher("a")
      const second = yield* publishRaw(server, "a")
      assert.include(yield* second.closed, "400 Bad Request")
      assert.strictEqual((yield* server.path("a"))?.publishers, 1)
    })
  )

  it.live("keeps a publisher if its reader leaves between SETUP and PLAY", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* TestPattern.publish(server, "a")
      for (const last of ["TEARDOWN", "nothing"]) {
        const reader = yield* connectRaw(server.port)
        const url = server.url("a")
        yield* reader.send(
          `SETUP ${url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n`
        )
        const answer = yield* reader.received(/200 OK[\s\S]*\r\n\r\n/)
        const session = /Session: ([^;\r]+)/.exec(answer)?.[1]
        if (last === "TEARDOWN") {
          yield* reader.send(`TEARDOWN ${url} RTSP/1.0\r\nCSeq: 2\r\nSession: ${session}\r\n\r\n`)
          yield* reader.received(/CSeq: 2/)
        }
        reader.socket.destroy()
        yield* server.awaitConnections(0)
        assert.isDefined((yield* server.path("a"))?.publisher)
      }
    })
  )

  it.live("kicks a publisher, and its readers with it", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const publisher = yield* publishRaw(server, "a")
      yield* server.awaitPublisher("a")
      assert.isTrue(yield* server.kick("a"))
      yield* publisher.closed
      yield* server.awaitNoPublisher("a")
      assert.isFalse(yield* server.kick("a"))
    })
  )

  it.live.each([
    ["with TEARDOWN", "RTSP/1.0 200 OK"],
    ["by the end of its connection", undefined]
  ] as const)("keeps a publisher when a reader leaves before PLAY, %s", ([, answer]) =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* TestPattern.publish(server, "cam")
      const reader = yield* connectRaw(server.port)
      const setup = request("SETUP", `${server.url("cam")}/trackID=0`, [
        "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
      ])
      yield* reader.send(setup)
      yield* reader.received(/Session: \w+/)
      if (answer === undefined) reader.socket.destroy()
      else {
        yield* reader.send(request("TEARDOWN", server.url("cam")))
        yield* reader.receivedSo((all) => all.split(answer).length === 3)
        reader.socket.destroy()
      }
      yield* server.awaitConnections(0)
      assert.isDefined((yield* server.path("cam"))?.publisher)
    })
  )

  it.live("closes every connection when its scope ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(RtspServer.make(), scope)
      const client = yield* connectRaw(server.port)
      yield* server.awaitConnections(1)
      yield* Scope.close(scope, Exit.void)
      yield* client.closed
    })
  )

  it.live("fails if the port is taken", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const error = yield* Effect.flip(RtspServer.make({ port: server.port }))
      assert.deepInclude(error.reason, { _tag: "ListenFailed", code: "EADDRINUSE" })
    })
  )

  const wrongAnnouncements: ReadonlyArray<
    readonly [what: string, headers: ReadonlyArray<string>, sdp: string]
  > = [
    ["without a type", [], h264],
    ["with a type and a charset", ["Content-Type: application/sdp; charset=utf-8"], h264],
    ["of H.264 in packetization mode 0", announcing, h264.replace("=1", "=0")],
    ["of H.264 without a packetization mode", announcing, h264.replace(/a=fmtp.*\r\n/, "")],
    [
      "of H.264 with sets that are no base64",
      announcing,
      h264.replace("=1", "=1;sprop-parameter-sets=!,?")
    ],
    [
      "of a loudspeaker",
      announcing,
      `${h264}m=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\na=sendonly\r\n`
    ],
    [
      "of AAC without its configuration",
      announcing,
      `${h264}m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000\r\na=fmtp:97 sizelength=13\r\n`
    ],
    [
      "of AAC without its size",
      announcing,
      `${h264}m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000\r\na=fmtp:97 config=1408\r\n`
    ],
    ["of a payload type that it does not tell", announcing, "m=video 0 RTP/AVP 96\r\n"],
    ["of nothing", announcing, "v=0\r\n"]
  ]
  for (const [what, headers, sdp] of wrongAnnouncements) {
    it.live(`rejects an announcement ${what}, and closes the connection`, () =>
      Effect.gen(function* () {
        const server = yield* RtspServer.make()
        const client = yield* connectRaw(server.port)
        yield* client.send(request("ANNOUNCE", server.url("a"), headers, sdp))
        assert.include(yield* client.closed, "RTSP/1.0 400 Bad Request")
      })
    )
  }

  it.live("rejects an announcement whose URL ends with a slash", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const client = yield* connectRaw(server.port)
      yield* client.send(request("ANNOUNCE", `${server.url("a")}/`, announcing, h264))
      assert.include(yield* client.closed, "400")
    })
  )

  it.live("accepts an announcement in which all media are marked as back channels", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const client = yield* connectRaw(server.port)
      yield* client.send(request("ANNOUNCE", server.url("a"), announcing, `${h264}a=sendonly\r\n`))
      assert.include(yield* client.received(/\r\n\r\n/), "200 OK")
    })
  )

  it.live("closes the connection of a publisher that sends a frame before RECORD", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const client = yield* connectRaw(server.port)
      yield* client.send(request("ANNOUNCE", server.url("a"), announcing, h264))
      yield* client.received(/200 OK/)
      yield* client.send(frame)
      yield* client.closed
    })
  )

  it.live("closes the connection of a publisher that sends a response", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const publisher = yield* publishRaw(server, "a")
      yield* server.awaitPublisher("a")
      yield* publisher.send("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
      yield* publisher.closed
    })
  )

  const disorders: ReadonlyArray<readonly [what: string, requests: (url: string) => string]> = [
    [
      "SETUP without mode=record",
      (url) =>
        request("SETUP", `${url}/trackID=0`, [(recording[0] ?? "").replace(";mode=record", "")])
    ],
    [
      "SETUP of a track that was not announced",
      (url) => request("SETUP", `${url}/trackID=7`, recording)
    ],
    [
      "SETUP of channels that don't belong together",
      (url) => request("SETUP", `${url}/trackID=0`, [(recording[0] ?? "").replace("0-1", "0-2")])
    ],
    ["RECORD before SETUP", (url) => request("RECORD", url)],
    ["a second ANNOUNCE", (url) => request("ANNOUNCE", url, announcing, h264)],
    ["a request without CSeq", (url) => request("OPTIONS", url).replace("CSeq: 1\r\n", "")]
  ]
  for (const [what, wrong] of disorders) {
    it.live(`rejects ${what}, and closes the connection`, () =>
      Effect.gen(function* () {
        const server = yield* RtspServer.make()
        const client = yield* connectRaw(server.port)
        yield* client.send(request("ANNOUNCE", server.url("a"), announcing, h264))
        yield* client.received(/200 OK/)
        yield* client.send(wrong(server.url("a")))
        assert.include(yield* client.closed, "400")
      })
    )
  }

  it.live("counts wrong passwords, and not missing passwords", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: {
          username: "u",
          password: Redacted.make("p"),
          schemes: ["basic"],
          actions: ["publish"]
        }
      })
      const client = yield* connectRaw(server.port)
      const announce = (authorization: ReadonlyArray<string>) =>
        client.send(request("ANNOUNCE", server.url("a"), [...announcing, ...authorization], h264))
      yield* announce([])
      assert.include(yield* client.received(/\r\n\r\n/), 'WWW-Authenticate: Basic realm="restream"')
      assert.strictEqual(yield* server.authenticationFailures, 0)
      yield* announce([`Authorization: Basic ${btoa("u:x")}`])
      yield* client.received(/401[^]*401/)
      assert.strictEqual(yield* server.authenticationFailures, 1)
      assert.strictEqual((yield* server.path("a"))?.authenticationFailures, 1)
      yield* announce([`Authorization: Basic ${btoa("u:p")}`])
      yield* client.received(/200 OK/)
      assert.strictEqual(yield* server.authenticationFailures, 1)
      // reading requires no authentication
      const reader = yield* connectRaw(server.port)
      yield* reader.send(request("DESCRIBE", server.url("a")))
      assert.include(yield* reader.received(/\r\n\r\n/), "404")
    })
  )

  it.live("exempts a path from authentication", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: { username: "u", password: Redacted.make("p") },
        settings: (path) => (path === "open" ? { authentication: null } : undefined)
      })
      const client = yield* connectRaw(server.port)
      yield* client.send(request("DESCRIBE", server.url("open")))
      yield* client.received(/404/)
      yield* client.send(request("DESCRIBE", server.url("other")))
      yield* client.received(/401/)
    })
  )

  it.live("offers the configured schemes, in order", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: {
          username: "u",
          password: Redacted.make("p"),
          schemes: ["sha256", "md5", "basic"]
        }
      })
      const client = yield* connectRaw(server.port)
      yield* client.send(request("DESCRIBE", server.url("a")))
      const answer = yield* client.received(/\r\n\r\n/)
      assert.match(answer, /SHA-256[^]*WWW-Authenticate: Digest[^]*Basic/)
    })
  )

  it.live("responds to unknown requests with 501", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const client = yield* connectRaw(server.port)
      yield* client.send(request("FROBNICATE", server.url("a")))
      assert.include(yield* client.received(/\r\n\r\n/), "501")
    })
  )

  const hostile: ReadonlyArray<readonly [what: string, bytes: Buffer]> = [
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: h\r\n\r\n")],
    ["TLS", Buffer.from("160301020001000000fc0303", "hex")],
    ["zeros", Buffer.alloc(1000)],
    ["an endless head", Buffer.from(`OPTIONS rtsp://h/ RTSP/1.0\r\n${"A: b\r\n".repeat(6000)}`)],
    [
      "a body of gigabytes",
      Buffer.from("OPTIONS rtsp://h/ RTSP/1.0\r\nContent-Length: 4000000000\r\n\r\n")
    ]
  ]
  for (const [what, bytes] of hostile) {
    it.live(`rejects a client that sends ${what}, and keeps running`, () =>
      Effect.gen(function* () {
        const server = yield* RtspServer.make()
        const client = yield* connectRaw(server.port)
        yield* client.send(bytes)
        assert.include(yield* client.closed, "400")
        const other = yield* connectRaw(server.port)
        yield* other.send(request("OPTIONS", server.url("a")))
        yield* other.received(/200 OK/)
      })
    )
  }

  it.live("serves many paths from one publisher", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        resolve: (path) => (path.startsWith("cam/realmonitor?channel=") ? "pattern" : path)
      })
      yield* TestPattern.publish(server, "pattern")
      const client = yield* connectRaw(server.port)
      const url = server.url("cam/realmonitor?channel=7&subtype=0")
      yield* client.send(request("DESCRIBE", url))
      assert.include(yield* client.received(/m=video/), `Content-Base: ${url}/`)
      yield* client.send(
        request("SETUP", `${url}/trackID=0`, ["Transport: RTP/AVP/TCP;interleaved=0-1"])
      )
      const answers = yield* client.received(/Session: \w+/)
      const session = /Session: (\w+)/.exec(answers)?.[1] ?? ""
      yield* client.send(request("PLAY", `${url}/`, [`Session: ${session}`]))
      yield* server.awaitReaders("cam/realmonitor?channel=7&subtype=0", 1)
      yield* client.received(/\$\0[^]\S?/)
    })
  )

  it.effect("drops frames for a reader that does not read, and limits unsent bytes", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ readerBufferBytes: 100_000 })
      const pattern = yield* TestPattern.publish(server, "a", { frameRate: 1, keyframeEvery: 1 })
      const client = yield* connectRaw(server.port)
      yield* client.send(
        request("SETUP", `${server.url("a")}/trackID=0`, ["Transport: RTP/AVP/TCP;interleaved=0-1"])
      )
      const answers = yield* client.received(/Session: \w+/)
      const session = /Session: (\w+)/.exec(answers)?.[1] ?? ""
      yield* Effect.sync(() => client.socket.pause())
      yield* client.send(request("PLAY", server.url("a"), [`Session: ${session}`]))
      yield* server.awaitReaders("a", 1)
      const packet = Buffer.concat([
        Buffer.from([0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x65, 0x88]),
        Buffer.alloc(60_000)
      ])
      // the kernel buffers some megabytes; further frames are dropped
      let dropped = 0
      for (let i = 0; i < 2_000 && dropped === 0; i++) {
        pattern.writeRtp(0, packet)
        if (i % 20 === 0) {
          yield* Effect.yieldNow
          dropped = (yield* server.path("a"))?.readers[0]?.dropped ?? 0
        }
      }
      assert.isAbove(dropped, 0)
    })
  )

  it.effect("ends a session without a request within its timeout, if configured", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        settings: () => ({ quirks: { sessionTimeoutSeconds: 5, enforcesTimeout: true } })
      })
      yield* TestPattern.publish(server, "a")
      const events = yield* server.events
      const client = yield* connectRaw(server.port)
      yield* client.send(
        request("SETUP", `${server.url("a")}/trackID=0`, ["Transport: RTP/AVP/TCP;interleaved=0-1"])
      )
      assert.include(yield* client.received(/Session: \w+.*\r\n\r\n/), ";timeout=5")
      yield* TestClock.adjust("4 seconds")
      yield* client.send(request("GET_PARAMETER", server.url("a")))
      yield* nextRequest(events, "GET_PARAMETER")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* server.connections, 1)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* next(events, "Ended"), { why: "the session timed out" })
      yield* client.closed
    })
  )

  it.effect("accepts an in-process publisher, until another replaces it", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const first = yield* server.publish("a", h264)
      assert.isTrue(first.isPublishing())
      const second = yield* server.publish("a", h264)
      assert.isFalse(first.isPublishing())
      first.writeRtp(0, Buffer.alloc(20))
      assert.strictEqual((yield* server.path("a"))?.packets, 0)
      second.writeRtp(0, Buffer.alloc(20))
      assert.strictEqual((yield* server.path("a"))?.packets, 1)
      const error = yield* Effect.flip(server.publish("b", "nonsense"))
      assert.strictEqual(error.reason._tag, "BadDescription")
    })
  )

  it.effect("rejects an in-process publisher if the path is taken", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ overridePublisher: "reject" })
      yield* server.publish("a", h264)
      const error = yield* Effect.flip(server.publish("a", h264))
      assert.strictEqual(error.reason._tag, "PathTaken")
    })
  )

  it.effect("emits events only to earlier subscribers", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      yield* server.publish("a", h264)
      const events = yield* server.events
      assert.strictEqual(yield* PubSub.remaining(events), 0)
    })
  )
})
