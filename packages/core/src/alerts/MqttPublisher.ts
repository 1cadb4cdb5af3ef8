/** Publishes messages to an MQTT broker, with one connection per message, because alerts are rare. */
import { mqttTopicOf, type Webhook, withoutBrackets } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { IClientOptions, MqttClient } from "mqtt"
import { connect as connectTcp, isIP } from "node:net"
import { connect as connectTls } from "node:tls"
import { HostResolver, nodeLookup } from "../network/HostResolver.ts"
import { connectionError, WebhookError } from "./WebhookError.ts"
import { safelyDecoded } from "./WebhookRequest.ts"

/**
 * Publishes a message to the topic of the URL, and waits for the broker's PUBACK: QoS 1, not retained, MQTT 3.1.1.
 *
 * @returns `MQTT`.
 */
export const publish = Effect.fnUntraced(function* (webhook: Webhook, body: string) {
  const url = new URL(Redacted.value(webhook.url))
  const resolver = yield* HostResolver
  // loaded on demand, because few installations use it
  const { MqttClient } = yield* Effect.promise(() => import("mqtt"))
  const open = Effect.acquireRelease(
    Effect.sync(() => new MqttClient(() => dial(url, nodeLookup(resolver)), optionsOf(url))),
    (client) =>
      Effect.sync(() => {
        client.on("error", () => undefined)
        client.end(true)
      })
  )
  yield* Effect.scoped(
    Effect.flatMap(open, (client) =>
      Effect.andThen(connected(client, webhook), published(client, webhook, url.pathname, body))
    )
  )
  return "MQTT"
})

type Lookup = ReturnType<typeof nodeLookup>

const isTls = ({ protocol }: URL): boolean => protocol === "mqtts:"

const dial = (url: URL, lookup: Lookup) => {
  const host = withoutBrackets(url.hostname)
  const port = url.port === "" ? (isTls(url) ? 8883 : 1883) : Number(url.port)
  const options = { host, port, lookup }
  return isTls(url)
    ? connectTls({ ...options, ...(isIP(host) === 0 ? { servername: host } : {}) })
    : connectTcp(options)
}

const optionsOf = (url: URL): IClientOptions => ({
  protocol: isTls(url) ? "mqtts" : "mqtt",
  clientId: `restream-${crypto.randomUUID().slice(0, 12)}`,
  protocolVersion: 4,
  // the caller retries
  reconnectPeriod: 0,
  ...(url.username === "" ? {} : { username: safelyDecoded(url.username) }),
  ...(url.password === "" ? {} : { password: safelyDecoded(url.password) })
})

const connected = (client: MqttClient, webhook: Webhook) =>
  Effect.callback<void, WebhookError>((resume) => {
    client.once("connect", () => resume(Effect.void))
    client.once("error", (error) => resume(Effect.fail(errorOf(webhook, error))))
    client.once("close", () => resume(Effect.fail(closed(webhook))))
  })

const published = (client: MqttClient, webhook: Webhook, path: string, body: string) =>
  Effect.callback<void, WebhookError>((resume) => {
    client.once("close", () => resume(Effect.fail(closed(webhook))))
    client.publish(mqttTopicOf(path) ?? "", body, { qos: 1 }, (error) =>
      resume(error ? Effect.fail(errorOf(webhook, error)) : Effect.void)
    )
  })

/** MQTT 3.1.1, table 3.1: why a broker refuses a connection. */
const refusals: Readonly<Record<number, string>> = {
  1: "the broker does not know MQTT 3.1.1",
  2: "the broker refused the client's name",
  3: "the broker is not available",
  4: "wrong user name or password",
  5: "the broker refused the user"
}

const errorOf = (webhook: Webhook, error: Error): WebhookError => {
  const code: unknown = "code" in error ? error.code : undefined
  if (typeof code !== "number") return connectionError(webhook, error, "MQTT")
  return new WebhookError({
    detail: refusals[code] ?? `the broker refused the connection (code ${code})`,
    kind: `MQTT ${code}`,
    isTransient: code === 3,
    retryAfterMs: undefined
  })
}

const closed = (webhook: Webhook): WebhookError => connectionError(webhook, undefined, "ECONNRESET")
