/** Alerts to a real MQTT broker. */
import { assert, describe, it } from "@effect/vitest"
import type { Webhook } from "@restream/config"
import { testAlert, WebhookClient } from "@restream/core/alerts"
import { Aedes } from "aedes"
import { Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { once } from "node:events"
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net"
import { createServer as createTlsServer } from "node:tls"
import { certificate, key } from "../rtsp/Certificate.ts"

interface Published {
  readonly topic: string
  readonly qos: number
  readonly retain: boolean
  readonly body: string
}

const makeBroker = Effect.fnUntraced(function* (tls?: {
  readonly key: string
  readonly cert: string
}) {
  const published: Array<Published> = []
  const broker = yield* Effect.promise(() =>
    Aedes.createBroker({
      authenticate: (_client, user, password, done) => {
        if (user === "ops" && password?.toString() === "p@ss") return done(null, true)
        done(Object.assign(new Error("no"), { returnCode: 4 }), false)
      }
    })
  )
  broker.on("publish", ({ payload, qos, retain, topic }) => {
    if (!topic.startsWith("$")) {
      published.push({ topic, qos, retain, body: payload.toString() })
    }
  })
  const handle = broker.handle.bind(broker)
  const server: Server = tls === undefined ? createTcpServer(handle) : createTlsServer(tls, handle)
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      server.close()
      await new Promise<void>((resolve) => broker.close(resolve))
    })
  )
  server.listen(0, "127.0.0.1")
  yield* Effect.promise(() => once(server, "listening"))
  return {
    port: (server.address() as AddressInfo).port,
    published,
    clients: () => broker.connectedClients
  }
})

const webhook = (url: string): Webhook => ({
  name: "home",
  url: Redacted.make(url),
  format: "mqtt",
  secret: undefined
})

const message = { alerts: [testAlert("1", 0)], id: "1" }

const send = (url: string) => WebhookClient.send(webhook(url), message)

describe("alerts by MQTT", () => {
  it.live("are published to the topic of the URL, as JSON", () =>
    Effect.gen(function* () {
      const broker = yield* makeBroker()
      const answer = yield* send(`mqtt://ops:p%40ss@127.0.0.1:${broker.port}/site%201/alerts`)
      assert.strictEqual(answer, "MQTT")
      const [first] = broker.published
      assert.deepInclude(first, { topic: "site 1/alerts", qos: 1, retain: false })
      assert.deepInclude(JSON.parse(first?.body ?? ""), { version: 1, event: "test", id: "1" })
      while (broker.clients() > 0) yield* Effect.sleep("10 millis")
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live("are refused by the reason of the broker, without the password", () =>
    Effect.gen(function* () {
      const broker = yield* makeBroker()
      const error = yield* Effect.flip(send(`mqtt://ops:planted@127.0.0.1:${broker.port}/alerts`))
      assert.strictEqual(error.detail, "wrong user name or password")
      assert.isFalse(error.isTransient)
      assert.notInclude(JSON.stringify(error) + String(error.stack), "planted")
      assert.deepStrictEqual(broker.published, [])
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live("are retried where there is no broker, or something else", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(makeBroker())
      const refused = yield* Effect.flip(send(`mqtt://127.0.0.1:${port}/alerts`))
      assert.strictEqual(refused.detail, `connection refused by 127.0.0.1:${port}`)
      assert.isTrue(refused.isTransient)
      const unknown = yield* Effect.flip(send("mqtt://broker.invalid/alerts"))
      assert.match(unknown.detail, /^cannot resolve host "broker\.invalid": /)
      const rude = createTcpServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rude.close()))
      rude.listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(rude, "listening"))
      const other = yield* Effect.flip(
        send(`mqtt://127.0.0.1:${(rude.address() as AddressInfo).port}/alerts`)
      )
      assert.isTrue(other.isTransient)
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live("go over TLS only to a broker with a trusted certificate", () =>
    Effect.gen(function* () {
      const broker = yield* makeBroker({ key, cert: certificate })
      const error = yield* Effect.flip(send(`mqtts://ops:p%40ss@127.0.0.1:${broker.port}/alerts`))
      assert.match(error.detail, /^certificate of 127\.0\.0\.1:\d+ not trusted/)
      assert.deepStrictEqual(broker.published, [])
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )
})
