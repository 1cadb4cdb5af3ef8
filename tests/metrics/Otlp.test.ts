/** The export to a collector: what arrives, and that a collector that fails costs nothing. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import * as Daemon from "../kit/Daemon.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Site from "../kit/Site.ts"

/** A collector that keeps what it gets by path, and answers with a status. */
const collector = (status: number) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly url: string
      readonly received: Map<string, string>
      readonly headers: Set<string>
      readonly close: () => void
    }>((resume) => {
      const received = new Map<string, string>()
      const headers = new Set<string>()
      const server = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk: Buffer) => (body += chunk.toString()))
        request.on("end", () => {
          const path = request.url ?? ""
          received.set(path, (received.get(path) ?? "") + body)
          headers.add(String(request.headers["x-key"]))
          response.writeHead(status, { "content-type": "application/json" }).end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { readonly port: number }
        const close = () => void server.closeAllConnections()
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, received, headers, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  it.effect("traces, metrics and log lines arrive at a collector, without secrets", () =>
    Effect.gen(function* () {
      const { headers, received, url } = yield* collector(200)
      const site = yield* Site.make
      yield* site.insert([
        { name: "Gate", url: "rtsp://admin:TopSecret1@127.0.0.1:1/x?password=TopSecret2" }
      ])
      const paths = yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({
        env: {
          ...site.env,
          RESTREAM_OTLP_URL: url,
          RESTREAM_OTLP_HEADERS: "x-key=abc",
          RESTREAM_OTLP_INTERVAL: "1s"
        }
      })
      yield* site.awaitLive(paths)
      const has = (path: string, text: string) => received.get(path)?.includes(text) === true
      yield* until("all of them", () =>
        ["/v1/traces", "/v1/metrics", "/v1/logs"].every((path) => received.has(path))
      )
      yield* until("a metric", () => has("/v1/metrics", "restream_cameras"))
      yield* until("a log line", () => has("/v1/logs", "connection refused by 127.0.0.1:1"))
      yield* until("a span", () => has("/v1/traces", "Supervisor.reconcile"))
      assert.deepStrictEqual(headers, new Set(["abc"]))
      yield* daemon.signal("SIGTERM")
      assert.strictEqual((yield* daemon.exit).code, 0)
      assert.notMatch([...received.values()].join("\n"), /TopSecret/)
    })
  )

  it.effect("a collector that fails disturbs neither relays nor the shutdown", () =>
    Effect.gen(function* () {
      const { received, url } = yield* collector(500)
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({
        env: { ...site.env, RESTREAM_OTLP_URL: url, RESTREAM_OTLP_INTERVAL: "1s" }
      })
      yield* site.awaitLive(paths)
      yield* until("an attempt", () => received.size > 0)
      yield* daemon.signal("SIGTERM")
      assert.strictEqual((yield* daemon.exit).code, 0)
    })
  )
})
