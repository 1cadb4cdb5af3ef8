/**
 * What every prober does, against cameras on real sockets.
 *
 * The camera is the embedded RTSP server. An adapter passes a function that makes its prober.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  type CameraOptions,
  ProbeError,
  type Prober,
  type StreamInfo,
  StreamUrl
} from "@restream/core"
import { freePort, RtspServer, type RtspServerOptions, TestPattern } from "@restream/core/testing"
import { type Duration, Effect, Fiber, Redacted, Result, type Scope } from "effect"

export interface ProberContractOptions {
  /** Makes the prober. `probeTimeout` is the deadline of a probe. */
  readonly make: (options: {
    readonly probeTimeout: Duration.Input
  }) => Effect.Effect<Prober, never, Scope.Scope>
  /** Why the prober can't look up host names, where it can't. */
  readonly cannotResolve?: string | undefined
}

const options: CameraOptions = {
  engine: "auto",
  transport: "tcp",
  audio: "auto",
  wallclock: false,
  insecure: false,
  fingerprint: undefined
}

const urlOf = (text: string): StreamUrl => Result.getOrThrow(StreamUrl.parse(text))

/** AAC in place of the pattern's tone, with or without its configuration. */
const aacInstead = (config: string) => (sdp: string) =>
  sdp
    .replace("m=audio 0 RTP/AVP 0", "m=audio 0 RTP/AVP 97")
    .replace(
      "a=rtpmap:0 PCMU/8000",
      `a=rtpmap:97 MPEG4-GENERIC/44100/2\r\na=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3${config}`
    )

const withoutVideo = (sdp: string) => sdp.replace(/m=video[^]*?(?=m=|$)/, "")

/** Runs the suite of the port {@link Prober} against an adapter. */
export const proberContract = (name: string, contract: ProberContractOptions): void => {
  /** A camera at the path `cam`, and its prober. */
  const withCamera = <A, E>(
    camera: RtspServerOptions & TestPattern.TestPatternOptions,
    test: (peers: {
      readonly server: RtspServer["Service"]
      readonly probe: (url?: string) => Effect.Effect<StreamInfo, ProbeError>
    }) => Effect.Effect<A, E, Scope.Scope>,
    probeTimeout: Duration.Input = "8 seconds"
  ) =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make(camera)
      yield* TestPattern.publish(server, "cam", camera)
      const prober = yield* contract.make({ probeTimeout })
      return yield* test({
        server,
        probe: (url = server.url("cam")) => prober.probe({ url: urlOf(url), options })
      })
    })

  const withCredentials = (server: RtspServer["Service"], userInfo: string) =>
    server.url("cam").replace("://", `://${userInfo}@`)

  const reasonOf = (probe: Effect.Effect<StreamInfo, ProbeError>) =>
    Effect.map(Effect.flip(probe), ({ reason }) => reason)

  describe.concurrent(`${name}, as a prober,`, () => {
    it.live("tells video and sound", () =>
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

    it.live("finds no sound where there is none", () =>
      withCamera({}, ({ probe }) =>
        Effect.gen(function* () {
          assert.isUndefined((yield* probe()).audio)
        })
      )
    )

    it.live.each([
      ["with its configuration", "; config=1210", true],
      ["without its configuration", "", false]
    ] as const)("tells whether AAC %s can be copied", ([, config, expected]) =>
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

    it.live("finds no video where there is none", () =>
      withCamera(
        { audio: true, settings: () => ({ quirks: { sdp: withoutVideo } }) },
        ({ probe }) =>
          Effect.gen(function* () {
            assert.strictEqual((yield* reasonOf(probe()))._tag, "NoVideo")
          })
      )
    )

    it.live("finds nobody at a closed port", () =>
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
      `finds no address for a name that has none${contract.cannotResolve === undefined ? "" : ` (skipped: ${contract.cannotResolve})`}`,
      () =>
        withCamera({}, ({ probe }) =>
          Effect.gen(function* () {
            // a label of 70 letters is none, so no name server is asked
            const reason = yield* reasonOf(probe(`rtsp://${"a".repeat(70)}.x/cam`))
            assert.strictEqual(reason._tag, "DnsError")
          })
        )
    )

    it.live("gives up on a camera that never answers", () =>
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

    it.live("opens with a password of any characters", () => {
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

    it.live("spends one wrong password, and no more", () =>
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

    it.live("says that a password is missing", () =>
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

    it.live("finds no stream at a path without one", () =>
      withCamera({}, ({ probe, server }) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* reasonOf(probe(server.url("other"))))._tag, "NotFound")
        })
      )
    )

    it.live("tells the status that a camera refuses with", () =>
      withCamera({ settings: () => ({ quirks: { refuse: { DESCRIBE: 503 } } }) }, ({ probe }) =>
        Effect.gen(function* () {
          const reason = yield* reasonOf(probe())
          assert.strictEqual(reason._tag === "Rejected" && reason.status, 503)
        })
      )
    )

    it.live("can't read what is no RTSP", () =>
      withCamera(
        { settings: () => ({ quirks: { garbageAt: "DESCRIBE" } }) },
        ({ probe }) =>
          Effect.gen(function* () {
            const reason = yield* reasonOf(probe())
            assert.include(["ProtocolError", "Closed", "TimedOut"], reason._tag)
          }),
        "2 seconds"
      )
    )

    it.live("notices that the camera closed the connection", () =>
      withCamera({ settings: () => ({ quirks: { closeAt: "DESCRIBE" } }) }, ({ probe }) =>
        Effect.gen(function* () {
          const reason = yield* reasonOf(probe())
          assert.strictEqual(reason._tag, "Closed")
        })
      )
    )

    it.live("leaves no connection behind, whatever it found", () =>
      withCamera({ audio: true }, ({ probe, server }) =>
        Effect.gen(function* () {
          yield* probe()
          yield* server.awaitConnections(0)
          yield* Effect.flip(probe(server.url("other")))
          yield* server.awaitConnections(0)
        })
      )
    )

    it.live("is gone from the camera when it was interrupted", () =>
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
