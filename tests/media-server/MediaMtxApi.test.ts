/**
 * The client of MediaMTX's API, against the stand-in, and against MediaMTX itself:
 * `MEDIAMTX_BIN=/path/to/mediamtx npx vitest run tests/media-server/MediaMtxApi.test.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deadline, MediaMtxApi } from "@restream/core"
import { ReaderSession } from "@restream/core/rtsp"
import { freePort, RtspServer } from "@restream/core/testing"
import { Effect, Redacted } from "effect"
import { X509Certificate } from "node:crypto"
import { certificate } from "../rtsp/Certificate.ts"
import { publishable, url } from "../rtsp/LiveCamera.ts"
import { mediaMtx, skipped } from "../rtsp/Peers.ts"
import { type ApiServer, apiPassword, mediaMtxServer, publish, standIn } from "./ApiServers.ts"

if (mediaMtx === undefined) skipped("the API of MediaMTX itself", "MEDIAMTX_BIN names no binary")

const apiOf = (
  { apiUrl }: Pick<ApiServer, "apiUrl">,
  options: Partial<MediaMtxApi.MediaMtxApiOptions> = {}
) =>
  MediaMtxApi.make({
    url: apiUrl,
    trust: { _tag: "Verify" },
    timeout: Deadline.make("5 seconds"),
    ...options
  })

const peers = [
  { name: "the stand-in", make: standIn, isThere: true },
  { name: "MediaMTX", make: mediaMtxServer, isThere: mediaMtx !== undefined }
]
for (const { isThere, make, name } of peers) {
  describe.skipIf(!isThere)(`MediaMtxApi with ${name}`, () => {
    it.live("reports which paths are online, since when, with how many readers and bytes", () =>
      Effect.gen(function* () {
        const server = yield* make()
        const api = apiOf(server)
        yield* publish(server, "cam1", "restream/1 a")
        const reader = yield* ReaderSession.open({ url: url(server.at("cam1")) })
        yield* reader.setup(publishable(reader))
        yield* reader.play({ frames: () => {} })
        const report = (yield* api.paths).get("cam1")
        assert.deepInclude(report, { isOnline: true, readers: 1 })
        assert.isNumber(report?.onlineSince)
        assert.isNumber(report?.inboundBytes)
        assert.isFalse((yield* api.paths).get("cam2")?.isOnline ?? false)
      })
    )

    it.live("reads a list of several pages", () =>
      Effect.gen(function* () {
        const server = yield* make()
        for (const n of [1, 2, 3, 4, 5]) yield* publish(server, `cam${n}`, "restream/1 a")
        const paths = yield* apiOf(server, { pageSize: 2 }).paths
        assert.deepStrictEqual(
          [1, 2, 3, 4, 5].map((n) => paths.get(`cam${n}`)?.isOnline),
          [true, true, true, true, true]
        )
      })
    )

    it.live("names the publisher of a path, and ends it", () =>
      Effect.gen(function* () {
        const server = yield* make()
        const api = apiOf(server)
        const publisher = yield* publish(server, "cam1", "restream/1 abc")
        yield* publish(server, "cam2", "Lavf")
        const publishers = yield* api.publishers
        const ghost = publishers.find(({ path }) => path === "cam1")
        assert.strictEqual(ghost?.userAgent, "restream/1 abc")
        assert.isTrue(yield* api.kick(ghost!))
        yield* Effect.flip(publisher.closed)
        assert.deepStrictEqual(
          (yield* api.publishers).map(({ path, userAgent }) => [path, userAgent]),
          [["cam2", "Lavf"]]
        )
        assert.isFalse(yield* api.kick(ghost!))
      })
    )

    it.live("names the setting to correct where access is refused, without the password", () =>
      Effect.gen(function* () {
        const { apiPort } = yield* make()
        const refused = (credentials: string) =>
          Effect.flip(
            apiOf({ apiUrl: Redacted.make(`http://${credentials}127.0.0.1:${apiPort}`) }).paths
          )
        const wrong = yield* refused(`operator:${apiPassword}x@`)
        assert.match(
          wrong.message,
          /^the API refused the user name or password of mediaServer\.apiUrl \(401\)/
        )
        assert.notInclude(JSON.stringify(wrong), apiPassword)
        const missing = yield* refused("")
        assert.match(missing.message, /^the API requires a user name and password \(401\)/)
      })
    )
  })
}

describe.skipIf(mediaMtx === undefined)("MediaMtxApi with MediaMTX", () => {
  it.live("does not take an offline clip for a publisher", () =>
    Effect.gen(function* () {
      const server = yield* mediaMtxServer()
      const report = (yield* apiOf(server).paths).get("always")
      assert.isFalse(report?.isOnline)
    })
  )
})

describe("MediaMtxApi", () => {
  const detailOf = (apiUrl: string) =>
    Effect.map(
      Effect.flip(
        apiOf({ apiUrl: Redacted.make(apiUrl) }, { timeout: Deadline.make("300 millis") }).paths
      ),
      ({ message }) => message
    )

  it.live("fails with a reason where nothing, another server or a silent server is", () =>
    Effect.gen(function* () {
      const unused = yield* freePort
      assert.strictEqual(
        yield* detailOf(`http://127.0.0.1:${unused}`),
        `connection refused by 127.0.0.1:${unused}`
      )
      const rtsp = yield* RtspServer.make()
      assert.strictEqual(
        yield* detailOf(`http://127.0.0.1:${rtsp.port}`),
        "unexpected response (400); check that the URL is that of MediaMTX's API"
      )
      const server = yield* standIn()
      const answered = (answer: NonNullable<typeof server.answer>) => {
        server.answer = answer
        return detailOf(`http://127.0.0.1:${server.apiPort}`)
      }
      assert.strictEqual(
        yield* answered((response) => response.end('{"items": 7}')),
        "the response is not one of MediaMTX's API"
      )
      assert.strictEqual(
        yield* answered((response) => response.writeHead(404).end()),
        "no API of MediaMTX at this URL (404)"
      )
      assert.strictEqual(
        yield* answered((response) => response.writeHead(500).end("Planted7Body")),
        "unexpected response (500); check that the URL is that of MediaMTX's API"
      )
      assert.strictEqual(
        yield* answered((response) => response.destroy()),
        "the connection was closed"
      )
      assert.match(yield* answered(() => {}), /^no response to GET within 0\.3 s/)
    })
  )

  it.live("reads the fields of older versions", () =>
    Effect.gen(function* () {
      const server = yield* standIn()
      const items = [
        {
          name: "old",
          ready: true,
          readyTime: "2026-01-01T00:00:00Z",
          readers: [{}],
          bytesReceived: 7
        },
        { name: "idle", ready: false, readyTime: null, readers: null, bytesReceived: 0 }
      ]
      server.answer = (response) => response.end(JSON.stringify({ pageCount: 1, items }))
      const paths = yield* apiOf(server).paths
      assert.deepStrictEqual(
        [...paths.values()],
        [
          { isOnline: true, onlineSince: Date.UTC(2026, 0, 1), readers: 1, inboundBytes: 7 },
          { isOnline: false, onlineSince: undefined, readers: 0, inboundBytes: 0 }
        ]
      )
    })
  )

  it.live("sends the password by TLS only to a server that is trusted", () =>
    Effect.gen(function* () {
      const server = yield* standIn({ tls: true })
      const refused = yield* Effect.flip(apiOf(server).paths)
      assert.match(refused.message, /^certificate not trusted: self-signed/)
      assert.lengthOf(server.requests, 0)
      const sha256 = new X509Certificate(certificate).fingerprint256
      yield* apiOf(server, { trust: { _tag: "Fingerprint", sha256 } }).paths
      yield* apiOf(server, { trust: { _tag: "Insecure" } }).paths
      assert.lengthOf(server.requests, 2)
    })
  )
})
