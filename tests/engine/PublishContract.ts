/**
 * How every engine publishes a camera's stream, between a camera and a media server on real sockets.
 *
 * Both are the embedded RTSP server. An adapter passes a function that makes its engine.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  anyServer,
  type CameraOptions,
  type Engine,
  RelayError,
  type RunningRelay
} from "@restream/core"
import { freePort, RtspServer, type RtspServerOptions, TestPattern } from "@restream/core/testing"
import { Clock, type Duration, Effect, Exit, Fiber, PubSub, Redacted, Scope } from "effect"
import { job as jobOf, startRelay } from "./Streams.ts"

export interface PublishContractOptions {
  /** Makes the engine. */
  readonly make: (options: {
    /** How long the video may pause once it flows. */
    readonly stallTimeout: Duration.Input
    /** The time for opening a camera. */
    readonly openTimeout: Duration.Input
  }) => Effect.Effect<Engine, never, Scope.Scope>
}

const withUserInfo = (url: string, userInfo: string) => url.replace("://", `://${userInfo}@`)

interface Peers {
  /** The camera; its path is `cam`. */
  readonly camera: RtspServer["Service"]
  /** The media server; the camera is published at `out`. */
  readonly sink: RtspServer["Service"]
  /** Opens the camera's stream and publishes it. A failure to start becomes the end of the relay. */
  readonly start: (job?: {
    readonly from?: string
    readonly to?: string
    readonly options?: Partial<CameraOptions>
    readonly userAgent?: string
  }) => Effect.Effect<RunningRelay, never, Scope.Scope>
}

/** Runs the suite for `CameraStream.publish` against an adapter. */
export const publishContract = (name: string, contract: PublishContractOptions): void => {
  const withPeers = <A, E>(
    settings: {
      readonly camera?: RtspServerOptions & TestPattern.TestPatternOptions
      readonly sink?: RtspServerOptions
      readonly stallTimeout?: Duration.Input
      readonly openTimeout?: Duration.Input
      readonly checkServer?: Effect.Effect<boolean>
    },
    test: (peers: Peers) => Effect.Effect<A, E, Scope.Scope>
  ) =>
    Effect.gen(function* () {
      const camera = yield* RtspServer.make(settings.camera)
      const sink = yield* RtspServer.make(settings.sink)
      yield* TestPattern.publish(camera, "cam", settings.camera)
      const engine = yield* contract.make({
        stallTimeout: settings.stallTimeout ?? "10 seconds",
        openTimeout: settings.openTimeout ?? "8 seconds"
      })
      return yield* test({
        camera,
        sink,
        start: (job = {}) =>
          startRelay(engine, {
            ...jobOf(job.from ?? camera.url("cam"), job.to ?? sink.url("out"), job.options),
            userAgent: job.userAgent,
            server: { ...anyServer, ...(settings.checkServer && { check: settings.checkServer }) }
          }).pipe(
            Effect.catch(({ reason }) =>
              Effect.succeed<RunningRelay>({
                flowing: Effect.never,
                ended: Effect.fail(new RelayError({ reason })),
                counters: () => ({
                  bytes: 0,
                  packets: 0,
                  lost: 0,
                  dropped: 0,
                  lastVideoAt: undefined
                }),
                published: { video: { codec: "none" }, audio: undefined },
                notices: []
              })
            )
          )
      })
    })

  const endOf = ({ ended }: RunningRelay) => Effect.map(Effect.flip(ended), ({ reason }) => reason)

  describe.concurrent(`${name}, publishing a stream,`, () => {
    it.live("publishes a camera's video at the media server, by the name that it was given", () =>
      withPeers({}, ({ sink, start }) =>
        Effect.gen(function* () {
          const events = yield* sink.events
          const relay = yield* start({ userAgent: "restream/1.2.3 abc" })
          const announced = yield* PubSub.take(events).pipe(
            Effect.repeat({
              until: (event) => event._tag === "Request" && event.method === "ANNOUNCE"
            })
          )
          assert.deepInclude(announced, { userAgent: "restream/1.2.3 abc" })
          yield* relay.flowing
          yield* sink.awaitPackets("out")
          const status = yield* sink.path("out")
          assert.deepStrictEqual(
            status?.publisher?.tracks.map(({ codec }) => codec),
            ["h264"]
          )
        })
      )
    )

    it.live("publishes its audio, too", () =>
      withPeers({ camera: { audio: true } }, ({ sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start()
          yield* relay.flowing
          const status = yield* sink.path("out")
          assert.deepStrictEqual(
            status?.publisher?.tracks.map(({ codec }) => codec),
            ["h264", "pcm_mulaw"]
          )
          assert.strictEqual(relay.published.audio?.codec, "pcm_mulaw")
          assert.deepStrictEqual(relay.notices, [])
        })
      )
    )

    it.live("leaves out audio that the row drops", () =>
      withPeers({ camera: { audio: true } }, ({ sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start({ options: { audio: "drop" } })
          yield* relay.flowing
          const status = yield* sink.path("out")
          assert.deepStrictEqual(
            status?.publisher?.tracks.map(({ codec }) => codec),
            ["h264"]
          )
          assert.isUndefined(relay.published.audio)
          // the row asks for it, so it is no news
          assert.deepStrictEqual(relay.notices, [])
        })
      )
    )

    it.live("authenticates at both sides with passwords of any characters", () => {
      const password = "p@ss/w:rd?#%41 ä"
      const userInfo = `admin:${encodeURIComponent(password)}`
      const authentication = { username: "admin", password: Redacted.make(password) }
      return withPeers(
        { camera: { authentication }, sink: { authentication } },
        ({ camera, sink, start }) =>
          Effect.gen(function* () {
            const relay = yield* start({
              from: withUserInfo(camera.url("cam"), userInfo),
              to: withUserInfo(sink.url("out"), userInfo)
            })
            yield* relay.flowing
            assert.strictEqual(yield* camera.authenticationFailures, 0)
            assert.strictEqual(yield* sink.authenticationFailures, 0)
          })
      )
    })

    it.live("counts what it sent, and its counters never decrease", () =>
      withPeers({ camera: { frameRate: 25 } }, ({ sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start()
          assert.deepInclude(relay.counters(), { lost: 0, dropped: 0, lastVideoAt: undefined })
          const startedAt = yield* Clock.currentTimeMillis
          yield* relay.flowing
          const first = relay.counters()
          assert.isAtLeast(first.lastVideoAt ?? 0, startedAt)
          yield* sink.awaitPackets("out")
          let last = first
          while (last.packets === first.packets && last.bytes === first.bytes) {
            yield* Effect.sleep("50 millis")
            const next = relay.counters()
            assert.isAtLeast(next.packets, last.packets)
            assert.isAtLeast(next.bytes, last.bytes)
            assert.isAtLeast(next.lastVideoAt ?? 0, last.lastVideoAt ?? 0)
            last = next
          }
        })
      )
    )

    it.live("closes the connections at both sides with the scope", () =>
      withPeers({}, ({ camera, sink, start }) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const relay = yield* Scope.provide(start(), scope)
          yield* relay.flowing
          yield* Scope.close(scope, Exit.void)
          yield* sink.awaitConnections(0)
          yield* camera.awaitConnections(0)
          yield* sink.awaitNoPublisher("out")
        })
      )
    )

    it.live("closes its connections when it is interrupted in the middle of its start", () =>
      withPeers(
        { camera: { settings: () => ({ quirks: { silentAt: "DESCRIBE" } }) } },
        ({ camera, start }) =>
          Effect.gen(function* () {
            const starting = yield* Effect.forkChild(Effect.scoped(start()))
            yield* camera.awaitConnections(1)
            yield* Fiber.interrupt(starting)
            yield* camera.awaitConnections(0)
          })
      )
    )

    it.live("releases the path to the next relay when it has ended", () =>
      withPeers({}, ({ sink, start }) =>
        Effect.gen(function* () {
          for (const publishers of [1, 2]) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const relay = yield* start()
                yield* relay.flowing
                assert.strictEqual((yield* sink.path("out"))?.publishers, publishers)
              })
            )
          }
        })
      )
    )

    it.live("ends when the camera closes the connection", () =>
      withPeers({}, ({ camera, start }) =>
        Effect.gen(function* () {
          const relay = yield* start()
          yield* relay.flowing
          yield* camera.kick("cam")
          assert.strictEqual((yield* endOf(relay))._tag, "Closed")
        })
      )
    )

    it.live.each(["all", "video"] as const)(
      "ends with Stalled when the camera withholds %s",
      (tracks) =>
        withPeers({ camera: { audio: true }, stallTimeout: "3 seconds" }, ({ camera, start }) =>
          Effect.gen(function* () {
            const relay = yield* start()
            yield* relay.flowing
            yield* camera.freeze("cam", tracks)
            assert.deepInclude({ ...(yield* endOf(relay)) }, { _tag: "Stalled", side: "input" })
          })
        )
    )

    it.live("continues when only the audio stalls", () =>
      withPeers({ camera: { audio: true }, stallTimeout: "2 seconds" }, ({ camera, sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start()
          yield* relay.flowing
          yield* camera.freeze("cam", "audio")
          const frozenAt = yield* Clock.currentTimeMillis
          const ended = yield* Effect.forkChild(endOf(relay))
          // video has come for twice the time after which a stall would show
          const videoCame = () => (relay.counters().lastVideoAt ?? 0) >= frozenAt + 4000
          yield* Effect.repeat(Effect.sleep("50 millis"), {
            until: () => videoCame() || ended.pollUnsafe() !== undefined
          })
          assert.isUndefined(ended.pollUnsafe())
          assert.isDefined((yield* sink.path("out"))?.publisher)
        })
      )
    )

    it.live.each<[string, RtspServerOptions, string]>([
      [
        "refuses the password",
        { authentication: { username: "a", password: Redacted.make("b") } },
        "Unauthorized"
      ],
      [
        "has no such stream",
        { settings: () => ({ quirks: { rejectWith: { DESCRIBE: 404 } } }) },
        "NotFound"
      ],
      [
        "serves too many",
        { settings: () => ({ quirks: { rejectWith: { PLAY: 503 } } }) },
        "Rejected"
      ],
      [
        "closes the connection",
        { settings: () => ({ quirks: { closeAt: "DESCRIBE" } }) },
        "Closed"
      ],
      ["never responds", { settings: () => ({ quirks: { silentAt: "DESCRIBE" } }) }, "TimedOut"]
    ])("reports a camera that %s", ([, camera, expected]) =>
      withPeers({ camera, openTimeout: "3 seconds" }, ({ start }) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* endOf(yield* start()))._tag, expected)
        })
      )
    )

    it.live("reports a camera that is not running", () =>
      withPeers({}, ({ start }) =>
        Effect.gen(function* () {
          const from = `rtsp://127.0.0.1:${yield* freePort}/cam`
          assert.strictEqual((yield* endOf(yield* start({ from })))._tag, "Refused")
        })
      )
    )

    it.live.each<[string, RtspServerOptions, object]>([
      [
        "refuses the password",
        { authentication: { username: "a", password: Redacted.make("b") } },
        { _tag: "ServerUnauthorized", pace: "rejected" }
      ],
      [
        "rejects the stream",
        { settings: () => ({ quirks: { rejectWith: { ANNOUNCE: 400 } } }) },
        { _tag: "ServerRejected", status: 400, pace: "rejected" }
      ],
      [
        "forbids the path",
        { settings: () => ({ quirks: { rejectWith: { ANNOUNCE: 403 } } }) },
        { _tag: "ServerRejected", status: 403, pace: "rejected" }
      ],
      [
        "closes the connection",
        { settings: () => ({ quirks: { closeAt: "ANNOUNCE" } }) },
        { _tag: "ServerGone", pace: "backoff" }
      ]
    ])("reports a media server that %s", ([, sink, expected]) =>
      withPeers({ sink }, ({ start }) =>
        Effect.gen(function* () {
          const reason = yield* endOf(yield* start())
          assert.deepInclude({ ...reason }, expected)
        })
      )
    )

    it.live("reports a media server that is not running", () =>
      withPeers({}, ({ start }) =>
        Effect.gen(function* () {
          const port = yield* freePort
          const reason = yield* endOf(yield* start({ to: `rtsp://127.0.0.1:${port}/out` }))
          assert.strictEqual(reason._tag, "ServerGone")
          assert.include(reason.message, `127.0.0.1:${port}`)
        })
      )
    )

    it.live.each([
      [true, "PublisherReplaced"],
      [false, "ServerGone"]
    ] as const)(
      "ends when the media server ends it; with a server check of %s the reason is %s",
      ([checkNow, expected]) =>
        withPeers({ checkServer: Effect.succeed(checkNow) }, ({ sink, start }) =>
          Effect.gen(function* () {
            const relay = yield* start()
            yield* relay.flowing
            yield* sink.kick("out")
            assert.strictEqual((yield* endOf(relay))._tag, expected)
          })
        )
    )

    it.live("shows no password in the reason of its end", () =>
      withPeers({}, ({ camera, start }) =>
        Effect.gen(function* () {
          const from = withUserInfo(camera.url("none?pwd=topsecret1"), "admin:topsecret2")
          const to = `rtsp://relay:topsecret3@127.0.0.1:${yield* freePort}/out`
          for (const job of [{ from }, { to }]) {
            const reason = yield* endOf(yield* start(job))
            assert.notInclude(JSON.stringify(reason) + reason.message, "topsecret")
          }
        })
      )
    )
  })
}
