/** The signalling of a live picture, through the daemon to a WebRTC server. */
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import { LiveSettings, Whep } from "@restream/core"
import { Effect, Layer, Redacted } from "effect"
import { namedServer } from "../kit/NamedServer.ts"
import { type Sent, serve, token, withToken } from "./DaemonServer.ts"
import { type Heard, playerServer, type Reply } from "./PlayerServer.ts"

const opened: Reply = {
  status: 201,
  headers: {
    "content-type": "application/sdp",
    location: "/cam1/whep/11111111-2222-4333-8444-555555555555?x=1",
    link: '<turn:turn.example>; rel="ice-server"; credential="PlantedTurn"'
  },
  body: "v=0\r\nanswer"
}

const sdp = { "content-type": "application/sdp" }
/** Browsers offer many codecs. */
const offer = {
  method: "POST",
  headers: sdp,
  body: `v=0\r\n${"a=rtpmap:96 VP8/90000\r\n".repeat(1000)}`
}
const play = "/api/cameras/1/whep"

/** The daemon in front of a WebRTC server, with camera 1 live. */
const fixture = Effect.fnUntraced(function* (
  reply: (heard: Heard) => Reply,
  more: Parameters<typeof serve>[0] = {}
) {
  const upstream = yield* playerServer(reply)
  const daemon = yield* serve({
    ...more,
    mediaServer: { webrtcUrl: `${upstream.url}/video`, ...more.mediaServer }
  })
  yield* daemon
    .send("/health/ready")
    .pipe(Effect.delay("10 millis"), Effect.repeat({ until: ({ status }) => status === 200 }))
  return { ...daemon, ...upstream }
})

describe("a live picture", () => {
  it.live("comes from the media server of its camera, where there are several", () =>
    Effect.gen(function* () {
      const [hall, yard] = [yield* playerServer(() => opened), yield* playerServer(() => opened)]
      const settings = {
        ...defaultSettings,
        mediaServers: {
          hall: { ...namedServer, webrtcUrl: hall.url },
          yard: { ...namedServer, webrtcUrl: yard.url }
        }
      }
      const play = (mediaServer: string) =>
        Effect.flatMap(Whep, ({ open }) => open({ mediaServer, path: "gate" }, "v=0")).pipe(
          Effect.provide(Whep.layer.pipe(Layer.provide(LiveSettings.layer(settings))))
        )
      yield* play("yard")
      assert.deepStrictEqual(
        [hall, yard].map(({ requests }) => requests.map(({ line }) => line)),
        [[], ["POST /gate/whep"]]
      )
      const removed = yield* Effect.flip(play("cellar"))
      assert.strictEqual(removed.code, "NotLive")
    })
  )

  it.live("hands the offer on, and nothing else of the page", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture(() => opened, withToken)
      const headers = { ...sdp, authorization: `Bearer ${token}`, cookie: "a=b" }
      const answer = yield* send(play, { ...offer, headers })
      assert.deepStrictEqual(
        [answer.status, answer.headers["content-type"], answer.body],
        [201, "application/sdp", "v=0\r\nanswer"]
      )
      const [heard] = requests
      assert.deepStrictEqual([heard!.line, heard!.body], ["POST /video/cam1/whep", offer.body])
      assert.strictEqual(heard!.headers["content-type"], "application/sdp")
      for (const name of ["authorization", "cookie", "origin", "referer"]) {
        assert.notProperty(heard!.headers, name)
      }
      // neither the address of the media server nor the credentials that it hands out
      assert.notMatch(JSON.stringify(answer.headers), /PlantedTurn|video/)
    })
  )

  it.live("names the session by an address of its own, which changes and ends it", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture(({ line }) =>
        line.startsWith("POST")
          ? opened
          : { status: line.startsWith("PATCH") ? 204 : line.endsWith("ended") ? 404 : 200 }
      )
      const { headers } = yield* send(play, offer)
      const { pathname } = new URL(headers.location!, `http://here${play}`)
      assert.strictEqual(pathname, `${play}/11111111-2222-4333-8444-555555555555`)
      const patched = yield* send(pathname, {
        method: "PATCH",
        headers: { "content-type": "application/trickle-ice-sdpfrag" },
        body: "a=candidate"
      })
      assert.strictEqual(patched.status, 204)
      assert.strictEqual((yield* send(pathname, { method: "DELETE" })).status, 204)
      const upstream = "/video/cam1/whep/11111111-2222-4333-8444-555555555555"
      assert.deepStrictEqual(
        requests.slice(1, 3).map(({ body, line }) => [line, body]),
        [
          [`PATCH ${upstream}`, "a=candidate"],
          [`DELETE ${upstream}`, ""]
        ]
      )
      // a session that has ended already
      yield* send("/api/cameras/1/whep/ended", { method: "DELETE" }).pipe(
        Effect.map(({ status }) => assert.strictEqual(status, 204))
      )
      // nothing but a session of this camera
      for (const path of [
        `${play}/..%2f..%2fcam2%2fwhep%2fx`,
        `${play}/a%3fb`,
        "/api/cameras/99/whep/x"
      ]) {
        assert.notStrictEqual((yield* send(path, { method: "DELETE" })).status, 204, path)
      }
      assert.lengthOf(requests, 4)
    })
  )

  it.live("logs in where the server asks for it, and the page does not see with what", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture(
        ({ headers }) => (headers.authorization === undefined ? { status: 401 } : opened),
        { mediaServer: { username: "restream", password: Redacted.make("PlantedPublisher") } }
      )
      const answer = yield* send(play, offer)
      assert.strictEqual(answer.status, 201)
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers.authorization),
        [undefined, `Basic ${Buffer.from("restream:PlantedPublisher").toString("base64")}`]
      )
      assert.notInclude(JSON.stringify(answer), "Planted")
    })
  )

  it.live("returns why a camera cannot be played", () =>
    Effect.gen(function* () {
      let reply: Reply = opened
      const { requests, send } = yield* fixture(() => reply)
      const problem = Effect.fnUntraced(function* (path = play) {
        const { body, status } = yield* send(path, offer)
        const { code, message } = JSON.parse(body) as Readonly<Record<string, string>>
        return [status, code, message] as const
      })
      for (const [answer, code, words] of [
        [{ status: 401 }, "AccessDenied", /does not let restream read the path; allow the user/],
        [
          { status: 404, body: '{"error":"no stream is available on path \'cam1\'"}' },
          "NoStream",
          /does not have the path: no stream is available on path 'cam1'$/
        ],
        [
          { status: 400, body: '{"error":"codecs not supported by client"}' },
          "UnsupportedCodecs",
          /codecs not supported by client/
        ],
        [
          { status: 500, body: "rtsp://u:PlantedUpstream@10.0.0.1/x failed" },
          "Rejected",
          /answered 500: rtsp:\/\/\*\*\*@10/
        ],
        [{ status: 200, body: "<html>" }, "Rejected", /is not a WHEP server/],
        [{ ...opened, body: "v=0\n".padEnd(70_000, "x") }, "Rejected", /not a WHEP server/]
      ] as const) {
        reply = answer
        const [status, said, message] = yield* problem()
        assert.deepStrictEqual([status, said], [409, code], message)
        assert.match(message!, words)
      }
      const count = requests.length
      const [status, code, message] = yield* problem("/api/cameras/2/whep")
      assert.deepStrictEqual([status, code], [409, "NotLive"])
      assert.match(message!, /the camera is not live: .*url/)
      assert.strictEqual((yield* problem("/api/cameras/99/whep"))[0], 404)
      assert.lengthOf(requests, count)
    })
  )

  it.live("reports that no WebRTC server responds, and the setting to correct", () =>
    Effect.gen(function* () {
      for (const [mediaServer, words] of [
        [
          { webrtcUrl: "http://127.0.0.1:1" },
          /responds at http:\/\/127\.0\.0\.1:1 \(.*\); check mediaServer\.webrtcUrl/
        ],
        [
          { host: "127.0.0.2" },
          /responds at http:\/\/127\.0\.0\.2:8889 \(connection refused\); set mediaServer\.webrtcUrl/
        ]
      ] as const) {
        const { send } = yield* fixture(() => opened, {
          mediaServer: { webrtcUrl: undefined, ...mediaServer }
        })
        const { body, status } = yield* send(play, offer)
        assert.strictEqual(status, 409)
        assert.include(body, "ServerUnreachable")
        assert.match(JSON.parse(body).message, words)
      }
    })
  )

  it.live("is refused like every other request that changes something", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture(() => opened, withToken)
      const authorization = `Bearer ${token}`
      const status = (path: string, sent: Sent) =>
        Effect.map(send(path, sent), ({ status }) => status)
      for (const [method, path] of [
        ["POST", play],
        ["PATCH", `${play}/x`],
        ["DELETE", `${play}/x`]
      ] as const) {
        const sent = { method, body: "v=0", headers: { ...sdp, authorization } }
        assert.strictEqual(yield* status(path, { ...sent, headers: sdp }), 401, method)
        const refused = (more: Readonly<Record<string, string>>) =>
          status(path, { ...sent, headers: { ...sent.headers, ...more } })
        assert.strictEqual(yield* refused({ host: "evil.example" }), 421, method)
        assert.strictEqual(yield* refused({ origin: "http://evil.example" }), 403, method)
        assert.strictEqual(yield* refused({ "sec-fetch-site": "cross-site" }), 403, method)
        if (method === "DELETE") continue
        assert.strictEqual(yield* refused({ "content-type": "text/plain" }), 415, method)
        const type = method === "POST" ? "application/sdp" : "application/trickle-ice-sdpfrag"
        const long = { method, body: "v=0".padEnd(65 * 1024, "x") }
        for (const headers of [{ "content-length": "66560" }, { "transfer-encoding": "chunked" }]) {
          const sent = { ...long, headers: { "content-type": type, authorization, ...headers } }
          assert.strictEqual(yield* status(path, sent), 413, `${method} ${JSON.stringify(headers)}`)
        }
      }
      assert.lengthOf(requests, 0)
    })
  )
})
