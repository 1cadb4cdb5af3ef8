/** The rules of access, each over a real socket; each test fails where its rule is missing. */
import { assert, describe, it } from "@effect/vitest"
import { attempt } from "@restream/config"
import { Effect, Redacted } from "effect"
import { createHash } from "node:crypto"
import { connect } from "node:net"
import { until } from "../kit/Eventually.ts"
import { type Answer, serve, type Sent, type Served, token, withToken } from "./DaemonServer.ts"

const bearer = (value: string): Sent => ({ headers: { authorization: `Bearer ${value}` } })

const post = (headers: Readonly<Record<string, string>> = {}, body = ""): Sent => ({
  method: "POST",
  headers,
  body
})

const signIn = (value: string, headers: Readonly<Record<string, string>> = {}): Sent =>
  post({ "content-type": "application/json", ...headers }, JSON.stringify({ token: value }))

describe("the Host header", () => {
  it.live("must name this server, on every path", () =>
    Effect.gen(function* () {
      const { port, send } = yield* serve({ allowedHosts: ["restream.example"] })
      const status = (host: string, path = "/api/cameras") =>
        Effect.map(send(path, { headers: { host } }), (answer) => answer.status)
      for (const host of [
        `127.0.0.1:${port}`,
        "localhost",
        "LOCALHOST:80",
        `[::1]:${port}`,
        "restream.example:443"
      ]) {
        assert.strictEqual(yield* status(host), 200, host)
      }
      for (const host of [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "restream.example.evil",
        "user@localhost",
        "10.0.0.7",
        "localhost:evil"
      ]) {
        assert.strictEqual(yield* status(host), 421, host)
        assert.strictEqual(yield* status(host, "/health/live"), 421, host)
        assert.strictEqual(yield* status(host, "/nothing"), 421, host)
      }
    })
  )
})

describe("the origin of a request that changes something", () => {
  it.live("must be the server's own, without a token, too", () =>
    Effect.gen(function* () {
      const { port, send } = yield* serve()
      const status = (headers: Readonly<Record<string, string>>, method = "POST") =>
        Effect.map(send("/api/cameras/1/retry", { method, headers }), (answer) => answer.status)
      assert.strictEqual(yield* status({}), 202)
      assert.strictEqual(yield* status({ "sec-fetch-site": "same-origin" }), 202)
      assert.strictEqual(yield* status({ "sec-fetch-site": "none" }), 202)
      assert.strictEqual(yield* status({ origin: `http://127.0.0.1:${port}` }), 202)
      for (const site of ["cross-site", "same-site"]) {
        assert.strictEqual(yield* status({ "sec-fetch-site": site }), 403, site)
      }
      for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1"]) {
        assert.strictEqual(yield* status({ origin }), 403, origin)
        assert.strictEqual(yield* status({ origin }, "OPTIONS"), 403, origin)
        assert.strictEqual(yield* status({ origin }, "DELETE"), 403, origin)
      }
      const read = yield* send("/api/cameras", { headers: { origin: "https://evil.example" } })
      assert.notProperty(read.headers, "access-control-allow-origin")
    })
  )
})

describe("an address that other machines can reach", () => {
  const problems = (env: Readonly<Record<string, string>>) =>
    attempt({ flags: {}, env }).problems.map(({ key }) => key)

  it("requires a token, or insecure", () => {
    for (const host of ["0.0.0.0", "::", "10.0.0.5", "restream.example"]) {
      assert.deepStrictEqual(problems({ RESTREAM_HTTP_HOST: host }), ["http.host"], host)
      assert.deepStrictEqual(
        problems({ RESTREAM_HTTP_HOST: host, RESTREAM_HTTP_TOKEN: "secret" }),
        []
      )
      assert.deepStrictEqual(
        problems({ RESTREAM_HTTP_HOST: host, RESTREAM_HTTP_INSECURE: "yes" }),
        []
      )
    }
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"]) {
      assert.deepStrictEqual(problems({ RESTREAM_HTTP_HOST: host }), [], host)
    }
  })
})

describe("the token", () => {
  it.live("is required for everything but health checks, the page's files and the sign-in", () =>
    Effect.gen(function* () {
      const { send } = yield* serve(withToken)
      const guarded = [
        "/api/cameras",
        "/api/cameras/1",
        "/api/overview",
        "/api/events",
        "/api/session",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/nothing",
        "//api/cameras",
        "/health",
        "/assets"
      ]
      for (const path of guarded) {
        assert.strictEqual((yield* send(path)).status, 401, path)
      }
      assert.strictEqual((yield* send("/api/cameras/1/retry", post())).status, 401)
      for (const path of ["/health/live", "/health/ready"]) {
        assert.strictEqual((yield* send(path)).status, 200, path)
      }
      // the page is another package's; its files are not refused
      for (const path of ["/", "/index.html", "/assets/main.js"]) {
        assert.notStrictEqual((yield* send(path)).status, 401, path)
      }
      assert.strictEqual((yield* send("/api/cameras", bearer(token))).status, 200)
      assert.strictEqual((yield* send("/api/cameras", bearer("wrong"))).status, 401)
      assert.strictEqual(
        (yield* send("/api/cameras", { headers: { authorization: token } })).status,
        401
      )
    })
  )

  it.live("is not compared any more after five wrong ones in a minute", () =>
    Effect.gen(function* () {
      const { send } = yield* serve(withToken)
      const statuses: Array<number> = []
      for (let i = 0; i < 3; i++) {
        statuses.push((yield* send("/api/cameras", bearer(`wrong ${i}`))).status)
        statuses.push((yield* send("/api/session", signIn(`wrong ${i}`))).status)
      }
      assert.deepStrictEqual(statuses, [401, 401, 401, 401, 401, 429])
      assert.strictEqual((yield* send("/api/cameras", bearer(token))).status, 429)
      assert.strictEqual((yield* send("/api/session", signIn(token))).status, 429)
      assert.strictEqual((yield* send("/health/live")).status, 200)
    })
  )

  it.live("is exchanged for a cookie that is not the token", () =>
    Effect.gen(function* () {
      const { port, send } = yield* serve(withToken)
      const cookieOf = ({ headers }: Answer) => headers["set-cookie"]?.[0] ?? ""
      const signedIn = yield* send("/api/session", signIn(token))
      assert.strictEqual(signedIn.status, 204)
      const cookie = cookieOf(signedIn)
      assert.match(cookie, /^restream_[0-9a-f]{8}=[0-9a-f]{64};/)
      assert.match(cookie, /HttpOnly/)
      assert.match(cookie, /SameSite=Strict/)
      assert.notMatch(cookie, /Secure/)
      assert.notInclude(decodeURIComponent(cookie), token)
      assert.notInclude(cookie, createHash("sha256").update(token).digest("hex"))
      const session = cookie.split(";", 1)[0]!
      assert.strictEqual(
        (yield* send("/api/cameras", { headers: { cookie: session } })).status,
        200
      )
      const forged = session.replace(/=..../, "=0000")
      assert.strictEqual((yield* send("/api/cameras", { headers: { cookie: forged } })).status, 401)
      const host = `127.0.0.1:${port}`
      const secure = yield* send("/api/session", signIn(token, { host, origin: `https://${host}` }))
      assert.match(cookieOf(secure), /Secure/)
      const sameToken = yield* serve(withToken)
      const otherToken = yield* serve({ token: Redacted.make("another") })
      const statusAt = (server: Served) =>
        Effect.map(
          server.send("/api/cameras", { headers: { cookie: session } }),
          ({ status }) => status
        )
      assert.strictEqual(yield* statusAt(sameToken), 200)
      assert.strictEqual(yield* statusAt(otherToken), 401)
    })
  )
})

describe("every response", () => {
  it.live("carries the policy and the other headers, errors included", () =>
    Effect.gen(function* () {
      const { send } = yield* serve({ mediaServer: { hlsUrl: "https://video.example:8888/live" } })
      const answers = [
        yield* send("/api/cameras"),
        yield* send("/nothing"),
        yield* send("/api/cameras?limit=x"),
        yield* send("/api/cameras", { headers: { host: "evil.example" } }),
        yield* send("/api/cameras/1/retry", post({ origin: "https://evil.example" }))
      ]
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [200, 404, 400, 421, 403]
      )
      for (const { headers, status } of answers) {
        const policy = String(headers["content-security-policy"])
        assert.include(policy, "default-src 'none'", String(status))
        assert.include(policy, "connect-src 'self';")
        assert.include(policy, "frame-ancestors 'none'")
        assert.notInclude(policy, "unsafe")
        assert.deepInclude(headers, {
          "x-content-type-options": "nosniff",
          "referrer-policy": "no-referrer",
          "cross-origin-resource-policy": "same-origin"
        })
        assert.notProperty(headers, "access-control-allow-origin")
      }
    })
  )

  it.live("to an invalid request names the problem, and logs no error", () =>
    Effect.gen(function* () {
      const { log, send } = yield* serve()
      const cases: ReadonlyArray<readonly [method: string, path: string, number, RegExp]> = [
        ["GET", "/api/cameras?limit=abc", 400, /query parameter limit: .*number/],
        ["GET", "/api/cameras?limit=-1", 400, /query parameter limit: .*1.*10000/],
        [
          "GET",
          "/api/cameras?limit=1.5",
          400,
          /query parameter limit: .*whole number from 1 to 10000/
        ],
        ["GET", "/api/cameras?word=foo", 400, /query parameter word: .*"down"/],
        ["GET", "/api/cameras?sort=evil", 400, /query parameter sort: .*"bitrate"/],
        ["GET", "/api/cameras?offset=1e99", 400, /query parameter offset: .*0.*1000000000/],
        ["GET", "/api/cameras/1/picture?maxAge=-5", 400, /query parameter maxAge: .*3600/],
        ["POST", "/api/cameras/1/whep", 415, /application\/sdp/],
        ["GET", "/api/cameras/%ZZ", 404, /no such page/],
        ["GET", "/nothing", 404, /no such page/],
        ["GET", "/assets/..%2f..%2fpackage.json", 404, /no such page/],
        ["DELETE", "/api/cameras/1", 405, /DELETE, but GET/],
        ["PUT", "/api/cameras/1/retry", 405, /PUT, but POST/],
        ["GET", "/api/cameras/1/retry", 405, /GET, but POST/],
        ["OPTIONS", "/api/overview", 405, /OPTIONS, but GET/],
        ["DELETE", "/metrics", 404, /no such page/]
      ]
      for (const [method, path, expected, message] of cases) {
        const { body, headers, status } = yield* send(path, { method })
        assert.strictEqual(status, expected, `${method} ${path}: ${body}`)
        assert.strictEqual(headers["content-type"], "application/json", path)
        const document = JSON.parse(body) as { readonly message: string }
        assert.match(document.message, message)
        assert.notMatch(body, / at |stack|\.ts/)
        assert.strictEqual("allow" in headers, status === 405)
      }
      assert.notMatch(log.everything(), /internal error|HttpApiSchemaError|RouteNotFound/)
    })
  )

  it.live("of the API page names its one script by its hash, and loads nothing", () =>
    Effect.gen(function* () {
      const { send } = yield* serve()
      const { body, headers, status } = yield* send("/docs")
      assert.strictEqual(status, 200)
      const scripts = [...body.matchAll(/<script>/g)]
      const script = body.slice(body.lastIndexOf("<script>") + 8, body.lastIndexOf("</script>"))
      assert.isAbove(scripts.length, 0)
      const hash = createHash("sha256").update(script).digest("base64")
      assert.include(String(headers["content-security-policy"]), `script-src 'sha256-${hash}';`)
      assert.notMatch(body, /<(?:script|link|img)[^>]+(?:src|href)=["']?https?:/)
    })
  )
})

describe("limits", () => {
  it.live("bound the body, with and without its length", () =>
    Effect.gen(function* () {
      const { send } = yield* serve(withToken)
      const long = "x".repeat(9000)
      const whole = yield* send("/api/session", signIn(long))
      assert.strictEqual(whole.status, 413)
      const chunked = yield* send("/api/session", signIn(long, { "transfer-encoding": "chunked" }))
      assert.isAtLeast(chunked.status, 400)
      assert.notStrictEqual(chunked.status, 401)
    })
  )

  it.live("bound the connections", () =>
    Effect.gen(function* () {
      const { port } = yield* serve()
      let closed = 0
      const sockets = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Array.from({ length: 260 }, () =>
            connect(port, "127.0.0.1")
              .on("error", () => {})
              .on("close", () => closed++)
          )
        ),
        (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
      )
      yield* until("the surplus connections to be closed", () => closed >= 4)
      assert.strictEqual(sockets.length - closed, 256)
    })
  )

  it.live("do not believe a forwarded address", () =>
    Effect.gen(function* () {
      const { send } = yield* serve(withToken)
      const statuses: Array<number> = []
      for (let i = 0; i < 6; i++) {
        const headers = { authorization: "Bearer wrong", "x-forwarded-for": `10.0.0.${i}` }
        statuses.push((yield* send("/api/cameras", { headers })).status)
      }
      assert.strictEqual(statuses.at(-1), 429)
    })
  )
})
