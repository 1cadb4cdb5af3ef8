/** Secrets that are planted behind every door of the HTTP server come out of none. */
import { assert, describe, it } from "@effect/vitest"
import { Reason } from "@restream/core"
import { Effect, Redacted } from "effect"
import { get } from "node:http"
import { until } from "../kit/Eventually.ts"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { row } from "../kit/Tree.ts"
import { serve, token, withToken } from "./DaemonServer.ts"

/** Each is in one place only, so that a failure names the door. */
const planted = {
  userInfo: "Planted1UserInfo",
  query: "Planted2Query",
  path: "Planted3Path",
  reasonUrl: "Planted4ReasonUrl",
  reasonField: "Planted5ReasonField",
  invalidRow: "Planted6InvalidRow",
  mediaServer: "Planted7MediaServer",
  token
}

const rows = [
  row(1, { url: `rtsp://admin:${planted.userInfo}@10.0.0.1/live?password=${planted.query}` }),
  row(2, { url: `rtsp://10.0.0.2/user=admin_password=${planted.path}_channel=1.sdp` }),
  row(3),
  row(4, { url: `rtsp://admin:${planted.invalidRow}@10.0.0.4:99999/live` }),
  row(5)
]

const fixture = Effect.gen(function* () {
  const fake = FakeEngine.make()
  const { answer } = fake
  fake.answer = (camera) => {
    const detail = `rtsp://admin:${planted.reasonUrl}@10.0.0.3/x said password=${planted.reasonField}`
    if (camera.id === "3") return Effect.fail(new Reason.ProtocolError({ detail }))
    if (camera.id === "5") return Effect.fail(new Reason.Rejected({ status: 500, detail }))
    return answer(camera)
  }
  const server = yield* serve(
    {
      ...withToken,
      mediaServer: { username: "publisher", password: Redacted.make(planted.mediaServer) }
    },
    rows,
    fake
  )
  const headers = { authorization: `Bearer ${token}` }
  yield* server.send("/api/overview", { headers }).pipe(
    Effect.map(({ body }) => JSON.parse(body).tally),
    Effect.delay("20 millis"),
    Effect.repeat({ until: ({ down, invalid, ok }) => ok === 2 && down === 2 && invalid === 1 })
  )
  return { ...server, headers }
})

describe("planted secrets", () => {
  it.live("come out of no route, no event and no header", () =>
    Effect.gen(function* () {
      const { headers, port, send } = yield* fixture
      const { paths } = JSON.parse((yield* send("/openapi.json", { headers })).body) as {
        readonly paths: Record<string, Record<string, unknown>>
      }
      const requests = Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods).flatMap((method) =>
          path === "/api/events"
            ? []
            : ["1", "2", "3", "4", "5", "none"].map((id) => ({
                method: method.toUpperCase(),
                path: path.replace("{id}", id)
              }))
        )
      )
      const others = [
        "/metrics",
        "/docs",
        "/openapi.json",
        "/",
        "/nothing",
        "/api/cameras?history=true&q=x"
      ]
      assert.isAbove(requests.length, 30)
      const said: Array<string> = []
      // what changes something comes last
      requests.sort((a, b) => a.method.localeCompare(b.method))
      for (const { method, path } of [
        ...others.map((path) => ({ method: "GET", path })),
        ...requests
      ]) {
        const answer = yield* send(
          path,
          path.endsWith("/whep")
            ? { method, headers: { ...headers, "content-type": "application/sdp" }, body: "v=0" }
            : { method, headers }
        )
        said.push(`${method} ${path} ${JSON.stringify(answer.headers)} ${answer.body}`)
      }
      const wrong = yield* send("/api/cameras", { headers: { authorization: `Bearer ${token}x` } })
      said.push(JSON.stringify(wrong))

      let events = ""
      const stream = get({ host: "127.0.0.1", port, path: "/api/events", headers }, (response) => {
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => (events += chunk))
      })
      stream.on("error", () => {})
      yield* until("the events", () => events.includes("event: rates"))
      stream.destroy()
      said.push(events)

      const text = said.join("\n")
      for (const [door, secret] of Object.entries(planted)) {
        const at = text.indexOf(secret)
        assert.strictEqual(at, -1, `${door}: ${text.slice(Math.max(0, at - 200), at)}`)
      }
      // the problems and the addresses themselves are shown
      assert.include(text, "rtsp://***@10.0.0.3/x")
      assert.include(text, "rtsp://***@10.0.0.1/live")
      assert.include(text, "99999")
      assert.include(text, "no WebRTC server responds")
    })
  )
})
