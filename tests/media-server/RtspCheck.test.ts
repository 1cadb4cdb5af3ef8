/** Which answers to OPTIONS show that a media server is reachable. */
import { assert, describe, it } from "@effect/vitest"
import { rtspCheck, StreamUrl } from "@restream/core"
import { freePort, RtspServer } from "@restream/core/testing"
import { Effect, Exit, Redacted } from "effect"
import { scripted } from "../kit/ScriptedServer.ts"

const address = (port: number) =>
  new StreamUrl({
    scheme: "rtsp",
    host: "127.0.0.1",
    port,
    username: "publisher",
    password: "TopSecret1"
  })

describe("rtspCheck", () => {
  for (const status of [200, 401, 403, 404, 500]) {
    it.live(`takes a server that responds with ${status} to OPTIONS for reachable`, () =>
      Effect.gen(function* () {
        const requests: Array<string> = []
        const { port } = yield* scripted((request, socket, exchange) => {
          requests.push(request)
          socket.write(`RTSP/1.0 ${status} x\r\nCSeq: ${exchange}\r\n\r\n`)
        })
        yield* rtspCheck(address(port))
        assert.lengthOf(requests, 1)
        assert.match(requests[0]!, /^OPTIONS rtsp:\/\/127\.0\.0\.1:\d+\/ RTSP/)
      })
    )
  }

  it.live("sends no credentials to a server that requires them, and leaves no connection", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: { username: "publisher", password: Redacted.make("another") },
        settings: () => ({ quirks: { authenticatesOptions: true } })
      })
      yield* rtspCheck(address(server.port))
      assert.strictEqual(yield* server.authenticationFailures, 0)
      yield* server.awaitConnections(0)
    })
  )

  it.live(
    "distinguishes a server that is not running, one that closes, and one that is not RTSP",
    () =>
      Effect.gen(function* () {
        const unused = yield* freePort
        assert.deepInclude(yield* Effect.flip(rtspCheck(address(unused))), {
          detail: `connection refused by 127.0.0.1:${unused}`,
          kind: "Refused"
        })
        for (const [answer, kind] of [
          [undefined, "Closed"],
          ["SSH-2.0-OpenSSH\r\n", "ProtocolError"]
        ] as const) {
          const { port } = yield* scripted((_, socket) =>
            answer === undefined ? void socket.end() : void socket.write(answer)
          )
          const exit = yield* Effect.exit(Effect.flip(rtspCheck(address(port))))
          assert.strictEqual(Exit.isSuccess(exit) && exit.value.kind, kind)
        }
      })
  )
})
