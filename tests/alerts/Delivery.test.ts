import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import type { Webhook } from "@restream/config"
import { type Alert, Delivery, testAlert, WebhookClient } from "@restream/core/alerts"
import { Duration, Effect, Layer, Tracer } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as Log from "../kit/Log.ts"
import * as Receiver from "./Receiver.ts"

const alert = (id: string): Alert => ({ ...testAlert(id, 0), event: "opened" })
const message = { alerts: [alert("1")], id: "1" }

/** Advances the virtual clock in steps, with real time in between, until something has happened. */
const advanceUntil = (
  what: string,
  condition: () => boolean,
  step: Duration.Input = "500 millis"
) =>
  Effect.gen(function* () {
    for (let i = 0; i < 5000; i++) {
      if (condition()) return
      yield* TestClock.withLive(Effect.sleep("1 millis"))
      yield* TestClock.adjust(step)
    }
    return yield* Effect.die(new Error(`waited in vain: ${what}`))
  })

/** Until something has happened, in real time only. */
const awaitLive = (what: string, condition: () => boolean) =>
  advanceUntil(what, condition, Duration.zero)

const idOf = ({ body }: Receiver.Received): string => JSON.parse(body).id

const nodeHttp = Layer.fresh(NodeHttpClient.layerNodeHttp)

describe("Delivery", () => {
  it.effect("sends each alert once, in order", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      const { offer } = yield* Delivery.make(Effect.succeed([Receiver.webhook("a", receiver.url)]))
      for (const id of ["1", "2", "3"]) yield* offer(alert(id))
      yield* awaitLive("three alerts", () => receiver.received.length === 3)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(receiver.received.map(idOf), ["1", "2", "3"])
      assert.deepStrictEqual(
        receiver.received.map(({ method }) => method),
        ["POST", "POST", "POST"]
      )
    }).pipe(Effect.provide(nodeHttp))
  )

  it.effect("retries with backoff, and waits as long as it is asked to", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      const log = Log.make()
      const answers: Array<Receiver.Answer> = [
        { status: 500 },
        { status: 503 },
        { status: 429, headers: { "retry-after": "90" } },
        { status: 429, body: '{"ok":false,"parameters":{"retry_after":75}}' },
        { status: 502 }
      ]
      receiver.answer = () => answers.shift() ?? { status: 204 }
      yield* log.capture(
        Effect.gen(function* () {
          const { offer } = yield* Delivery.make(
            Effect.succeed([Receiver.webhook("a", receiver.url)])
          )
          yield* offer(alert("1"))
          yield* offer(alert("2"))
          yield* advanceUntil("both alerts", () => receiver.received.length === 7)
        })
      )
      assert.deepStrictEqual(receiver.received.map(idOf), ["1", "1", "1", "1", "1", "1", "2"])
      const gaps = receiver.received
        .slice(1, 6)
        .map(({ at }, index) => at - receiver.received[index]!.at)
      for (const [index, least] of [1000, 2000, 90_000, 75_000, 16_000].entries()) {
        assert.isAtLeast(gaps[index]!, least)
      }
      // one line for each problem, and one for its end
      const label = `webhook "a" (http://127.0.0.1:${receiver.port}/***) does not take alerts`
      const lines = log.lines()
      assert.lengthOf(lines, 5)
      for (const [index, status] of [500, 503, 429, 502].entries()) {
        assert.isTrue(lines[index]?.startsWith(`Warn ${label}: HTTP ${status}`), lines[index])
      }
      assert.match(lines[4]!, /^Info webhook "a" takes alerts again after 3 min/)
    }).pipe(Effect.provide(nodeHttp))
  )

  it.effect("keeps webhooks apart: one that hangs delays no other", () =>
    Effect.gen(function* () {
      const hanging = yield* Receiver.make()
      hanging.answer = () => undefined
      const good = yield* Receiver.make()
      const { offer } = yield* Delivery.make(
        Effect.succeed([
          Receiver.webhook("hanging", hanging.url),
          Receiver.webhook("closed", "http://127.0.0.1:1/"),
          Receiver.webhook("good", good.url)
        ])
      )
      for (let i = 0; i < 5; i++) yield* offer(alert(String(i)))
      yield* awaitLive("the good one", () => good.received.length === 5)
      assert.strictEqual(hanging.received.length, 1)
      // given up after 10 s, and tried again
      yield* advanceUntil("a second attempt", () => hanging.received.length === 2)
      assert.isAtLeast(hanging.received[1]!.at - hanging.received[0]!.at, 11_000)
    }).pipe(Effect.provide(nodeHttp))
  )

  it.effect("keeps a bounded number of alerts, the newest", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      const log = Log.make()
      receiver.answer = () => ({ status: 500 })
      yield* log.capture(
        Effect.gen(function* () {
          const { offer } = yield* Delivery.make(
            Effect.succeed([Receiver.webhook("a", receiver.url)])
          )
          yield* offer(alert("0"))
          yield* awaitLive("the first attempt", () => receiver.received.length === 1)
          for (let i = 1; i <= 150; i++) yield* offer(alert(String(i)))
          receiver.answer = () => ({ status: 200 })
          receiver.received.length = 0
          yield* advanceUntil("the alerts", () => receiver.received.length === 101)
        })
      )
      const ids = receiver.received.map(idOf)
      assert.deepStrictEqual([ids[0], ids[1], ids.at(-1)], ["0", "51", "150"])
      assert.lengthOf(log.matching(/more than 100 alerts wait; the oldest are dropped/), 1)
    }).pipe(Effect.provide(nodeHttp))
  )

  it.effect("drops an alert that could not be delivered for a day", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      const log = Log.make()
      receiver.answer = (request) => ({ status: idOf(request) === "1" ? 404 : 200 })
      yield* log.capture(
        Effect.gen(function* () {
          const { offer } = yield* Delivery.make(
            Effect.succeed([Receiver.webhook("a", receiver.url)])
          )
          yield* offer(alert("1"))
          yield* offer(alert("2"))
          yield* advanceUntil(
            "the second alert",
            () => receiver.received.some((request) => idOf(request) === "2"),
            "5 minutes"
          )
        })
      )
      assert.lengthOf(log.matching(/HTTP 404/), 1)
      assert.lengthOf(log.matching(/Error .*for a day and is dropped/), 1)
    }).pipe(Effect.provide(nodeHttp))
  )

  it.effect("reads the settings before each attempt", () =>
    Effect.gen(function* () {
      const old = yield* Receiver.make()
      old.answer = () => ({ status: 404 })
      const corrected = yield* Receiver.make()
      let webhooks: ReadonlyArray<Webhook> = [Receiver.webhook("a", old.url)]
      const { offer } = yield* Delivery.make(Effect.sync(() => webhooks))
      yield* offer(alert("1"))
      yield* awaitLive("an attempt", () => old.received.length === 1)
      webhooks = [Receiver.webhook("a", corrected.url)]
      yield* advanceUntil(
        "the corrected webhook",
        () => corrected.received.length === 1,
        "1 second"
      )
      assert.lengthOf(old.received, 1)
      // removed
      webhooks = []
      yield* offer(alert("2"))
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(corrected.received, 1)
    }).pipe(Effect.provide(nodeHttp))
  )

  it.effect("sends open alerts again to an Alertmanager only", () =>
    Effect.gen(function* () {
      const chat = yield* Receiver.make()
      const manager = yield* Receiver.make()
      const { repeat } = yield* Delivery.make(
        Effect.succeed([
          Receiver.webhook("chat", chat.url, { format: "slack" }),
          Receiver.webhook("am", manager.url, { format: "alertmanager" })
        ])
      )
      yield* repeat([alert("1"), alert("2")])
      yield* awaitLive("the alerts", () => manager.received.length === 1)
      assert.lengthOf(JSON.parse(manager.received[0]!.body), 2)
      assert.lengthOf(chat.received, 0)
    }).pipe(Effect.provide(nodeHttp))
  )
})

const planted = {
  path: "Planted1HookPath",
  query: "Planted2HookQuery",
  user: "Planted3HookUser",
  password: "Planted4Hook Pass",
  secret: "Planted5Secret"
}

describe.each([
  ["node:http", nodeHttp],
  ["fetch", FetchHttpClient.layer]
] as const)("WebhookClient over %s", (_, client) => {
  const urlOf = ({ port }: Receiver.Receiver) =>
    `http://${planted.user}:${encodeURIComponent(planted.password)}@127.0.0.1:${port}/services/${planted.path}?x=${planted.query}`

  it.live("shows no secret with any response of the webhook", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      receiver.answer = ({ body, headers, path }) => ({
        status: 400,
        body: `no such hook ${path} ${JSON.stringify(headers)} ${planted.user} ${planted.password} ${planted.secret} ${body}`
      })
      const log = Log.make()
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const hook = Receiver.webhook("a", urlOf(receiver), { secret: planted.secret })
      const error = yield* Effect.flip(WebhookClient.send(hook, message)).pipe(
        log.capture,
        Effect.withTracer(tracer)
      )
      assert.match(error.detail, /^HTTP 400: no such hook /)
      const text = [
        JSON.stringify(error),
        error.message,
        String(error.stack),
        log.everything(),
        ...spans.map((span) => JSON.stringify([span.name, [...span.attributes]]))
      ].join("\n")
      for (const [name, secret] of Object.entries(planted)) {
        assert.notInclude(text, secret, name)
        assert.notInclude(text, encodeURIComponent(secret), name)
      }
      // the secrets were sent
      const [received] = receiver.received
      assert.strictEqual(received?.path, `/services/${planted.path}?x=${planted.query}`)
      assert.strictEqual(
        received?.headers.authorization,
        `Basic ${btoa(`${planted.user}:${planted.password}`)}`
      )
    }).pipe(Effect.provide(client))
  )

  it.live("shows no part of the credentials that a webhook repeats by itself", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      const basic = btoa("user:pass")
      const url = `http://user:pass@127.0.0.1:${receiver.port}/500/sk-tok/a%20key?x=q1w2&x=sp%20ace&y=z&t0ken`
      const bodies: ReadonlyArray<readonly [body: string, shown: string]> = [
        [`Basic ${basic}`, "Basic ***"],
        [`{"authorization":"Basic ${basic}"}`, '{"authorization":"Basic ***"}'],
        [basic.replaceAll("=", ""), "***"],
        ["err body sk-tok", "err body ***"],
        ["no such a%20key or a key", "no such *** or ***"],
        ["unknown q1w2, sp%20ace, sp ace, t0ken", "unknown ***, ***, ***, ***"]
      ]
      for (const [body, shown] of bodies) {
        receiver.answer = () => ({ status: 500, body })
        const { detail } = yield* Effect.flip(
          WebhookClient.send(Receiver.webhook("a", url), message)
        )
        assert.strictEqual(detail, `HTTP 500: ${shown}`)
      }
      assert.strictEqual(receiver.received[0]?.headers.authorization, `Basic ${basic}`)
    }).pipe(Effect.provide(client))
  )

  it.live("names the host in full where a part of the path has the same name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        WebhookClient.send(Receiver.webhook("a", "http://hooks.invalid/hooks"), message)
      )
      assert.match(error.detail, /"hooks\.invalid"/)
    }).pipe(Effect.provide(client))
  )

  it.live("follows no redirect", () =>
    Effect.gen(function* () {
      const elsewhere = yield* Receiver.make()
      const receiver = yield* Receiver.make()
      receiver.answer = () => ({ status: 307, headers: { location: `${elsewhere.url}/x` } })
      const hook = Receiver.webhook("a", receiver.url)
      const error = yield* Effect.flip(WebhookClient.send(hook, message))
      assert.match(error.detail, /^redirect not followed \(HTTP 307\)/)
      assert.lengthOf(elsewhere.received, 0)
    }).pipe(Effect.provide(client))
  )

  it.live("reports why a webhook is unreachable", () =>
    Effect.gen(function* () {
      const { port, url } = yield* Effect.scoped(Receiver.make())
      const refused = yield* Effect.flip(
        WebhookClient.send(Receiver.webhook("a", `${url}/Planted`), message)
      )
      assert.strictEqual(refused.detail, `connection refused by 127.0.0.1:${port}`)
    }).pipe(Effect.provide(client))
  )

  it.live("reads little of an endless answer", () =>
    Effect.gen(function* () {
      const receiver = yield* Receiver.make()
      receiver.answer = () => ({ status: 500, body: "x".repeat(5_000_000) })
      const error = yield* Effect.flip(
        WebhookClient.send(Receiver.webhook("a", receiver.url), message)
      )
      assert.isAtMost(error.detail.length, 300)
    }).pipe(Effect.provide(client))
  )
})
