/** What a camera or a media server says back may repeat the password of its URL. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine } from "@restream/core"
import { Effect } from "effect"
import { scripted } from "../../kit/ScriptedServer.ts"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { camera, job, probe, startRelay } from "../Streams.ts"

const describing = (sdp: string) => `RTSP/1.0 200 OK\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`

const echoes: ReadonlyArray<
  readonly [where: string, response: (secret: string) => string, shown: string]
> = [
  ["a status line", (secret) => `RTSP/1.0 454 no ${secret}\r\n`, "454 no ***"],
  [
    "a status line full of them",
    (secret) => `RTSP/1.0 454 ${secret.repeat(60)}\r\n`,
    `454 ${"*".repeat(180)}`
  ],
  ["a greeting", (secret) => `220 ${secret} FTP\r\n`, 'begins with "220 *** FTP"'],
  [
    "a greeting, at the end of what is quoted",
    (secret) => `220 a greeting of thirty-eight chars ${secret}\r\n`,
    'begins with "220 a greeting of thirty-eight chars ***"'
  ],
  [
    "a Digest algorithm",
    (secret) =>
      `RTSP/1.0 401 no\r\nWWW-Authenticate: Digest realm="a", nonce="b", algorithm="${secret}"\r\n`,
    "requires the Digest algorithm ***"
  ],
  [
    "a codec's name",
    (secret) => describing(`m=video 0 RTP/AVP 96\r\na=rtpmap:96 ${secret}/0\r\n`),
    "*** video: the clock rate is unknown"
  ],
  [
    "a protocol's name",
    (secret) => describing(`m=video 0 ${secret} 96\r\na=rtpmap:96 H264/90000\r\n`),
    "the protocol is ***, not RTP/AVP"
  ]
]

const engine = NativeEngine.make()

/** A password in user-info, in the path, and with a character that is percent-encoded in either case. */
const passwords = [
  ["rtsp://admin:Geheim3@127.0.0.1:PORT/", "Geheim3"],
  ["rtsp://admin:b@127.0.0.1:PORT/user=admin_password=Geheim3_channel=1", "Geheim3"],
  ["rtsp://admin:a%2Fbcdef@127.0.0.1:PORT/", "a%2fbcdef"]
] as const

describe("the native engine", () => {
  it.live.each(echoes)("masks the password of the URL in %s", ([, response, shown]) =>
    Effect.gen(function* () {
      for (const [address, secret] of passwords) {
        const { port } = yield* scripted((_, socket, exchange) => {
          const said = response(secret)
          socket.write(said.includes("\r\n\r\n") ? said : `${said}CSeq: ${exchange}\r\n\r\n`)
        })
        const error = yield* Effect.flip(
          probe(engine, camera(address.replace("PORT", String(port))))
        )
        assert.include(error.message, shown)
      }
    })
  )

  it.live("masks the password of the media server in its status line", () =>
    Effect.gen(function* () {
      const source = yield* RtspServer.make()
      yield* TestPattern.publish(source, "cam", { frameRate: 25, keyframeEvery: 1 })
      const { port } = yield* scripted(
        (_, socket, exchange) =>
          void socket.write(`RTSP/1.0 403 Geheim3 is wrong\r\nCSeq: ${exchange}\r\n\r\n`)
      )
      const relay = startRelay(
        engine,
        job(source.url("cam"), `rtsp://relay:Geheim3@127.0.0.1:${port}/out`)
      )
      const { message } = yield* Effect.flip(Effect.scoped(relay))
      assert.strictEqual(message, "the media server rejected the stream (403 *** is wrong)")
    })
  )
})
