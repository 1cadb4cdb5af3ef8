/** How the native engine finds its peers, and whom it trusts, seen through its own door. */
import { assert, describe, it } from "@effect/vitest"
import {
  anyServer,
  type CameraOptions,
  type DestinationServer,
  HostResolver,
  NativeEngine,
  rtspCheck
} from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Fiber, PubSub, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { X509Certificate } from "node:crypto"
import { networkInterfaces } from "node:os"
import { connect, type Socket } from "node:net"
import { skipped } from "../../rtsp/Peers.ts"
import { certificate, key } from "../../rtsp/Certificate.ts"
import { hasIpv6 } from "../../kit/Ipv6.ts"
import { scripted } from "../../kit/ScriptedServer.ts"
import { start } from "../../kit/Spawn.ts"
import { camera as cameraOf, job, probe, startRelay, urlOf } from "../Streams.ts"

const engine = (more: Partial<NativeEngine.NativeEngineOptions> = {}) => NativeEngine.make(more)

const living = { frameRate: 25, keyframeEvery: 1 }

/** A camera at `cam`, which may be the media server as well. */
const peer = Effect.fnUntraced(function* (more: Parameters<typeof RtspServer.make>[0] = {}) {
  const server = yield* RtspServer.make(more)
  yield* TestPattern.publish(server, "cam", living)
  return server
})

const reasonOf = <A, E extends { readonly reason: unknown }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => ({ ...(reason as object) }))

describe.concurrent("the native engine, with TLS,", () => {
  const secured = { tls: { certificate, key } }
  const fingerprint = new X509Certificate(certificate).fingerprint256
  const other = fingerprint.replace(/^../, fingerprint.startsWith("00") ? "01" : "00")

  const trusts: ReadonlyArray<[string, Partial<CameraOptions>]> = [
    ["whose fingerprint it knows", { fingerprint }],
    ["that it is told not to look at", { insecure: true }]
  ]
  it.live.each(trusts)("opens a camera %s", ([, trust]) =>
    Effect.gen(function* () {
      const camera = yield* peer(secured)
      const sink = yield* RtspServer.make()
      const native = engine()
      assert.match(camera.url("cam"), /^rtsps:/)
      const { video } = yield* probe(native, cameraOf(camera.url("cam"), trust))
      assert.strictEqual(video.codec, "h264")
      const running = yield* startRelay(native, job(camera.url("cam"), sink.url("out"), trust))
      yield* running.flowing
    })
  )

  const distrusts: ReadonlyArray<[string, Partial<CameraOptions>]> = [
    ["that nobody vouches for", {}],
    ["with another fingerprint", { fingerprint: other }],
    // a fingerprint is more than an order not to look
    ["with another fingerprint, however careless", { fingerprint: other, insecure: true }]
  ]
  it.live.each(distrusts)("rejects a camera %s, and sends no password to it", ([, trust]) =>
    Effect.gen(function* () {
      const camera = yield* peer(secured)
      const events = yield* camera.events
      const sink = yield* RtspServer.make()
      const native = engine()
      const address = camera.url("cam").replace("://", "://admin:secret@")
      const probing = probe(native, cameraOf(address, trust))
      assert.include(yield* reasonOf(probing), { _tag: "CertificateError", pace: "rejected" })
      const start = Effect.scoped(startRelay(native, job(address, sink.url("out"), trust)))
      assert.include(yield* reasonOf(start), { _tag: "CertificateError", pace: "rejected" })
      yield* camera.awaitConnections(0)
      // neither came as far as a request
      yield* camera.kick("cam")
      const seen = yield* PubSub.takeAll(events)
      assert.isFalse(seen.some(({ _tag }) => _tag === "Request"))
    })
  )

  it.live("publishes to a media server by its fingerprint, and to no other", () =>
    Effect.gen(function* () {
      const camera = yield* peer()
      const sink = yield* RtspServer.make(secured)
      const publish = (trust: DestinationServer["trust"]) =>
        startRelay(engine(), {
          ...job(camera.url("cam"), sink.url("out")),
          server: { ...anyServer, trust }
        })
      const to = (sha256: string | undefined) =>
        publish(sha256 === undefined ? { _tag: "Verify" } : { _tag: "Fingerprint", sha256 })
      yield* Effect.scoped(Effect.flatMap(to(fingerprint), ({ flowing }) => flowing))
      for (const wrong of [other, undefined]) {
        const reason = yield* reasonOf(Effect.scoped(to(wrong)))
        assert.include(reason, { _tag: "CertificateError" })
        assert.include(JSON.stringify(reason), "media server: ")
      }
      yield* (yield* publish({ _tag: "Insecure" })).flowing
    })
  )
})

if (!hasIpv6) skipped("peers at IPv6 addresses", "this machine has no ::1")

describe.skipIf(!hasIpv6)("the native engine, by IPv6,", () => {
  it.live("probes a camera, and relays it to a media server", () =>
    Effect.gen(function* () {
      const camera = yield* peer({ host: "::1" })
      const sink = yield* RtspServer.make({ host: "::1" })
      assert.match(camera.url("cam"), /^rtsp:\/\/\[::1\]:/)
      const native = engine()
      yield* probe(native, cameraOf(camera.url("cam")))
      yield* (yield* startRelay(native, job(camera.url("cam"), sink.url("out")))).flowing
    })
  )
})

const hasZones = hasIpv6 && networkInterfaces()["lo"] !== undefined
if (!hasZones) skipped("peers in a zone", "this machine has no ::1 on lo")

describe.skipIf(!hasZones)("the native engine, by an IPv6 address with a zone,", () => {
  it.live.each(["[::1%25lo]", "[::1%lo]"])("connects in the zone of %s, and names none", (host) =>
    Effect.gen(function* () {
      const requests: Array<string> = []
      const { port } = yield* scripted((request, socket, exchange) => {
        requests.push(request)
        socket.write(
          `RTSP/1.0 401 no\r\nCSeq: ${exchange}\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\n\r\n`
        )
      }, "::1")
      const { host: dialled } = urlOf(`rtsp://${host}:${port}/cam`)
      assert.strictEqual(dialled, "::1%lo")
      const address = `rtsp://a:b@${host}:${port}/cam`
      const probing = reasonOf(probe(engine(), cameraOf(address)))
      assert.include(yield* probing, { _tag: "Unauthorized" })
      assert.isFalse(requests.some((request) => request.includes("%")))
      const uri = `rtsp://[::1]:${port}/cam`
      assert.isTrue(requests.every((request) => request.startsWith(`DESCRIBE ${uri} RTSP/1.0`)))
      assert.include(requests.at(-1), `uri="${uri}"`)
      yield* rtspCheck(urlOf(address))
      assert.include(requests.at(-1), `OPTIONS rtsp://[::1]:${port}/ RTSP/1.0`)
    })
  )
})

describe("the native engine, at a name with several addresses,", () => {
  const at = (...addresses: ReadonlyArray<string>) =>
    Effect.provideService(HostResolver.HostResolver, {
      resolve: () => Effect.succeed(addresses)
    })
  const named = (server: RtspServer["Service"], path: string) =>
    server.url(path).replace("127.0.0.1", "peer.test")

  it.live("uses the first address that responds, of the camera and of the media server", () =>
    Effect.gen(function* () {
      const camera = yield* peer()
      const sink = yield* RtspServer.make()
      const native = engine()
      yield* probe(native, cameraOf(named(camera, "cam")))
      yield* (yield* startRelay(native, job(named(camera, "cam"), named(sink, "out")))).flowing
      assert.strictEqual(yield* camera.connections, 1)
      assert.strictEqual(yield* sink.connections, 1)
    }).pipe(at("127.0.0.2", "127.0.0.1", "127.0.0.3"))
  )

  /** An address of this machine at which a connection is neither taken nor refused. */
  const hanging = Effect.fnUntraced(function* (
    port: number
  ): Effect.fn.Return<string, never, Scope.Scope> {
    const host = "127.0.0.2"
    // it listens, accepts nothing, and has its queue full
    const listener = yield* start(process.execPath, [
      "-e",
      `require("net").createServer().listen({ port: ${port}, host: "${host}", backlog: 1 }, () => {
        require("fs").writeSync(1, "listening")
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      })`
    ])
    yield* listener.awaitSaid(/listening/)
    const waiting: Array<Socket> = []
    yield* Effect.addFinalizer(() => Effect.sync(() => waiting.forEach((one) => one.destroy())))
    for (;;) {
      const isTaken = yield* Effect.callback<boolean>((resume) => {
        const socket = connect(port, host)
        waiting.push(socket)
        socket.on("error", () => {})
        socket.once("connect", () => resume(Effect.succeed(true)))
        setTimeout(() => resume(Effect.succeed(false)), 150)
      })
      if (!isTaken) return host
    }
  })

  it.effect("tries the next address after a quarter of a second where one hangs", () =>
    Effect.gen(function* () {
      const camera = yield* peer()
      const dead = yield* hanging(camera.port)
      const probing = yield* Effect.forkChild(
        probe(engine(), cameraOf(named(camera, "cam"))).pipe(at(dead, "127.0.0.1"))
      )
      yield* TestClock.adjust("249 millis")
      assert.strictEqual(yield* camera.connections, 0)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(probing)
      yield* camera.awaitConnections(0)
    })
  )
})
