/**
 * The native engine before MediaMTX itself:
 * `MEDIAMTX_BIN=/path/to/mediamtx npx vitest run tests/engine/native/MediaMtx.test.ts`.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import {
  anyServer,
  type CameraId,
  type CameraOptions,
  MemoryCameraSource,
  NativeEngine,
  rtspCheck,
  Restream,
  StatusStore
} from "@restream/core"
import { freePort, RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Exit, Layer, Result, Schema, Scope } from "effect"
import { X509Certificate } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { until } from "../../kit/Eventually.ts"
import { InterleavedFrame, ReaderSession, Rtcp } from "@restream/core/rtsp"
import { publishable } from "../../rtsp/LiveCamera.ts"
import { certificate, key } from "../../rtsp/Certificate.ts"
import { configured } from "../../rtsp/MediaMtx.ts"
import { mediaMtx, publishWithFfmpeg, readFrames, skipped } from "../../rtsp/Peers.ts"
import { anyFfmpeg } from "../ffmpeg/Binaries.ts"
import { engine as ffmpegEngine } from "../ffmpeg/Engines.ts"
import { job as jobOf, options, probe, startRelay, urlOf } from "../Streams.ts"

if (mediaMtx === undefined) skipped("the native engine with MediaMTX", "MEDIAMTX_BIN names none")

/** A camera at `cam`. */
const camera = Effect.gen(function* () {
  const server = yield* RtspServer.make()
  yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 5, audio: true })
  return server.url("cam")
})

const job = (
  from: string,
  to: string,
  chosen: Partial<CameraOptions> = {},
  trust = anyServer.trust
) => ({
  ...jobOf(from, to, chosen),
  server: {
    trust,
    check: rtspCheck(urlOf(to)).pipe(
      Effect.as(true),
      Effect.orElseSucceed(() => false)
    )
  }
})

const withUser = (address: string, user: string, password: string) =>
  address.replace("://", `://${user}:${encodeURIComponent(password)}@`)

const isRead = Effect.fnUntraced(function* (address: string) {
  const { code, stderr, stdout } = yield* readFrames(address, 15)
  assert.deepStrictEqual([code, stderr], [0, ""])
  assert.strictEqual(stdout.split("\n").filter((line) => line.startsWith("0,")).length, 15)
})

const Sessions = Schema.Struct({
  items: Schema.Array(Schema.Struct({ id: Schema.String, path: Schema.String }))
})

describe.skipIf(mediaMtx === undefined)("the native engine, with MediaMTX,", () => {
  it.live("publishes to it, reads it as a camera, and publishes again", () =>
    Effect.gen(function* () {
      const server = yield* configured()
      yield* server.start
      const from = yield* camera
      const native = NativeEngine.make()
      const first = yield* startRelay(native, job(from, server.at("one")))
      yield* first.flowing
      assert.deepStrictEqual(yield* probe(native, { url: urlOf(server.at("one")), options }), {
        video: { codec: "h264", width: 64, height: 64 },
        audio: { codec: "pcm_mulaw", sampleRate: 8000, channels: 1, copyable: true }
      })
      const second = yield* startRelay(native, job(server.at("one"), server.at("two")))
      yield* second.flowing
      yield* isRead(server.at("two"))
      assert.deepInclude(second.counters(), { lost: 0, dropped: 0 })
    })
  )

  it.live(
    "gives readers the time of this machine for a camera in 1970, with useAbsoluteTimestamp",
    () =>
      Effect.gen(function* () {
        const server = yield* configured([], ["all_others:", "  useAbsoluteTimestamp: yes"])
        yield* server.start
        const source = yield* RtspServer.make()
        yield* TestPattern.publish(source, "cam", { frameRate: 25, audio: true, reports: 0 })
        const startedAt = Date.now()
        for (const wallclock of [true, false]) {
          const path = wallclock ? "ours" : "theirs"
          const relay = yield* startRelay(
            NativeEngine.make(),
            job(source.url("cam"), server.at(path), { wallclock })
          )
          yield* relay.flowing
          const reports = new Map<number, number>()
          const session = yield* ReaderSession.open({ url: urlOf(server.at(path)) })
          yield* session.setup(publishable(session))
          yield* session.play({
            frames: (bytes, start, end) => {
              for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
                const packet = InterleavedFrame.packetStart(at)
                const report = Rtcp.readSenderReport(bytes, packet, InterleavedFrame.end(bytes, at))
                const slot = session.trackByChannel[InterleavedFrame.channel(bytes, at)] ?? 0
                if ((slot & 1) === 1 && report !== undefined) reports.set(slot, Rtcp.timeOf(report))
              }
            }
          })
          yield* until("reports of both tracks", () => reports.size === 2)
          for (const time of reports.values()) {
            assert.isTrue(
              wallclock ? time >= startedAt && time <= Date.now() + 1000 : time < 3_600_000
            )
          }
        }
      })
  )

  it.live("relays a camera that ffmpeg publishes", () =>
    Effect.gen(function* () {
      const server = yield* configured()
      yield* server.start
      const source = yield* RtspServer.make()
      yield* publishWithFfmpeg(source.url("cam"))
      yield* source.awaitPackets("cam")
      const native = NativeEngine.make()
      const running = yield* startRelay(native, job(source.url("cam"), server.at("out")))
      yield* running.flowing
      yield* isRead(server.at("out"))
    })
  )

  const password = "p@ss#w&rd"
  const methods: ReadonlyArray<[string]> = [["basic"], ["digest"]]
  it.live.each(methods)("authenticates with the credentials of the path, by %s", ([method]) =>
    Effect.gen(function* () {
      const server = yield* configured([
        `rtspAuthMethods: [${method}]`,
        "authInternalUsers:",
        "- user: relay",
        `  pass: "${password}"`,
        "  permissions: [{action: publish, path: guarded}]",
        "- user: viewer",
        `  pass: "${password}"`,
        "  permissions: [{action: read}]"
      ])
      const running = yield* server.start
      const from = yield* camera
      const native = NativeEngine.make()
      const start = (user: string, word: string, path = "guarded") =>
        startRelay(native, job(from, withUser(server.at(path), user, word)))
      const refused = ["wrong", ""]
      for (const word of refused) {
        const { reason } = yield* Effect.flip(Effect.scoped(start("relay", word)))
        assert.strictEqual(reason._tag, "ServerUnauthorized")
      }
      // the right password of somebody who may not, and the right person at another path
      for (const [user, path] of [
        ["viewer", "guarded"],
        ["relay", "other"]
      ] as const) {
        const { reason } = yield* Effect.flip(Effect.scoped(start(user, password, path)))
        assert.strictEqual(reason._tag, "ServerUnauthorized")
      }
      yield* (yield* start("relay", password)).flowing
      const viewed = withUser(server.at("guarded"), "viewer", password)
      yield* probe(native, { url: urlOf(viewed), options })
      const wrong = withUser(server.at("guarded"), "viewer", "wrong")
      const { reason } = yield* Effect.flip(probe(native, { url: urlOf(wrong), options }))
      assert.deepInclude({ ...reason }, { _tag: "Unauthorized", credentials: "wrong" })
      assert.notInclude(running.said(), password)
    })
  )

  it.live("publishes by rtsps, with the fingerprint of its certificate", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const server = yield* configured([
        'rtspEncryption: "strict"',
        `rtspsAddress: 127.0.0.1:${port}`,
        "rtspServerCert: server.crt",
        "rtspServerKey: server.key"
      ])
      writeFileSync(join(server.folder, "server.crt"), certificate)
      writeFileSync(join(server.folder, "server.key"), key)
      yield* server.start
      const from = yield* camera
      const address = `rtsps://127.0.0.1:${port}/out`
      const { fingerprint256 } = new X509Certificate(certificate)
      const unseen = startRelay(NativeEngine.make(), job(from, address))
      const { reason } = yield* Effect.flip(Effect.scoped(unseen))
      assert.strictEqual(reason._tag, "CertificateError")
      const native = NativeEngine.make()
      const trust = { _tag: "Fingerprint", sha256: fingerprint256 } as const
      yield* (yield* startRelay(native, job(from, address, {}, trust))).flowing
      const trusting = { ...options, fingerprint: fingerprint256 }
      const probed = yield* Effect.result(probe(native, { url: urlOf(address), options: trusting }))
      if (Result.isFailure(probed)) {
        // newer ones encrypt the media besides (SRTP, RFC 3711): that is another engine's
        const { reason } = probed.failure
        assert.strictEqual(reason._tag, "Unsupported")
        assert.include(reason.message, "RTP/SAVP")
        return
      }
      const again = job(address, `${address}2`, { fingerprint: fingerprint256 }, trust)
      yield* (yield* startRelay(native, again)).flowing
    })
  )

  it.live("reports that it was kicked by an operator or replaced by another publisher", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const server = yield* configured(["api: yes", `apiAddress: 127.0.0.1:${port}`])
      yield* server.start
      const from = yield* camera
      const native = NativeEngine.make()
      const api = (path: string, method = "GET") =>
        Effect.promise(() => fetch(`http://127.0.0.1:${port}/v3/rtspsessions/${path}`, { method }))

      const kicked = yield* startRelay(native, job(from, server.at("out")))
      yield* kicked.flowing
      const answer = yield* api("list")
      const listed = yield* Effect.promise(() => answer.json() as Promise<unknown>)
      const { items } = yield* Schema.decodeUnknownEffect(Sessions)(listed)
      const ours = items.find(({ path }) => path === "out")
      assert.strictEqual((yield* api(`kick/${ours?.id}`, "POST")).status, 200)
      const { reason } = yield* Effect.flip(kicked.ended)
      assert.deepInclude({ ...reason }, { _tag: "PublisherReplaced", pace: "evicted" })

      const old = yield* startRelay(native, job(from, server.at("out")))
      yield* old.flowing
      yield* (yield* startRelay(native, job(from, server.at("out")))).flowing
      assert.strictEqual((yield* Effect.flip(old.ended)).reason._tag, "PublisherReplaced")
    })
  )

  it.live(
    "reports a camera that stalls, not the media server",
    () =>
      Effect.gen(function* () {
        const server = yield* configured()
        yield* server.start
        const source = yield* RtspServer.make()
        yield* TestPattern.publish(source, "cam", { frameRate: 25, keyframeEvery: 5 })
        // more than twice what the server waits for packets
        const native = NativeEngine.make({ stallTimeout: "22 seconds" })
        const running = yield* startRelay(native, job(source.url("cam"), server.at("out")))
        yield* running.flowing
        yield* source.freeze("cam", "all")
        const { reason } = yield* Effect.flip(running.ended)
        assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "input" })
      }),
    120_000
  )

  it.live("is rejected at a path that another publisher may keep", () =>
    Effect.gen(function* () {
      const server = yield* configured([], ["all_others:", "  overridePublisher: no"])
      yield* server.start
      const from = yield* camera
      const native = NativeEngine.make()
      const first = yield* startRelay(native, job(from, server.at("out")))
      yield* first.flowing
      const { reason } = yield* Effect.flip(
        Effect.scoped(startRelay(native, job(from, server.at("out"))))
      )
      assert.deepInclude({ ...reason }, { _tag: "ServerRejected", status: 400 })
    })
  )

  it.live(
    "relays a path that is started on demand and closed 1 s after its last reader, as each engine",
    () =>
      Effect.gen(function* () {
        const started = `sh -c 'sleep 6; exec ${anyFfmpeg} -nostdin -re -f lavfi -i testsrc=size=320x180:rate=15 -c:v libx264 -preset ultrafast -tune zerolatency -g 15 -pix_fmt yuv420p -f rtsp -rtsp_transport tcp rtsp://127.0.0.1:$RTSP_PORT/$MTX_PATH'`
        const server = yield* configured(
          [],
          [
            '"~^demanded":',
            `  runOnDemand: ${started}`,
            "  runOnDemandStartTimeout: 20s",
            "  runOnDemandCloseAfter: 1s"
          ]
        )
        yield* server.start
        const sink = yield* RtspServer.make()
        const openTimeout = "15 seconds"
        const engines = [NativeEngine.make({ openTimeout }), yield* ffmpegEngine({ openTimeout })]
        for (const [index, engine] of engines.entries()) {
          const to = `out${index}`
          const relay = yield* startRelay(engine, job(server.at(`demanded${index}`), sink.url(to)))
          yield* Effect.raceFirst(relay.flowing, relay.ended)
          yield* sink.awaitPackets(to)
        }
      }),
    120_000
  )

  it.live(
    "keeps the session at the server while the camera takes 12 s to play",
    () =>
      Effect.gen(function* () {
        // without packets MediaMTX ends a publisher after 10 s
        const server = yield* configured()
        yield* server.start
        const source = yield* RtspServer.make({
          settings: () => ({ quirks: { delays: { PLAY: "12 seconds" } } })
        })
        yield* TestPattern.publish(source, "cam", { frameRate: 25, keyframeEvery: 5 })
        const native = NativeEngine.make({ openTimeout: "20 seconds" })
        const relay = yield* startRelay(native, job(source.url("cam"), server.at("out")))
        yield* Effect.raceFirst(relay.flowing, relay.ended)
        yield* isRead(server.at("out"))
      }),
    120_000
  )

  it.live(
    "has its stream back when it was restarted",
    () =>
      Effect.gen(function* () {
        const server = yield* configured()
        const first = yield* Scope.make()
        yield* Scope.provide(server.start, first)
        const tree = Restream.layer({
          ...defaultSettings,
          mediaServer: { ...defaultSettings.mediaServer, port: server.port }
        }).pipe(
          Layer.provide(MemoryCameraSource.layer([{ id: 1, url: yield* camera }])),
          Layer.provide(NodeServices.layer)
        )
        yield* Effect.gen(function* () {
          const status = yield* StatusStore
          const until = (...tags: ReadonlyArray<string>) =>
            Effect.gen(function* () {
              for (;;) {
                const tag = (yield* status.get("1" as CameraId))?.state._tag
                if (tag !== undefined && tags.includes(tag)) return
                yield* Effect.sleep("50 millis")
              }
            })
          yield* until("Live")
          yield* Scope.close(first, Exit.void)
          yield* until("Restarting", "Waiting")
          yield* server.start
          yield* until("Live")
          yield* isRead(server.at("cam1"))
        }).pipe(Effect.provide(tree))
      }),
    120_000
  )
})
