/** Cameras and servers that answer with anything: the engine ends with a typed reason, and leaves nothing open. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine } from "@restream/core"
import { PublisherSession } from "@restream/core/rtsp"
import { Effect, Exit, Result } from "effect"
import * as fc from "fast-check"
import { createServer } from "node:net"
import { description, lines, orderly } from "../../rtsp/Cameras.ts"
import { cutAt, fuzzRuns } from "../../rtsp/Fuzz.ts"
import { camera, probe, urlOf } from "../Streams.ts"

/** A peer that answers each request with the next of its answers, in pieces, and then leaves. */
const answering = Effect.gen(function* () {
  const state: { answers: ReadonlyArray<ReadonlyArray<Buffer>> } = { answers: [] }
  let open = 0
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const listening = createServer((socket) => {
        open++
        let next = 0
        socket.on("data", () => {
          const answer = state.answers[next++]
          if (answer === undefined) return void socket.end()
          for (const piece of answer) socket.write(piece)
        })
        socket.on("error", () => {})
        socket.on("close", () => open--)
      })
      listening.listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
    }),
    (listening) => Effect.sync(() => listening.close())
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return { port, state, open: () => open }
})

const among = (...words: ReadonlyArray<string>) => fc.constantFrom(...words)

/** A status, and a header that belongs to it. */
const status: fc.Arbitrary<readonly [code: number, header: string]> = fc.oneof(
  { weight: 6, arbitrary: fc.constant([200, "Session: 1;timeout=5"] as const) },
  {
    weight: 1,
    arbitrary: among("Location: /elsewhere", "Location: rtsp://", "Location: x:", "Location:").map(
      (header) => [302, header] as const
    )
  },
  {
    weight: 1,
    arbitrary: among(
      'WWW-Authenticate: Digest realm="a, b", nonce="n", qop="auth,auth-int"',
      'WWW-Authenticate: Digest realm="r", nonce="n", stale=true',
      "WWW-Authenticate: Digest ,,,=",
      "WWW-Authenticate: Basic"
    ).map((header) => [401, header] as const)
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(100, 301, 304, 400, 404, 454, 457, 461, 500, 999)
      .map((code) => [code, "Server: x"] as const)
  }
)

const header = among(
  "CSeq: 1",
  "CSeq: 99999999999",
  "cseq:x",
  "Public: OPTIONS, DESCRIBE, GET_PARAMETER",
  "Session: 1;timeout=0",
  "Session: ;;;timeout=-5",
  "Session: 1",
  "Transport: RTP/AVP/TCP;unicast;interleaved=0-1",
  "Transport: RTP/AVP;interleaved=300-301",
  "Transport: RTP/AVP/UDP",
  "Content-Base: rtsp://rtsp://[::]/x/",
  "Content-Length: 5",
  "Content-Length: 99999999999",
  " folded"
)

/** An answer that may be right, with a description that may be any. */
const response = fc
  .tuple(
    status,
    fc.array(header, { maxLength: 2 }),
    fc.oneof(fc.constant(orderly), description, fc.string({ maxLength: 40 }))
  )
  .map(([[code, own], headers, sdp]) => {
    const body = Buffer.from(sdp, "utf8")
    const head = lines(`RTSP/1.0 ${code} x`, own, ...headers, `Content-Length: ${body.length}`)
    return Buffer.concat([Buffer.from(`${head}\r\n`), body])
  })

/** The same with some bytes changed, or only noise. */
const answer = fc.oneof(
  { weight: 6, arbitrary: response },
  {
    weight: 2,
    arbitrary: fc
      .tuple(response, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([bytes, changes]) => {
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        return bytes
      })
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)) }
)

const answers = fc.array(
  fc.tuple(answer, fc.array(fc.nat(), { maxLength: 3 })).map(([bytes, cuts]) => cutAt(bytes, cuts)),
  { maxLength: 6 }
)

/** A peer that sends half an answer keeps us waiting until the time is up. */
const timeout = "25 millis"

/** Runs an effect against a peer with all kinds of answers: it succeeds, or fails as it says, and never dies. */
const survives = Effect.fnUntraced(function* <
  A,
  E extends { readonly reason: { message: string } }
>(makeEffect: (port: number) => Effect.Effect<A, E>) {
  const peer = yield* answering
  const effect = Effect.result(makeEffect(peer.port))
  const run = Effect.runPromiseExitWith(yield* Effect.context<never>())
  yield* Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(answers, async (said) => {
        peer.state.answers = said
        const exit = await run(effect)
        assert.isTrue(Exit.isSuccess(exit), String(exit))
        if (Exit.isSuccess(exit) && Result.isFailure(exit.value)) {
          assert.isString(exit.value.failure.reason.message)
        }
      }),
      // each takes a connection, and some the time until it is up
      { numRuns: Math.ceil(fuzzRuns / 5) }
    )
  )
  while (peer.open() > 0) yield* Effect.sleep("5 millis")
})

describe.concurrent("the native engine, with any response of a peer,", () => {
  it.live("ends a probe with a stream or a reason, and closes its connection", () =>
    survives((port) =>
      probe(NativeEngine.make({ openTimeout: timeout }), camera(`rtsp://a:b@127.0.0.1:${port}/cam`))
    )
  )

  it.live("publishes or fails with a reason, and closes its connection", () =>
    survives((port) =>
      Effect.scoped(
        PublisherSession.open({
          url: urlOf(`rtsp://a:b@127.0.0.1:${port}/out`),
          announcement: { sdp: orderly, controls: ["trackID=0", "trackID=1"] },
          openTimeout: timeout,
          teardownTimeout: timeout
        })
      )
    )
  )
})
