/** Makes the request that sends an alert to a webhook, by the webhook's format. */
import type { Webhook } from "@restream/config"
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"
import { nameSome } from "../camera/CameraNames.ts"
import { formatElapsed } from "../time/DurationText.ts"
import { type Alert, severityOf } from "./Alert.ts"

export interface WebhookRequest {
  /** Without credentials; the path and the query may be secrets. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The content of one request. */
export interface Message {
  /** One alert; for `alertmanager` also all open alerts. */
  readonly alerts: ReadonlyArray<Alert>
  /** Identifies the message; the same for all its attempts. */
  readonly id: string
}

/** @param now in milliseconds since 1970. */
export const requestOf = (webhook: Webhook, message: Message, now: number): WebhookRequest => {
  const url = new URL(Redacted.value(webhook.url))
  const headers: Record<string, string> = { "content-type": "application/json" }
  if (url.username !== "" || url.password !== "") {
    headers["authorization"] = `Basic ${basicTokenOf(url)}`
    url.username = ""
    url.password = ""
  }
  const secret = webhook.secret === undefined ? undefined : Redacted.value(webhook.secret)
  const to = (target: URL, document: unknown): WebhookRequest => ({
    url: target.href,
    headers,
    body: JSON.stringify(document)
  })
  const [alert] = message.alerts
  if (alert === undefined) return to(url, [])
  switch (webhook.format) {
    case "json": {
      const request = to(url, jsonOf(alert))
      if (secret !== undefined)
        Object.assign(headers, signatureOf(request.body, message.id, secret, now))
      return request
    }
    case "mqtt":
      return to(url, jsonOf(alert))
    case "slack":
      return to(url, { text: escapeForSlack(textOf(alert, now)) })
    case "mattermost":
      return to(url, { text: withoutMentions(textOf(alert, now)) })
    case "telegram": {
      const parameters = Object.fromEntries(url.searchParams)
      url.search = ""
      return to(url, {
        ...parameters,
        text: textOf(alert, now),
        link_preview_options: { is_disabled: true }
      })
    }
    case "ntfy": {
      const [, topic = ""] = /\/([^/]+)$/.exec(url.pathname) ?? []
      url.pathname = url.pathname.slice(0, -topic.length)
      if (secret !== undefined) headers["authorization"] = `Bearer ${secret}`
      return to(url, { topic, ...ntfyOf(alert, now) })
    }
    case "alertmanager": {
      url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v2/alerts`
      if (secret !== undefined) headers["authorization"] = `Bearer ${secret}`
      return to(
        url,
        message.alerts.map((one) => alertmanagerOf(one, now))
      )
    }
  }
}

/** The token of Basic authentication for the user name and the password of a URL. */
const basicTokenOf = ({ password, username }: URL): string =>
  Buffer.from(`${safelyDecoded(username)}:${safelyDecoded(password)}`).toString("base64")

/**
 * All texts of a request that may be secrets, for masking them in a response: a response may repeat any part of the
 * request.
 */
export const secretsOf = (webhook: Webhook): ReadonlyArray<string> => {
  const { secret } = webhook
  const text = Redacted.value(webhook.url)
  const url = new URL(text)
  const { password, pathname, search, searchParams, username } = url
  const parts = [
    ...pathname.split("/"),
    ...searchParams.values(),
    // percent-encoded or with +, as sent
    ...search
      .slice(1)
      .split("&")
      .map((field) => field.slice(field.indexOf("=") + 1)),
    username,
    password
  ]
  const basic = username === "" && password === "" ? "" : basicTokenOf(url)
  return [
    text,
    pathname + search,
    basic,
    basic.replace(/=+$/, ""),
    ...parts.flatMap((part) => [part, encodeURIComponent(part), safelyDecoded(part)]),
    ...(secret === undefined ? [] : [Redacted.value(secret)])
  ].filter((part) => part.length >= 4)
}

/** Decodes percent-encoding; returns malformed text unchanged. */
export const safelyDecoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The document of the format `json`. Times are milliseconds since 1970; unknown values are null. */
const jsonOf = (alert: Alert) => ({
  version: 1,
  ...alert,
  node: alert.node ?? null,
  host: alert.host ?? null,
  resolvedAt: alert.resolvedAt ?? null,
  cameras: alert.cameras.map((camera) => ({ ...camera, path: camera.path ?? null }))
})

/**
 * The headers of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over the id, the time and
 * the body. By the specification, a secret that begins with `whsec_` is base64.
 */
const signatureOf = (
  body: string,
  id: string,
  secret: string,
  now: number
): Readonly<Record<string, string>> => {
  const timestamp = String(Math.floor(now / 1000))
  const key = secret.startsWith("whsec_")
    ? Buffer.from(secret.slice("whsec_".length), "base64")
    : Buffer.from(secret)
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`
  }
}

const symbolOf = ({ event, severity }: Alert): string => {
  switch (event) {
    case "resolved":
      return "🟢"
    case "test":
      return "🔵"
    default:
      return severity === "critical" ? "🔴" : "🟠"
  }
}

const headlineOf = ({ event, node, resolvedAt, since, title }: Alert): string => {
  const outcome =
    event === "resolved" ? `Resolved after ${formatElapsed((resolvedAt ?? since) - since)}: ` : ""
  return `${outcome}${title}${node === undefined ? "" : ` (node ${node})`}`
}

/** The lines below the headline. */
const detailsOf = (alert: Alert, now: number): ReadonlyArray<string> => {
  const { advice, cameras, count, event, since } = alert
  const more = count - cameras.length
  const named = `${nameSome(cameras)}${more > 0 ? `, in all ${count}` : ""}`
  const which = count > 1 ? [`Cameras: ${named}`] : []
  if (event === "resolved" || event === "test") return event === "test" ? [advice] : which
  return [...which, `Since ${formatElapsed(now - since)}. ${advice}`]
}

/** At most 4,096 characters, the limit of Telegram. */
const textOf = (alert: Alert, now: number): string =>
  [`${symbolOf(alert)} ${headlineOf(alert)}`, ...detailsOf(alert, now)].join("\n").slice(0, 4000)

/** Escapes mentions: a camera may be named `<!channel>`. */
const escapeForSlack = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** A zero-width space disables mentions: a camera may be named `@all`. */
const withoutMentions = (text: string): string => text.replaceAll("@", "@\u200b")

/** https://docs.ntfy.sh/publish/#publish-as-json */
const ntfyOf = (alert: Alert, now: number) => {
  const { event, severity } = alert
  const isOver = event === "resolved" || event === "test"
  return {
    title: headlineOf(alert),
    message: detailsOf(alert, now).join("\n") || headlineOf(alert),
    priority: isOver ? 3 : severity === "critical" ? 5 : 4,
    tags: [isOver ? "white_check_mark" : severity === "critical" ? "rotating_light" : "warning"]
  }
}

/** An Alertmanager resolves an alert that is not repeated within this time. */
const alertmanagerHoldMs = 10 * 60_000

/** The names of alerts by the family of their problems, which never changes: other families are about cameras. */
const alertNames: Readonly<Record<string, string>> = {
  "media-server": "RestreamMediaServerDown",
  database: "RestreamDatabaseDown",
  cluster: "RestreamNodeNotInCluster",
  flapping: "RestreamCamerasFlapping",
  invalid: "RestreamCamerasInvalid",
  test: "RestreamTest"
}

/**
 * https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml: `postableAlert`. The labels identify an
 * alert in the Alertmanager, so they must not change while the alert is open.
 */
const alertmanagerOf = (alert: Alert, now: number) => {
  const { advice, cameras, count, event, host, key, kind, node, resolvedAt, since, title } = alert
  const [family = ""] = key.split(" ", 1)
  const endsAt = resolvedAt ?? now + (event === "test" ? 60_000 : alertmanagerHoldMs)
  return {
    labels: {
      alertname: alertNames[family] ?? "RestreamCamerasDown",
      service: "restream",
      severity: severityOf(family),
      problem: key,
      ...(node === undefined ? {} : { node })
    },
    annotations: {
      summary: title,
      description: advice,
      reason: kind,
      count: String(count),
      ...(cameras.length === 0 ? {} : { cameras: nameSome(cameras) }),
      ...(host === undefined ? {} : { host })
    },
    startsAt: new Date(since).toISOString(),
    endsAt: new Date(endsAt).toISOString()
  }
}
