/** Where alerts are sent: the type of the setting `alerts.webhooks`. */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SettingType from "./SettingType.ts"

/**
 * The format of the messages to a webhook.
 *
 * - `json`: the alert as JSON, signed where a secret is set.
 * - `slack`, `mattermost`: a message to an incoming webhook.
 * - `telegram`: a message of a bot; the URL has its token and the query `chat_id`.
 * - `ntfy`: a message to the topic at the end of the URL.
 * - `alertmanager`: alerts to the base URL of a Prometheus Alertmanager.
 * - `mqtt`: the alert as JSON to a topic of an MQTT broker: `mqtts://user:password@host/topic`.
 */
export const WebhookFormat = Schema.Literals([
  "json",
  "slack",
  "mattermost",
  "telegram",
  "ntfy",
  "alertmanager",
  "mqtt"
])
export type WebhookFormat = typeof WebhookFormat.Type

export interface Webhook {
  /** Names it in the log, and for `restream alerts test`. */
  readonly name: string
  /** A person who has the URL can send messages, so it is a secret. */
  readonly url: Redacted.Redacted
  readonly format: WebhookFormat
  /** `json`: the key of the signature; `ntfy`, `alertmanager`: an access token. */
  readonly secret: Redacted.Redacted | undefined
}

/** The URL without possible secrets: `https://hooks.slack.com/***`. */
export const displayWebhookUrl = (url: Redacted.Redacted): string => {
  const { host, protocol } = new URL(Redacted.value(url))
  return `${protocol}//${host}/***`
}

const isUrl = (text: string): boolean =>
  /^(?:https?|mqtts?):\/\/[^\s#]+$/i.test(text) && URL.canParse(text) && new URL(text).host !== ""

const url: SettingType.SettingType<Redacted.Redacted> = {
  ...SettingType.secret,
  parse: (raw) =>
    Result.flatMap(SettingType.secret.parse(raw), (text) => {
      const trimmed = Redacted.value(text).trim()
      return isUrl(trimmed)
        ? Result.succeed(Redacted.make(trimmed))
        : Result.fail("the value is not a URL with http, https, mqtt or mqtts, without a fragment")
    }),
  display: displayWebhookUrl
}

const name = SettingType.text({
  problem: "is not a name (letters, digits and _ . -, up to 40 characters)",
  parse: (text) => (/^[\w.-]{1,40}$/.test(text.trim()) ? text.trim() : undefined)
})

const webhook: SettingType.SettingType<Webhook> = SettingType.struct(
  "webhook",
  {
    name: SettingType.field(name),
    url: SettingType.field(url),
    format: SettingType.fieldWithDefault(SettingType.choice(WebhookFormat), "json"),
    secret: SettingType.fieldWithDefault(SettingType.secret, undefined)
  },
  ({ format, name, url }) => `${name} (${format}, ${displayWebhookUrl(url)})`
)

/**
 * The topic in the path of a URL; `undefined` if it is not a topic to publish to.
 *
 * MQTT 3.1.1, 4.7: a topic has at most 65,535 bytes, no wildcard and no NUL; topics with `$` are reserved for the
 * broker.
 */
export const mqttTopicOf = (pathname: string): string | undefined => {
  const topic = Option.getOrUndefined(Option.liftThrowable(decodeURIComponent)(pathname.slice(1)))
  return topic === undefined || /^$|^\$|[#+\0]/.test(topic) || Buffer.byteLength(topic) > 65_535
    ? undefined
    : topic
}

/** The problem of a webhook to which no message could be sent. */
const problemOf = ({ format, secret, url }: Webhook): string | undefined => {
  const { pathname, protocol, search, searchParams } = new URL(Redacted.value(url))
  const isMqtt = /^mqtts?:$/.test(protocol)
  if (isMqtt !== (format === "mqtt")) {
    return isMqtt
      ? "format: expected mqtt, because the url begins with mqtt"
      : "url: expected mqtt://<broker>/<topic> or mqtts://<broker>/<topic>"
  }
  switch (format) {
    case "mqtt":
      if (search !== "" || mqttTopicOf(pathname) === undefined) {
        return "url: expected a topic without #, + and ? behind the broker, such as mqtt://broker/restream/alerts"
      }
      break
    case "telegram":
      if (!/^\/bot[^/]+\/sendMessage$/.test(pathname) || !searchParams.has("chat_id")) {
        return "url: expected https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>"
      }
      break
    case "ntfy":
      if (!/\/[-\w]{1,64}$/.test(pathname)) {
        return "url: expected a topic at the end, such as https://ntfy.sh/<topic>"
      }
      return undefined
    case "json":
    case "alertmanager":
      return undefined
    case "slack":
    case "mattermost":
      break
  }
  return secret === undefined
    ? undefined
    : SettingType.problemOfKey("secret", `not used with the format ${format}`)
}

/** All webhooks, with unique names. */
export const webhooks = SettingType.refine(
  SettingType.listOfStructs(SettingType.refine(webhook, problemOf)),
  (all) => {
    const names = all.map((one) => one.name.toLowerCase())
    const twin = names.find((one, index) => names.indexOf(one) !== index)
    return twin === undefined ? undefined : `two webhooks have the name ${twin}`
  }
)

/** A daily span of local time that may pass midnight, in minutes since midnight; the end is not part of it. */
export interface DailySpan {
  readonly from: number
  readonly to: number
}

/** Parses `22:00-06:00`; `undefined` if the text is not a span. */
export const parseDailySpan = (text: string): DailySpan | undefined => {
  const match = /^([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)$/.exec(text.trim())
  if (match === null) return undefined
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = match.slice(1).map(Number)
  const span = { from: fromHour * 60 + fromMinute, to: toHour * 60 + toMinute }
  return span.from === span.to ? undefined : span
}

/** Whether a time of day is in the span. @param minute since midnight. */
export const isInSpan = ({ from, to }: DailySpan, minute: number): boolean =>
  from < to ? minute >= from && minute < to : minute >= from || minute < to
