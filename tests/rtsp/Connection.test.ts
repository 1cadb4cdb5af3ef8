import { assert, describe, it } from "@effect/vitest"
import { createHash, X509Certificate } from "node:crypto"
import { Cause, Deferred, Effect, Exit, Fiber, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import {
  type Authentication,
  ReaderSession,
  Connection,
  InterleavedFrame,
  Message,
  Redirect
} from "@restream/core/rtsp"
import { HostResolver } from "@restream/core"
import { type Quirks, RtspServer, TestPattern } from "@restream/core/testing"
import { certificate, key } from "./Certificate.ts"
import { createServer as createSecureServer, type SecureVersion, type Server } from "node:tls"
import { scripted } from "../kit/ScriptedServer.ts"
import { nextRequest } from "./Events.ts"
import { cameraWith, play, url, watch, publishable } from "./LiveCamera.ts"
import { skipped } from "./Peers.ts"

const connect = (
  port: number,
  options: Partial<Connection.Peer & Connection.ConnectionOptions> = {}
) => Connection.make({ host: "127.0.0.1", port, ...options }, options)

const resolving = (resolve: HostResolver.HostResolver["resolve"]) =>
  Effect.provideService(HostResolver.HostResolver, { resolve })

/** Every host name has these addresses. */
const at = (...addresses: ReadonlyArray<string>) => resolving(() => Effect.succeed(addresses))

const options = { method: "OPTIONS", uri: "rtsp://h/" } as const

const user = (username: string, password: string): Authentication.Credentials => ({
  username,
  password: Redacted.make(password)
})

describe("Connection", () => {
  it.live("matches responses to requests by CSeq, in any order", () =>
    Effect.gen(function* () {
      const held: Array<string> = []
      const { port } = yield* scripted((_, socket, exchange) => {
        held.push(exchange)
        if (held.length < 2) return
        for (const number of held.toReversed()) {
          socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${number}\r\nEcho: ${number}\r\n\r\n`)
        }
      })
      const connection = yield* connect(port)
      const answers = yield* Effect.all(
        [connection.request(options), connection.request(options)],
        {
          concurrency: 2
        }
      )
      assert.deepStrictEqual(
        answers.map((answer) => Message.header(answer, "echo")),
        ["1", "2"]
      )
    })
  )

  it.live("matches a response without a known CSeq to the oldest request", () =>
    Effect.gen(function* () {
      const numbers = ["", "CSeq: 0\r\n", "CSeq: 4711\r\n", "CSeq: x\r\n"]
      const { port } = yield* scripted((_, socket) => {
        socket.write(`RTSP/1.0 200 OK\r\n${numbers.shift() ?? ""}\r\n`)
      })
      const connection = yield* connect(port)
      for (let i = 0; i < 4; i++) {
        assert.strictEqual((yield* connection.request(options)).status, 200)
      }
    })
  )

  it.effect("does not match a late response to a later request", () =>
    Effect.gen(function* () {
      const held: Array<() => void> = []
      const asked = yield* Deferred.make<void>()
      const { port } = yield* scripted((_, socket, exchange) => {
        const answer = () =>
          socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\nEcho: ${exchange}\r\n\r\n`)
        if (exchange === "1") {
          held.push(answer)
          Deferred.doneUnsafe(asked, Effect.void)
        } else {
          held.forEach((late) => late())
          answer()
        }
      })
      const connection = yield* connect(port)
      const first = yield* Effect.forkChild(Effect.flip(connection.request(options)))
      yield* Deferred.await(asked)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(first)).reason._tag, "TimedOut")
      const second = yield* connection.request(options)
      assert.strictEqual(Message.header(second, "echo"), "2")
    })
  )

  it.live("ignores provisional responses", () =>
    Effect.gen(function* () {
      const { port } = yield* scripted((_, socket, exchange) => {
        socket.write(`RTSP/1.0 100 Continue\r\nCSeq: ${exchange}\r\n\r\n`)
        socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\n\r\n`)
      })
      const connection = yield* connect(port)
      assert.strictEqual((yield* connection.exchange(options)).status, 200)
    })
  )

  it.live("fails all pending and later requests when the connection closes", () =>
    Effect.gen(function* () {
      const { port } = yield* scripted((_, socket) => void socket.destroy())
      const connection = yield* connect(port)
      const { reason } = yield* Effect.flip(connection.request(options))
      assert.deepInclude(reason, { _tag: "Closed", request: "OPTIONS" })
      assert.deepStrictEqual((yield* Effect.flip(connection.closed)).reason, reason)
      assert.deepStrictEqual((yield* Effect.flip(connection.request(options))).reason, reason)
      assert.isFalse(connection.write(Buffer.from("x")))
    })
  )

  it.live("responds to OPTIONS and GET_PARAMETER from the peer, and rejects other requests", () =>
    Effect.gen(function* () {
      const answers = yield* Deferred.make<string>()
      let text = ""
      const { port } = yield* scripted((_, socket, exchange) => {
        socket.on("data", (chunk: Buffer) => {
          text += chunk.toString("latin1")
          if (text.split("\r\n\r\n").length === 4)
            Deferred.doneUnsafe(answers, Effect.succeed(text))
        })
        socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\n\r\n`)
        socket.write("OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n")
        socket.write("GET_PARAMETER * RTSP/1.0\r\ncseq: 8\r\n\r\n")
        socket.write("ANNOUNCE * RTSP/1.0\r\nCSeq: 9\r\n\r\n")
      })
      const connection = yield* connect(port)
      yield* connection.request(options)
      const said = yield* Deferred.await(answers)
      assert.match(said, /200 OK\r\nCSeq: 7[^]*200 OK\r\nCSeq: 8[^]*501 Not Implemented\r\nCSeq: 9/)
    })
  )

  it.live("does not respond to requests if answersRequests is false", () =>
    Effect.gen(function* () {
      let text = ""
      const asked = yield* Deferred.make<void>()
      const { port } = yield* scripted((request, socket, exchange) => {
        text += request
        socket.write("OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n")
        socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\n\r\n`)
        if (exchange === "2") Deferred.doneUnsafe(asked, Effect.void)
      })
      const connection = yield* connect(port, { answersRequests: false })
      yield* connection.request(options)
      yield* connection.request(options)
      yield* Deferred.await(asked)
      assert.notInclude(text, "CSeq: 7")
    })
  )

  it.live.each([
    ["HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP instead of RTSP"],
    [
      "SSH-2.0-OpenSSH_9.6p1 Debian-3\r\n",
      'not RTSP: the response begins with "SSH-2.0-OpenSSH_9.6p1 Debian-3"'
    ],
    ["\x00\x01\x02\x03\xff\xfe\xfd\xfc\r\n", "not RTSP: unexpected binary data"]
  ] as const)("fails at once on a response that is not RTSP: %j", ([response, detail]) =>
    Effect.gen(function* () {
      const { port } = yield* scripted((_, socket) => void socket.write(response, "latin1"))
      const connection = yield* connect(port)
      const { reason } = yield* Effect.flip(connection.request(options))
      assert.deepInclude(reason, { _tag: "ProtocolError", detail })
    })
  )

  it.live("skips garbage between frames, even if it starts like a message", () =>
    Effect.gen(function* () {
      const frame = InterleavedFrame.make(0, Buffer.alloc(20, 0x80))
      const { port } = yield* scripted((_, socket, exchange) => {
        socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\n\r\n`)
        socket.write(frame)
        socket.write("RTSP/1.0 what\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n")
        socket.write(frame)
      })
      const connection = yield* connect(port)
      let frames = 0
      const both = yield* Deferred.make<void>()
      connection.setFrameHandler({
        frames: (bytes, start, end) => {
          for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) frames++
          if (frames === 2) Deferred.doneUnsafe(both, Effect.void)
        }
      })
      yield* connection.request(options)
      yield* Deferred.await(both)
      assert.isFalse(connection.isClosed)
      assert.isAbove(connection.garbage, 0)
    })
  )

  for (const [what, mediaBytes] of [
    ["ends with too much between frames that is no media", 1000],
    ["goes on with as much between frames that are media enough", 1_000_000]
  ] as const) {
    // in virtual time: time alone allows for more, too
    it.effect(what, () =>
      Effect.gen(function* () {
        const frame = InterleavedFrame.make(0, Buffer.alloc(1000, 0x80))
        const { port } = yield* scripted((_, socket, exchange) => {
          socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\n\r\n`)
          for (let part = 0; part < 3; part++) {
            socket.write(Buffer.alloc(800_000, "\r\n"))
            for (let sent = 0; sent < mediaBytes; sent += 1000) socket.write(frame)
          }
        })
        const connection = yield* connect(port)
        let frames = 0
        const all = yield* Deferred.make<void>()
        connection.setFrameHandler({
          frames: (bytes, start, end) => {
            for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) frames++
            if (frames === (3 * mediaBytes) / 1000) Deferred.doneUnsafe(all, Effect.void)
          }
        })
        yield* connection.request(options)
        const isOpen = yield* Effect.raceFirst(
          Effect.as(Deferred.await(all), true),
          Effect.catch(connection.closed, ({ reason }) =>
            Effect.as(
              Effect.sync(() => assert.strictEqual(reason._tag, "ProtocolError")),
              false
            )
          )
        )
        assert.strictEqual(isOpen, mediaBytes > 1000)
      })
    )
  }

  it.live("ends with a defect of its frame handler, without an effect on other connections", () =>
    Effect.gen(function* () {
      const { port } = yield* scripted((_, socket, exchange) => {
        socket.write(InterleavedFrame.make(0, Buffer.alloc(20, 0x80)))
        socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\n\r\n`)
      })
      const good = yield* connect(port)
      const bad = yield* connect(port)
      bad.setFrameHandler({
        frames: () => {
          throw new Error("a fault")
        }
      })
      const exits = yield* Effect.all([Effect.exit(bad.exchange(options)), Effect.exit(bad.closed)])
      for (const exit of exits) assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.isTrue(bad.isClosed)
      assert.strictEqual((yield* good.request(options)).status, 200)
    })
  )

  it.live("redacts the reason phrase", () =>
    Effect.gen(function* () {
      const { port } = yield* scripted(
        (_, socket, exchange) =>
          void socket.write(`RTSP/1.0 454 no rtsp://a:geheim@h/\x9b2J\r\nCSeq: ${exchange}\r\n\r\n`)
      )
      const connection = yield* connect(port)
      const { message } = yield* Effect.flip(connection.request(options))
      assert.strictEqual(message, "OPTIONS was rejected with 454 no rtsp://***@h/\\x9b2J")
    })
  )

  for (const sharedBuffer of [false, true]) {
    it.live(
      `plays from ${sharedBuffer ? "shared memory" : "its own memory"}, and marks the buffer so`,
      () =>
        Effect.gen(function* () {
          const server = yield* cameraWith({})
          const session = yield* ReaderSession.open({ url: url(server.url("cam")), sharedBuffer })
          yield* session.setup(publishable(session))
          const reuse = new Set<boolean>()
          let flushes = 0
          const enough = yield* Deferred.make<void>()
          let frames = 0
          yield* session.play({
            frames: (bytes, start, end, reused) => {
              reuse.add(reused)
              for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) frames++
              if (frames > 200) Deferred.doneUnsafe(enough, Effect.void)
            },
            flush: () => {
              flushes++
            }
          })
          yield* Deferred.await(enough)
          assert.strictEqual(reuse.has(true), sharedBuffer)
          assert.isAbove(flushes, 0)
          assert.strictEqual(session.connection.garbage, 0)
          assert.isAbove(session.connection.received, 200 * 12)
        })
    )

    it.live(
      `stops reading while it is paused${sharedBuffer ? ", out of shared memory, too" : ""}`,
      () =>
        Effect.gen(function* () {
          const server = yield* cameraWith({}, { readerBufferBytes: 300_000 })
          const { session, watched } = yield* play({ url: url(server.url("cam")), sharedBuffer })
          yield* watched.first(0)
          session.connection.pause()
          // frames that were already read may still be passed
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          const { received } = session.connection
          const before = (yield* server.path("cam"))?.packets ?? 0
          yield* Effect.repeat(server.path("cam").pipe(Effect.delay("20 millis")), {
            until: (status) => (status?.packets ?? 0) > before + 60
          })
          assert.strictEqual(session.connection.received, received)
          const later = watch(session.trackByChannel)
          session.connection.setFrameHandler(later.handler)
          session.connection.resume()
          yield* later.first(0)
        })
    )

    it.live(
      `notices the other side's end${sharedBuffer ? ", reading into shared memory" : ""}`,
      () =>
        Effect.gen(function* () {
          const server = yield* cameraWith({})
          const { session, watched } = yield* play({ url: url(server.url("cam")), sharedBuffer })
          yield* watched.first(0)
          yield* server.kick("cam")
          assert.deepInclude((yield* Effect.flip(session.closed)).reason, {
            _tag: "Closed",
            phase: "streaming"
          })
        })
    )
  }

  it.live("reports unsent bytes, and when they are sent", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* scripted(() => {})
      const connection = yield* connect(port)
      yield* Effect.repeat(Effect.sync(() => sockets.size).pipe(Effect.delay("5 millis")), {
        until: (size) => size === 1
      })
      for (const socket of sockets) socket.pause()
      const drained = yield* Deferred.make<void>()
      connection.onDrain(() => Deferred.doneUnsafe(drained, Effect.void))
      const chunk = Buffer.alloc(1_000_000)
      let writes = 0
      while (connection.write(chunk) && writes < 200) {
        writes++
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      assert.isAbove(connection.unsent, 0)
      for (const socket of sockets) socket.resume()
      yield* Deferred.await(drained)
      assert.strictEqual(connection.unsent, 0)
    })
  )
})

describe("Connection, connecting", () => {
  it.live("fails with Refused if nothing listens", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(Effect.map(RtspServer.make(), (server) => server.port))
      const { reason } = yield* Effect.flip(connect(port))
      assert.deepInclude(reason, { _tag: "Refused", authority: `127.0.0.1:${port}` })
    })
  )

  it.live("fails with DnsError for a name without an address", () =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(connect(554, { host: "camera.invalid" }))
      assert.deepInclude(reason, { _tag: "DnsError", host: "camera.invalid" })
    })
  )

  it.live("connects to an IPv6 address", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ host: "::1" })
      yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 1 })
      assert.match(server.url("cam"), /^rtsp:\/\/\[::1\]:\d+\/cam$/)
      const { watched } = yield* play({ url: url(server.url("cam")) })
      yield* watched.first(0)
    }).pipe(
      Effect.catchIf(
        (error) => error._tag === "RtspServerError",
        () => Effect.sync(() => skipped("dialling an IPv6 address", "this machine has none"))
      )
    )
  )

  it.live("uses the first address that connects", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const connection = yield* connect(server.port, { host: "cam" }).pipe(
        at("127.0.0.2", "::1", "127.0.0.1")
      )
      assert.strictEqual((yield* connection.request(options)).status, 200)
      assert.strictEqual(yield* server.connections, 1)
    })
  )

  it.live("fails with the most specific error if no address connects", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(Effect.map(RtspServer.make(), (server) => server.port))
      const { reason } = yield* Effect.flip(
        connect(port, { host: "cam" }).pipe(at("127.0.0.3", "127.0.0.4"))
      )
      assert.strictEqual(reason._tag, "Refused")
    })
  )

  it.effect("times out while resolving a name", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        Effect.flip(
          connect(554, { host: "cam" }).pipe(
            resolving(() => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never))
          )
        )
      )
      yield* Deferred.await(asked)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude((yield* Fiber.join(fiber)).reason, {
        _tag: "DnsError",
        why: "NoAnswer"
      })
    })
  )
})

describe("Connection, authenticating", () => {
  const guarded = (
    authentication: Partial<import("@restream/core/testing").ServerAuthentication>,
    quirks: Quirks = {}
  ) =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: {
          username: "admin",
          password: Redacted.make("p@ss:w/ö"),
          ...authentication
        },
        settings: () => ({ quirks })
      })
      yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 1 })
      return server
    })

  const camera = (server: RtspServer["Service"], userInfo: string) =>
    url(server.url("cam").replace("rtsp://", `rtsp://${userInfo}@`))

  const right = "admin:p%40ss%3Aw%2F%C3%B6"

  const schemes: ReadonlyArray<Partial<import("@restream/core/testing").ServerAuthentication>> = [
    { schemes: ["basic"] },
    { schemes: ["md5"] },
    { schemes: ["md5"], qop: "auth", opaque: "x,y" },
    { schemes: ["sha512-256"] },
    { schemes: ["sha512-256"], qop: "auth" },
    { schemes: ["sha256"] },
    { schemes: ["sha256"], qop: "auth" },
    { schemes: ["basic", "md5", "sha256"] },
    { schemes: ["md5"], realm: 'Cam, "Nord" \\ 2' }
  ]
  for (const scheme of schemes) {
    it.live(`authenticates with ${JSON.stringify(scheme)}, without a failed attempt`, () =>
      Effect.gen(function* () {
        const server = yield* guarded(scheme)
        const { watched } = yield* play({ url: camera(server, right) })
        yield* watched.first(0)
        assert.strictEqual(yield* server.authenticationFailures, 0)
      })
    )

    it.live(`tries a wrong password only once with ${JSON.stringify(scheme)}`, () =>
      Effect.gen(function* () {
        const server = yield* guarded(scheme)
        const { reason } = yield* Effect.flip(play({ url: camera(server, "admin:wrong") }))
        assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "wrong" })
        assert.strictEqual(yield* server.authenticationFailures, 1)
      })
    )
  }

  it.live("fails with Unauthorized if the password is missing", () =>
    Effect.gen(function* () {
      const server = yield* guarded({})
      const { reason } = yield* Effect.flip(play({ url: url(server.url("cam")) }))
      assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "missing" })
      assert.strictEqual(yield* server.authenticationFailures, 0)
    })
  )

  it.live("tries a correct password only once if the camera rejects it", () =>
    Effect.gen(function* () {
      const server = yield* guarded({}, { alwaysUnauthorized: true, freshNonces: true })
      const { reason } = yield* Effect.flip(play({ url: camera(server, right) }))
      assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "wrong" })
      assert.strictEqual(yield* server.authenticationFailures, 1)
    })
  )

  it.live("responds to a challenge to OPTIONS", () =>
    Effect.gen(function* () {
      const server = yield* guarded({}, { authenticatesOptions: true })
      const { watched } = yield* play({ url: camera(server, right) })
      yield* watched.first(0)
    })
  )

  for (const sendsStale of [false, true]) {
    it.live(`responds to each new nonce once, with stale=true sent: ${sendsStale}`, () =>
      Effect.gen(function* () {
        const server = yield* guarded({ qop: "auth" }, { freshNonces: true, sendsStale })
        const events = yield* server.events
        const { watched } = yield* play({ url: camera(server, right) })
        yield* watched.first(0)
        assert.strictEqual(yield* server.authenticationFailures, 0)
        // every request is rejected first, and accepted with the new nonce
        for (const method of ["DESCRIBE", "SETUP", "PLAY"]) {
          assert.strictEqual((yield* nextRequest(events, method)).status, 401)
          assert.strictEqual((yield* nextRequest(events, method)).status, 200)
        }
      })
    )
  }

  it.live.each([
    ["goes on with its nonce", {}, 1],
    ["gives a new nonce each time", { freshNonces: true }, 2]
  ] as const)(
    "does not repeat a password that was changed during a session, if the camera %s",
    ([, quirks, attempts]) =>
      Effect.gen(function* () {
        const server = yield* guarded({}, quirks)
        const { session, watched } = yield* play({ url: camera(server, right) })
        yield* watched.first(0)
        yield* server.configure("cam", {
          authentication: { username: "admin", password: Redacted.make("another") },
          quirks
        })
        for (let i = 0; i < 4; i++) yield* session.keepAlive
        // the rejection of a new nonce may concern only the nonce: worth one more attempt
        assert.strictEqual(yield* server.authenticationFailures, attempts)
        assert.isFalse(session.connection.isClosed)
      })
  )

  const challenged = (...challenges: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      let requests = 0
      const { port } = yield* scripted((_, socket, exchange) => {
        requests++
        const headers = challenges.map((challenge) => `WWW-Authenticate: ${challenge}\r\n`).join("")
        socket.write(`RTSP/1.0 401 Unauthorized\r\nCSeq: ${exchange}\r\n${headers}\r\n`)
      })
      const connection = yield* connect(port, { credentials: user("a", "b") })
      const { reason } = yield* Effect.flip(connection.request(options))
      return { reason, requests }
    })

  it.live("sends no password for an unsupported challenge", () =>
    Effect.gen(function* () {
      const { reason, requests } = yield* challenged(
        "Negotiate",
        'Digest realm="r", nonce="n", algorithm=SHA3'
      )
      assert.deepInclude({ ...reason }, { _tag: "Unauthorized", credentials: "unsupported" })
      assert.strictEqual(
        reason.message,
        "the camera requires the authentication scheme Negotiate or the Digest algorithm SHA3, which is not supported"
      )
      assert.strictEqual(requests, 1)
    })
  )

  it.live("gives up on a server that calls every nonce stale", () =>
    Effect.gen(function* () {
      let nonce = 0
      let requests = 0
      const { port } = yield* scripted((_, socket, exchange) => {
        requests++
        socket.write(
          `RTSP/1.0 401 Unauthorized\r\nCSeq: ${exchange}\r\nWWW-Authenticate: Digest realm="r", nonce="${++nonce}", stale=true\r\n\r\n`
        )
      })
      const connection = yield* connect(port, { credentials: user("a", "b") })
      const { reason } = yield* Effect.flip(connection.request(options))
      // the attempts may lock the account
      assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "wrong" })
      assert.strictEqual(requests, 3)
      // later requests do not carry the password
      yield* Effect.flip(connection.request(options))
      assert.strictEqual(requests, 4)
    })
  )

  it.live("treats a 401 without a challenge as a wrong password", () =>
    Effect.gen(function* () {
      const { reason, requests } = yield* challenged()
      assert.deepInclude(reason, { _tag: "Unauthorized", credentials: "wrong" })
      assert.strictEqual(requests, 1)
    })
  )
})

describe("Connection, following redirects", () => {
  it.live("follows a redirect, with the password", () =>
    Effect.gen(function* () {
      const target = yield* RtspServer.make({
        authentication: { username: "a", password: Redacted.make("b%c") }
      })
      yield* TestPattern.publish(target, "there", { frameRate: 25, keyframeEvery: 1 })
      const first = yield* cameraWith({ redirect: target.url("there?x=1") })
      const { session, watched } = yield* play({
        url: url(first.url("cam").replace("rtsp://", "rtsp://a:b%25c@"))
      })
      yield* watched.first(0)
      assert.strictEqual(session.url.effectivePort, target.port)
      assert.strictEqual(yield* first.connections, 0)
    })
  )

  it.live("gives up after three redirects", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({ redirect: "/cam" })
      const events = yield* server.events
      const { reason } = yield* Effect.flip(play({ url: url(server.url("cam")) }))
      assert.deepInclude(reason, { _tag: "ProtocolError", detail: "too many redirects" })
      for (let i = 0; i < 4; i++) yield* nextRequest(events, "DESCRIBE")
      yield* server.awaitConnections(0)
    })
  )

  const sdp = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"

  /** A device that asks for a password, and all its requests. */
  const asking = Effect.fnUntraced(function* (challenges: ReadonlyArray<string>) {
    const requests: Array<string> = []
    const { port } = yield* scripted((request, socket, exchange) => {
      requests.push(request)
      socket.write(
        request.includes("Authorization: ")
          ? `RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`
          : `RTSP/1.0 401 no\r\nCSeq: ${exchange}\r\n${challenges
              .map((challenge) => `WWW-Authenticate: ${challenge}\r\n`)
              .join("")}\r\n`
      )
    })
    return { port, requests }
  })

  const basic = 'Basic realm="r"'
  const digest = 'Digest realm="r", nonce="n"'
  /** What the device at the end of the redirects gets of `rtsp://a:geheim@cam.test/`. */
  const destinations: ReadonlyArray<
    readonly [
      where: string,
      hosts: ReadonlyArray<string>,
      challenges: ReadonlyArray<string>,
      sent: string | undefined
    ]
  > = [
    ["the same host", ["cam.test"], [basic], "Basic YTpnZWhlaW0="],
    ["the same host in capitals", ["CAM.test"], [basic], "Basic YTpnZWhlaW0="],
    ["another host", ["other.test"], [basic], undefined],
    ["another host that accepts Digest, too", ["other.test"], [basic, digest], "Digest"],
    ["a third host", ["other.test", "third.test"], [basic], undefined],
    ["the same host, by another one", ["other.test", "cam.test"], [basic], "Basic YTpnZWhlaW0="],
    ["another host with credentials of its own", ["b:c@other.test"], [basic], "Basic Yjpj"]
  ]
  it.live.each(destinations)(
    "sends the password to %s only where it stays secret",
    ([, hosts, challenges, sent]) =>
      Effect.gen(function* () {
        const { port, requests } = yield* asking(challenges)
        let next = `${hosts.at(-1)}:${port}`
        for (const host of [...hosts.slice(0, -1).toReversed(), "cam.test"]) {
          const { port } = yield* cameraWith({ redirect: `rtsp://${next}/cam` })
          next = `${host}:${port}`
        }
        const opening = ReaderSession.open({
          url: url(`rtsp://a:geheim@${next}/cam`)
        }).pipe(at("127.0.0.1"))
        const authorization = () => /Authorization: (.*)/.exec(requests.join("\n"))?.[1] ?? ""
        if (sent === undefined) {
          const { message, reason } = yield* Effect.flip(opening)
          assert.strictEqual(reason._tag, "RedirectRefused")
          assert.include(message, `redirect to ${hosts.at(-1)}:${port} not followed: another host`)
          assert.strictEqual(authorization(), "")
        } else {
          yield* opening
          assert.include(authorization(), sent)
        }
      })
  )

  it.live("sends the password to another host that asks for it by an encrypted connection", () =>
    Effect.gen(function* () {
      const target = yield* RtspServer.make({
        tls: { certificate, key },
        authentication: {
          username: "a",
          password: Redacted.make("geheim"),
          schemes: ["basic"]
        }
      })
      yield* TestPattern.publish(target, "cam")
      const there = target.url("cam").replace("127.0.0.1", "localhost")
      const first = yield* cameraWith({ redirect: there })
      yield* ReaderSession.open({
        url: url(first.url("cam").replace("://", "://a:geheim@")),
        trust: { _tag: "Insecure" }
      })
    })
  )

  const follow = (from: string, location: string | undefined) =>
    Redirect.follow({ url: url(from), credentialsHost: url(from).host }, location).pipe(
      Result.match({
        onSuccess: (to) =>
          `${to.url.credentials?.username ?? ""} of ${to.credentialsHost} ${Redacted.value(to.url.withoutUserInfo)}`,
        onFailure: ({ reason }) => reason._tag
      })
    )

  it("keeps the credentials, unless the new URL has its own", () => {
    assert.strictEqual(follow("rtsp://u:p@h/a", "rtsp://i:554/b?c"), "u of h rtsp://i:554/b?c")
    assert.strictEqual(follow("rtsp://u:p@h/a", "rtsp://v:q@i/b"), "v of i rtsp://i/b")
    assert.strictEqual(follow("rtsp://u:p@h:1/a", "/b"), "u of h rtsp://h:1/b")
    assert.strictEqual(follow("rtsp://h/a", "rtsps://i/b"), " of i rtsps://i/b")
  })

  it("rejects redirects from rtsps to rtsp, to other protocols, and without a URL", () => {
    assert.strictEqual(follow("rtsps://u:p@h/a", "rtsp://h/a"), "RedirectRefused")
    assert.strictEqual(follow("rtsp://h/a", "http://h/a"), "RedirectRefused")
    assert.strictEqual(follow("rtsp://h/a", undefined), "ProtocolError")
    assert.strictEqual(follow("rtsp://h/a", "rtsp://"), "ProtocolError")
  })
})

describe("Connection, with TLS", () => {
  const secured = Effect.gen(function* () {
    const server = yield* RtspServer.make({ tls: { certificate, key } })
    yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 1 })
    return server
  })
  const fingerprint = new X509Certificate(certificate).fingerprint256

  it.live("plays a camera whose certificate is signed by a known authority", () =>
    Effect.gen(function* () {
      const server = yield* secured
      const { watched } = yield* play({
        url: url(server.url("cam")),
        trust: { _tag: "Verify", ca: certificate },
        sharedBuffer: true
      })
      yield* watched.first(0)
    })
  )

  it.live("plays a camera whose certificate has the configured fingerprint, in any notation", () =>
    Effect.gen(function* () {
      const server = yield* secured
      for (const sha256 of [fingerprint, fingerprint.replaceAll(":", "").toLowerCase()]) {
        const { watched } = yield* play({
          url: url(server.url("cam")),
          trust: { _tag: "Fingerprint", sha256 }
        })
        yield* watched.first(0)
      }
    })
  )

  it.live("plays any camera if certificates are not verified", () =>
    Effect.gen(function* () {
      const server = yield* secured
      const { watched } = yield* play({ url: url(server.url("cam")), trust: { _tag: "Insecure" } })
      yield* watched.first(0)
    })
  )

  /** A device that speaks these versions of TLS only, and what it was sent. */
  const speaking = (version: SecureVersion) =>
    Effect.acquireRelease(
      Effect.callback<{ port: number; received: Array<string>; server: Server }>((resume) => {
        const received: Array<string> = []
        const server = createSecureServer(
          {
            cert: certificate,
            key,
            minVersion: "TLSv1",
            maxVersion: version,
            ciphers: "DEFAULT@SECLEVEL=0"
          },
          (socket) => {
            socket.on("error", () => {})
            socket.on("data", (chunk: Buffer) => {
              received.push(chunk.toString())
              const exchange = /CSeq: (\d+)/.exec(chunk.toString())?.[1]
              socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\n\r\n`)
            })
          }
        )
        server.on("tlsClientError", () => {})
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({ port, received, server }))
        })
      }),
      ({ server }) => Effect.sync(() => server.close())
    )

  it.live.each([
    ["TLSv1", "TLS 1.0"],
    ["TLSv1.1", "TLS 1.1"]
  ] as const)(
    "names the fingerprint of a device that supports only %s, and accepts it",
    ([version, name]) =>
      Effect.gen(function* () {
        const { port, received } = yield* speaking(version)
        for (const trust of [{ _tag: "Verify" }, { _tag: "Verify", ca: certificate }] as const) {
          const { message, reason } = yield* Effect.flip(connect(port, { tls: trust }))
          assert.deepInclude(reason, { _tag: "CertificateError", fingerprint })
          assert.strictEqual(
            message,
            `certificate not trusted: the device supports ${name} only, which is not secure; to accept it, set fingerprint to ${fingerprint}`
          )
        }
        assert.deepStrictEqual(received, [])
        for (const trust of [
          { _tag: "Fingerprint", sha256: fingerprint },
          { _tag: "Insecure" }
        ] as const) {
          const connection = yield* connect(port, { tls: trust })
          assert.strictEqual((yield* connection.request(options)).status, 200)
        }
      })
  )

  it.live("reports a device that does not support TLS", () =>
    Effect.gen(function* () {
      const { port } = yield* scripted(() => {})
      const server = yield* RtspServer.make()
      for (const plain of [server.port, port]) {
        const { reason } = yield* Effect.flip(
          connect(plain, { tls: { _tag: "Verify" }, connectTimeout: "1 second" })
        )
        assert.include(["ProtocolError", "Closed", "TimedOut"], reason._tag)
      }
    })
  )

  it.live("rejects an unknown authority, another host name, and another fingerprint", () =>
    Effect.gen(function* () {
      const server = yield* secured
      const reasonFor = (
        trust: import("@restream/core/rtsp").Dialer.Trust | undefined,
        address: string
      ) =>
        Effect.map(
          Effect.flip(play({ url: url(address), trust }).pipe(at("127.0.0.1"))),
          ({ reason }) => reason
        )
      assert.deepInclude(yield* reasonFor(undefined, server.url("cam")), {
        _tag: "CertificateError",
        detail: "self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)",
        fingerprint
      })
      assert.deepInclude(
        yield* reasonFor(
          { _tag: "Verify", ca: certificate },
          server.url("cam").replace("127.0.0.1", "camera.example")
        ),
        {
          _tag: "CertificateError",
          detail: "issued for another host (ERR_TLS_CERT_ALTNAME_INVALID)"
        }
      )
      assert.deepInclude(
        yield* reasonFor(
          { _tag: "Fingerprint", sha256: createHash("sha256").update("other").digest("hex") },
          server.url("cam")
        ),
        { _tag: "CertificateError", detail: "another fingerprint", fingerprint }
      )
      yield* server.awaitConnections(0)
    })
  )

  it.live("fails with ProtocolError if the server does not support TLS", () =>
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      const { reason } = yield* Effect.flip(
        play({
          url: url(server.url("cam").replace("rtsp:", "rtsps:")),
          trust: { _tag: "Insecure" }
        })
      )
      assert.strictEqual(reason._tag, "ProtocolError")
    })
  )
})
