/**
 * What every relay does, between a camera and a media server on real sockets.
 *
 * Both are the embedded RTSP server. An adapter passes a function that makes its relay.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  type CameraOptions,
  type MediaPath,
  type StreamInfo,
  type Relay,
  type RunningRelay,
  StreamUrl
} from "@restream/core"
import { freePort, RtspServer, type RtspServerOptions, TestPattern } from "@restream/core/testing"
import { Clock, type Duration, Effect, Exit, Redacted, Result, Scope } from "effect"

export interface RelayContractOptions {
  /** Makes the relay. */
  readonly make: (options: {
    /** How long the video may stand still, once it flows. */
    readonly stallTimeout: Duration.Input
    /** Whether the media server answers. */
    readonly checkServer: Effect.Effect<boolean>
  }) => Effect.Effect<Relay, never, Scope.Scope>
}

const urlOf = (text: string): StreamUrl => Result.getOrThrow(StreamUrl.parse(text))

const videoOnly: StreamInfo = {
  video: { codec: "h264", width: 320, height: 240 },
  audio: undefined
}
const withTone: StreamInfo = {
  ...videoOnly,
  audio: { codec: "pcm_mulaw", sampleRate: 8000, channels: 1, copyable: true }
}

const withUserInfo = (url: string, userInfo: string) => url.replace("://", `://${userInfo}@`)

interface Peers {
  /** The camera's side; its path is `cam`. */
  readonly camera: RtspServer["Service"]
  /** The media server's side; the camera goes to `out`. */
  readonly sink: RtspServer["Service"]
  /** Starts a relay from one to the other. */
  readonly start: (job?: {
    readonly from?: string
    readonly to?: string
    readonly offer?: StreamInfo
    readonly options?: Partial<CameraOptions>
  }) => Effect.Effect<RunningRelay, never, Scope.Scope>
}

/** Runs the suite of the port {@link Relay} against an adapter. */
export const relayContract = (name: string, contract: RelayContractOptions): void => {
  const withPeers = <A, E>(
    settings: {
      readonly camera?: RtspServerOptions & TestPattern.TestPatternOptions
      readonly sink?: RtspServerOptions
      readonly stallTimeout?: Duration.Input
      readonly checkServer?: Effect.Effect<boolean>
    },
    test: (peers: Peers) => Effect.Effect<A, E, Scope.Scope>
  ) =>
    Effect.gen(function* () {
      const camera = yield* RtspServer.make(settings.camera)
      const sink = yield* RtspServer.make(settings.sink)
      yield* TestPattern.publish(camera, "cam", settings.camera)
      const relay = yield* contract.make({
        stallTimeout: settings.stallTimeout ?? "10 seconds",
        checkServer: settings.checkServer ?? Effect.succeed(true)
      })
      const cameraOf = (from: string, chosen: Partial<CameraOptions> = {}): Camera => ({
        _tag: "Camera",
        id: "1" as CameraId,
        name: "Gate",
        type: "url",
        url: urlOf(from),
        path: "out" as MediaPath.MediaPath,
        options: {
          engine: "auto",
          transport: "tcp",
          audio: "auto",
          wallclock: false,
          insecure: false,
          fingerprint: undefined,
          ...chosen
        }
      })
      return yield* test({
        camera,
        sink,
        start: (job = {}) =>
          relay
            .start({
              camera: cameraOf(job.from ?? camera.url("cam"), job.options),
              offer: job.offer ?? videoOnly,
              destination: urlOf(job.to ?? sink.url("out")),
              hasFallback: false
            })
            .pipe(
              // a start that fails at once has ended, too: an adapter may tell it either way
              Effect.catch((error) =>
                Effect.succeed<RunningRelay>({
                  flowing: Effect.never,
                  ended: Effect.fail(error),
                  counters: () => ({
                    bytes: 0,
                    packets: 0,
                    lost: 0,
                    dropped: 0,
                    lastVideoAt: undefined
                  })
                })
              )
            )
      })
    })

  const endOf = ({ ended }: RunningRelay) => Effect.map(Effect.flip(ended), ({ reason }) => reason)

  describe.concurrent(`${name}, as a relay,`, () => {
    it.live("brings a camera's video to the media server", () =>
      withPeers({}, ({ sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start()
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

    it.live("brings its sound, too", () =>
      withPeers({ camera: { audio: true } }, ({ sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start({ offer: withTone })
          yield* relay.flowing
          const status = yield* sink.path("out")
          assert.deepStrictEqual(
            status?.publisher?.tracks.map(({ codec }) => codec),
            ["h264", "pcm_mulaw"]
          )
        })
      )
    )

    it.live("leaves out sound that the row does not want", () =>
      withPeers({ camera: { audio: true } }, ({ sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start({ offer: withTone, options: { audio: "drop" } })
          yield* relay.flowing
          const status = yield* sink.path("out")
          assert.deepStrictEqual(
            status?.publisher?.tracks.map(({ codec }) => codec),
            ["h264"]
          )
        })
      )
    )

    it.live("opens both sides with passwords of any characters", () => {
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

    it.live("counts what it brought, and never less than before", () =>
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

    it.live("is gone from both sides when its scope is closed", () =>
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

    it.live("is gone when it is stopped in the middle of its start", () =>
      withPeers(
        { camera: { settings: () => ({ quirks: { silentAt: "DESCRIBE" } }) } },
        ({ camera, start }) =>
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            yield* Effect.forkChild(Scope.provide(start(), scope))
            yield* camera.awaitConnections(1)
            yield* Scope.close(scope, Exit.void)
            yield* camera.awaitConnections(0)
          })
      )
    )

    it.live("gives the path to the next one when it has stopped", () =>
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

    it.live("ends when the camera leaves", () =>
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
      "ends when the camera stays and holds back %s",
      (tracks) =>
        withPeers({ camera: { audio: true }, stallTimeout: "3 seconds" }, ({ camera, start }) =>
          Effect.gen(function* () {
            const relay = yield* start({ offer: withTone })
            yield* relay.flowing
            yield* camera.freeze("cam", tracks)
            assert.deepInclude({ ...(yield* endOf(relay)) }, { _tag: "Stalled", side: "input" })
          })
        )
    )

    it.live("goes on when only the sound stands still", () =>
      withPeers({ camera: { audio: true }, stallTimeout: "3 seconds" }, ({ camera, sink, start }) =>
        Effect.gen(function* () {
          const relay = yield* start({ offer: withTone })
          yield* relay.flowing
          yield* camera.freeze("cam", "audio")
          const ended = yield* Effect.forkChild(endOf(relay))
          // twice the time after which a stall would show
          yield* Effect.sleep("7 seconds")
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
        { settings: () => ({ quirks: { refuse: { DESCRIBE: 404 } } }) },
        "NotFound"
      ],
      ["serves too many", { settings: () => ({ quirks: { refuse: { PLAY: 503 } } }) }, "Rejected"],
      [
        "closes the connection",
        { settings: () => ({ quirks: { closeAt: "DESCRIBE" } }) },
        "Closed"
      ],
      ["never answers", { settings: () => ({ quirks: { silentAt: "DESCRIBE" } }) }, "TimedOut"]
    ])("names a camera that %s", ([, camera, expected]) =>
      withPeers({ camera, stallTimeout: "3 seconds" }, ({ start }) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* endOf(yield* start()))._tag, expected)
        })
      )
    )

    it.live("names a camera that is not there", () =>
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
        { settings: () => ({ quirks: { refuse: { ANNOUNCE: 400 } } }) },
        { _tag: "ServerRejected", status: 400, pace: "rejected" }
      ],
      [
        "forbids the path",
        { settings: () => ({ quirks: { refuse: { ANNOUNCE: 403 } } }) },
        { _tag: "ServerRejected", status: 403, pace: "rejected" }
      ],
      [
        "closes the connection",
        { settings: () => ({ quirks: { closeAt: "ANNOUNCE" } }) },
        { _tag: "ServerGone", pace: "backoff" }
      ]
    ])("names a media server that %s", ([, sink, expected]) =>
      withPeers({ sink }, ({ start }) =>
        Effect.gen(function* () {
          const reason = yield* endOf(yield* start())
          assert.deepInclude({ ...reason }, expected)
        })
      )
    )

    it.live("names a media server that is not there", () =>
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
      "ends when the media server ends it; whether that answers is %s, so it is %s",
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

    it.live("shows no password when it ends", () =>
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
