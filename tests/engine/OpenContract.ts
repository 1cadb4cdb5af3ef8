/**
 * How every engine opens a camera's stream, against cameras on real sockets.
 *
 * The camera is the embedded RTSP server. An adapter passes a function that makes its engine.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Engine, ProbeError, StreamInfo } from "@restream/core"
import { freePort, RtspServer, type RtspServerOptions, TestPattern } from "@restream/core/testing"
import { type Duration, Effect, Fiber, Redacted, type Scope } from "effect"
import { camera as cameraAt, probe as probeWith } from "./Streams.ts"

export interface OpenContractOptions {
  /** How a response that is not RTSP ends the probe: a program may wait for RTSP until its time is over. */
  readonly onGarbage: "ProtocolError" | "TimedOut"
  /** Makes the engine. `openTimeout` is its time for opening a camera. */
  readonly make: (options: {
    readonly openTimeout: Duration.Input
  }) => Effect.Effect<Engine, never, Scope.Scope>
  /** Why the engine cannot look up host names, if it cannot. */
  readonly cannotResolve?: string | undefined
}

/** AAC in place of the pattern's tone, with or without its configuration. */
const aacInstead = (config: string) => (sdp: string) =>
  sdp
    .replace("m=audio 0 RTP/AVP 0", "m=audio 0 RTP/AVP 97")
    .replace(
      "a=rtpmap:0 PCMU/8000",
      `a=rtpmap:97 MPEG4-GENERIC/44100/2\r\na=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3${config}`
    )

const withoutVideo = (sdp: string) => sdp.replace(/m=video[^]*?(?=m=|$)/, "")

/** Runs the suite for `Engine.open` against an adapter. */
export const openContract = (name: string, contract: OpenContractOptions): void => {
  /** A camera at the path `cam`, and an engine that opens it. */
  const withCamera = <A, E>(
    camera: RtspServerOptions & TestPattern.TestPatternOptions,
    test: (peers: {
      readonly server: RtspServer["Service"]
      readonly probe: (url?: string) => Effect.Effect<StreamInfo, ProbeError>
    }) => Effect.Effect<A, E, Scope.Scope>,
    openTimeout: Duration.Input = "8 seconds"
  ) =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make(camera)
      yield* TestPattern.publish(server, "cam", camera)
      const engine = yield* contract.make({ openTimeout })
      return yield* test({
        server,
        probe: (url = server.url("cam")) => probeWith(engine, cameraAt(url))
      })
    })

  const withCredentials = (server: RtspServer["Service"], userInfo: string) =>
    server.url("cam").replace("://", `://${userInfo}@`)

  const reasonOf = (probe: Effect.Effect<StreamInfo, ProbeError>) =>
    Effect.map(Effect.flip(probe), ({ reason }) => reason)

  describe.concurrent(`${name}, opening a stream,`, () => {
    it.live("reports video and audio", () =>
      withCamera({ audio: true }, ({ probe }) =>
        Effect.gen(function* () {
          const { audio, video } = yield* probe()
          assert.strictEqual(video.codec, "h264")
          assert.isAbove(video.width ?? 0, 0)
          assert.isAbove(video.height ?? 0, 0)
          assert.deepStrictEqual(audio, {
            codec: "pcm_mulaw",
            sampleRate: 8000,
            channels: 1,
            copyable: true
          })
        })
      )
    )

    it.live("reports no audio if the camera sends none", () =>
      withCamera({}, ({ probe }) =>
        Effect.gen(function* () {
          assert.isUndefined((yield* probe()).audio)
        })
      )
    )

    it.live.each([
      ["with its configuration", "; config=1210", true],
      ["without its configuration", "", false]
    ] as const)("reports whether AAC %s can be copied", ([, config, expected]) =>
      withCamera(
        { audio: true, settings: () => ({ quirks: { sdp: aacInstead(config) } }) },
        ({ probe }) =>
          Effect.gen(function* () {
            const { audio } = yield* probe()
            assert.strictEqual(audio?.codec, "aac")
            assert.strictEqual(audio?.copyable, expected)
          })
      )
    )

    it.live("fails with NoVideo if the camera sends none", () =>
      withCamera(
        { audio: true, settings: () => ({ quirks: { sdp: withoutVideo } }) },
        ({ probe }) =>
          Effect.gen(function* () {
            assert.strictEqual((yield* reasonOf(probe()))._tag, "NoVideo")
          })
      )
    )

    it.live("fails with Refused at a closed port", () =>
      withCamera({}, ({ probe }) =>
        Effect.gen(function* () {
          const port = yield* freePort
          const reason = yield* reasonOf(probe(`rtsp://127.0.0.1:${port}/cam`))
          assert.strictEqual(reason._tag, "Refused")
          assert.include(reason.message, `127.0.0.1:${port}`)
        })
      )
    )

    it.live.skipIf(contract.cannotResolve !== undefined)(
      `fails with DnsError for a name without an address${contract.cannotResolve === undefined ? "" : ` (skipped: ${contract.cannotResolve})`}`,
      () =>
        withCamera({}, ({ probe }) =>
          Effect.gen(function* () {
            // a label of 70 letters is invalid, so no name server is queried
            const reason = yield* reasonOf(probe(`rtsp://${"a".repeat(70)}.x/cam`))
            assert.strictEqual(reason._tag, "DnsError")
          })
        )
    )

    it.live("times out on a camera that never responds", () =>
      withCamera(
        { settings: () => ({ quirks: { silentAt: "DESCRIBE" } }) },
        ({ probe }) =>
          Effect.gen(function* () {
            const reason = yield* reasonOf(probe())
            assert.deepInclude(reason, { _tag: "TimedOut", phase: "requesting the stream" })
          }),
        "2 seconds"
      )
    )

    it.live("authenticates with a password of any characters", () => {
      const password = "p@ss/w:rd?#%41 ä"
      return withCamera(
        { authentication: { username: "admin", password: Redacted.make(password) } },
        ({ probe, server }) =>
          Effect.gen(function* () {
            yield* probe(withCredentials(server, `admin:${encodeURIComponent(password)}`))
            assert.strictEqual(yield* server.authenticationFailures, 0)
          })
      )
    })

    it.live("makes one attempt with a wrong password", () =>
      withCamera(
        { authentication: { username: "admin", password: Redacted.make("right") } },
        ({ probe, server }) =>
          Effect.gen(function* () {
            const reason = yield* reasonOf(probe(withCredentials(server, "admin:wrong-one")))
            assert.strictEqual(reason._tag, "Unauthorized")
            assert.strictEqual(reason.pace, "lockout")
            assert.include(reason.message, "wrong")
            assert.notInclude(reason.message, "wrong-one")
            assert.strictEqual(yield* server.authenticationFailures, 1)
          })
      )
    )

    it.live("reports a missing password", () =>
      withCamera(
        { authentication: { username: "admin", password: Redacted.make("right") } },
        ({ probe }) =>
          Effect.gen(function* () {
            const reason = yield* reasonOf(probe())
            assert.strictEqual(reason._tag, "Unauthorized")
            assert.include(reason.message, "the row has none")
          })
      )
    )

    it.live("fails with NotFound at a path without a stream", () =>
      withCamera({}, ({ probe, server }) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* reasonOf(probe(server.url("other"))))._tag, "NotFound")
        })
      )
    )

    it.live("reports the status of a rejection", () =>
      withCamera({ settings: () => ({ quirks: { rejectWith: { DESCRIBE: 503 } } }) }, ({ probe }) =>
        Effect.gen(function* () {
          const reason = yield* reasonOf(probe())
          assert.strictEqual(reason._tag === "Rejected" && reason.status, 503)
        })
      )
    )

    it.live("fails on a response that is not RTSP", () =>
      withCamera(
        { settings: () => ({ quirks: { garbageAt: "DESCRIBE" } }) },
        ({ probe }) =>
          Effect.gen(function* () {
            const reason = yield* reasonOf(probe())
            assert.strictEqual(reason._tag, contract.onGarbage)
          }),
        "2 seconds"
      )
    )

    it.live("fails with Closed when the camera closes the connection", () =>
      withCamera({ settings: () => ({ quirks: { closeAt: "DESCRIBE" } }) }, ({ probe }) =>
        Effect.gen(function* () {
          const reason = yield* reasonOf(probe())
          assert.strictEqual(reason._tag, "Closed")
        })
      )
    )

    it.live("closes the connection with the scope, after success and after failure", () =>
      withCamera({ audio: true }, ({ probe, server }) =>
        Effect.gen(function* () {
          yield* probe()
          yield* server.awaitConnections(0)
          yield* Effect.flip(probe(server.url("other")))
          yield* server.awaitConnections(0)
        })
      )
    )

    it.live("closes the connection when it is interrupted", () =>
      withCamera(
        { settings: () => ({ quirks: { silentAt: "DESCRIBE" } }) },
        ({ probe, server }) =>
          Effect.gen(function* () {
            const probing = yield* Effect.forkChild(probe())
            yield* server.awaitConnections(1)
            yield* Fiber.interrupt(probing)
            yield* server.awaitConnections(0)
          }),
        "1 minute"
      )
    )
  })
}
