/** Playlists and segments for a page, through the daemon from an HLS server. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { serve, token, withToken } from "./DaemonServer.ts"
import { type Heard, playerServer, type Reply } from "./PlayerServer.ts"

const playlist = `#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=131824,CODECS="avc1.42c00c"
video1_stream.m3u8?session=5bd0
`

const hls = "/api/cameras/1/hls"

/** The daemon in front of an HLS server, with camera 1 live. */
const fixture = Effect.fnUntraced(function* (
  reply: (heard: Heard) => Reply = () => ({ status: 200, body: playlist }),
  more: Parameters<typeof serve>[0] = {}
) {
  const upstream = yield* playerServer(reply)
  const daemon = yield* serve({
    ...more,
    mediaServer: { hlsUrl: `${upstream.url}/video`, ...more.mediaServer }
  })
  yield* daemon
    .send("/health/ready")
    .pipe(Effect.delay("10 millis"), Effect.repeat({ until: ({ status }) => status === 200 }))
  return { ...daemon, ...upstream }
})

describe("HLS through the daemon", () => {
  it.live("passes playlists and segments on, and nothing else of the page or the server", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture(
        ({ line }) => ({
          status: 200,
          headers: { "content-type": "text/html", "set-cookie": "hlsSession=PlantedCookie" },
          body: line.includes("m3u8") ? playlist : "media"
        }),
        withToken
      )
      const headers = { authorization: `Bearer ${token}`, cookie: "a=b", range: "bytes=0-1" }
      for (const [file, type, body] of [
        ["index.m3u8", "application/vnd.apple.mpegurl", playlist],
        ["video1_stream.m3u8?session=5bd0&_HLS_msn=7&_HLS_part=1&x=y", undefined, playlist],
        ["dc5262a4eb54_video1_seg10.mp4?session=5bd0", "video/mp4", "media"],
        ["seg-1.ts", "video/mp2t", "media"]
      ] as const) {
        const answer = yield* send(`${hls}/${file}`, { headers })
        assert.deepStrictEqual([answer.status, answer.body], [200, body], file)
        if (type !== undefined) assert.strictEqual(answer.headers["content-type"], type)
        assert.notProperty(answer.headers, "set-cookie")
        assert.strictEqual(answer.headers["cross-origin-resource-policy"], "same-origin")
      }
      assert.deepStrictEqual(
        requests.map(({ line }) => line),
        [
          "GET /video/cam1/index.m3u8",
          "GET /video/cam1/video1_stream.m3u8?session=5bd0&_HLS_msn=7&_HLS_part=1",
          "GET /video/cam1/dc5262a4eb54_video1_seg10.mp4?session=5bd0",
          "GET /video/cam1/seg-1.ts"
        ]
      )
      for (const { headers } of requests) {
        for (const name of ["authorization", "cookie", "range", "referer"]) {
          assert.notProperty(headers, name)
        }
      }
    })
  )

  it.live("asks for playlists and segments of cameras that are live only", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture()
      for (const [path, status] of [
        [`${hls}/..%2f..%2fcam2%2findex.m3u8`, 400],
        [`${hls}/..%5cindex.m3u8`, 400],
        [`${hls}/%2e%2e`, 400],
        [`${hls}/a/index.m3u8`, 404],
        [`${hls}/`, 404],
        [`${hls}/index.html`, 400],
        [`${hls}/hls.min.js`, 400],
        [`${hls}/.m3u8`, 400],
        [`${hls}/http:%2f%2fevil.example%2fa.m3u8`, 400],
        [`${hls}/index.m3u8?session=a%2fb`, 400],
        [`${hls}/index.m3u8%3fx=y`, 400],
        ["/api/cameras/2/hls/index.m3u8", 409],
        ["/api/cameras/99/hls/index.m3u8", 404]
      ] as const) {
        assert.strictEqual((yield* send(path)).status, status, path)
      }
      assert.deepStrictEqual(requests, [])
    })
  )

  it.live("follows redirects to the same file only", () =>
    Effect.gen(function* () {
      let location = "/video/cam1/index.m3u8?cookieCheck=1"
      const { requests, send } = yield* fixture(({ line }) =>
        line.includes("cookieCheck")
          ? { status: 200, body: playlist }
          : { status: 302, headers: { location } }
      )
      assert.strictEqual((yield* send(`${hls}/index.m3u8`)).body, playlist)
      assert.lengthOf(requests, 2)
      for (const elsewhere of [
        "/video/cam2/index.m3u8?cookieCheck=1",
        "http://127.0.0.1:1/video/cam1/index.m3u8?cookieCheck=1",
        "http://[",
        "file:///etc/passwd"
      ]) {
        location = elsewhere
        const { body, status } = yield* send(`${hls}/index.m3u8`)
        assert.strictEqual(status, 409, elsewhere)
        assert.match(body, /answered 302"/)
      }
      assert.lengthOf(requests, 6)
      // in circles
      location = "/video/cam1/index.m3u8?again"
      assert.strictEqual((yield* send(`${hls}/index.m3u8`)).status, 409)
      assert.lengthOf(requests, 10)
    })
  )

  it.live("logs in where the server asks for it, and the page does not see with what", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture(
        ({ headers }) =>
          headers.authorization === undefined ? { status: 401 } : { status: 200, body: playlist },
        { mediaServer: { username: "restream", password: Redacted.make("PlantedPublisher") } }
      )
      const answer = yield* send(`${hls}/index.m3u8`)
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers.authorization),
        [undefined, `Basic ${Buffer.from("restream:PlantedPublisher").toString("base64")}`]
      )
      assert.notInclude(JSON.stringify(answer), "Planted")
    })
  )

  it.live("returns why there is no playlist", () =>
    Effect.gen(function* () {
      let reply: Reply = { status: 200 }
      const { send } = yield* fixture(() => reply)
      for (const [answer, code, words] of [
        [{ status: 401 }, "AccessDenied", /does not let restream read the path/],
        [{ status: 404, body: '{"error":"no stream"}' }, "NoStream", /the path: no stream$/],
        [
          { status: 500, body: "the stream doesn't contain any supported codec" },
          "UnsupportedCodecs",
          /supported codec/
        ],
        [
          { status: 500, body: "rtsp://u:PlantedUpstream@10.0.0.1/x failed" },
          "Rejected",
          /answered 500: rtsp:\/\/\*\*\*@10/
        ],
        [{ status: 200, body: "<html>" }, "Rejected", /is not an HLS server/],
        [{ status: 200, body: "#EXTM3U".padEnd(300_000) }, "Rejected", /is not an HLS server/]
      ] as const) {
        reply = answer
        const { body, status } = yield* send(`${hls}/index.m3u8`)
        const said = JSON.parse(body) as Readonly<Record<string, string>>
        assert.deepStrictEqual([status, said["code"]], [409, code], body)
        assert.match(said["message"]!, words)
      }
      const elsewhere = yield* serve({ mediaServer: { hlsUrl: "http://127.0.0.1:1" } })
      const { body } = yield* elsewhere
        .send(`${hls}/index.m3u8`)
        .pipe(Effect.repeat({ until: ({ body }) => body.includes("ServerUnreachable") }))
      assert.match(
        JSON.parse(body).message,
        /no HLS server responds at .*; check mediaServer\.hlsUrl/
      )
    })
  )

  it.live("breaks off a segment that is cut or too large", () =>
    Effect.gen(function* () {
      let reply: Reply = { status: 200, body: "media" }
      const { port } = yield* fixture(() => reply)
      const segment = Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${port}${hls}/seg.mp4`)
        let bytes = 0
        try {
          for await (const chunk of response.body ?? []) bytes += chunk.length
          return { bytes, isWhole: true }
        } catch {
          return { bytes, isWhole: false }
        }
      })
      assert.deepStrictEqual(yield* segment, { bytes: 5, isWhole: true })
      reply = { status: 200, body: "media", isCut: true }
      assert.isFalse((yield* segment).isWhole)
      reply = { status: 200, body: new Uint8Array(65 * 1024 * 1024) }
      const { bytes, isWhole } = yield* segment
      assert.isFalse(isWhole)
      assert.isAtMost(bytes, 64 * 1024 * 1024)
      // and the next is served
      reply = { status: 200, body: "media" }
      assert.isTrue((yield* segment).isWhole)
    })
  )

  it.live("limits the requests that are under way, and ends them with the page", () =>
    Effect.gen(function* () {
      let ended = 0
      const { port, requests, send } = yield* fixture(({ headers }) => {
        assert.isString(headers.host)
        return { status: 200, headers: { "content-length": "10" }, body: "media", isOpen: true }
      })
      const controller = new AbortController()
      // kept, because a response that nobody holds is ended
      const responses: Array<Response> = []
      for (let index = 0; index < 64; index++) {
        const url = `http://127.0.0.1:${port}${hls}/seg${index}.mp4`
        responses.push(yield* Effect.promise(() => fetch(url, { signal: controller.signal })))
      }
      assert.lengthOf(requests, 64)
      const { body, status } = yield* send(`${hls}/index.m3u8`)
      assert.strictEqual(status, 409)
      assert.include(body, "too many HLS requests")
      assert.lengthOf(requests, 64)
      assert.isTrue(responses.every(({ status }) => status === 200))
      for (const { closed } of requests) void closed.then(() => ended++)
      controller.abort()
      yield* Effect.promise(() => Promise.all(requests.map(({ closed }) => closed)))
      assert.strictEqual(ended, 64)
      yield* Effect.promise(async () => {
        for (;;) {
          const response = await fetch(`http://127.0.0.1:${port}${hls}/seg.mp4`)
          await response.body?.cancel()
          if (response.status === 200) return
        }
      })
    })
  )

  it.live("requires the token, and refuses other hosts", () =>
    Effect.gen(function* () {
      const { requests, send } = yield* fixture(undefined, withToken)
      const status = (headers: Readonly<Record<string, string>>) =>
        Effect.map(send(`${hls}/index.m3u8`, { headers }), ({ status }) => status)
      assert.strictEqual(yield* status({}), 401)
      const authorization = `Bearer ${token}`
      assert.strictEqual(yield* status({ authorization, host: "evil.example" }), 421)
      assert.lengthOf(requests, 0)
      assert.strictEqual(yield* status({ authorization }), 200)
    })
  )
})
