/** Sends one message to a webhook, once. */
import { oneLine, redact, type Webhook } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Deadline from "../time/Deadline.ts"
import { format } from "../time/DurationText.ts"
import * as MqttPublisher from "./MqttPublisher.ts"
import { connectionError, WebhookError } from "./WebhookError.ts"
import { type Message, requestOf, secretsOf, type WebhookRequest } from "./WebhookRequest.ts"

const timeout = "10 seconds"

/** How much of a response is read. */
const maxBodyLength = 4096
/** How much of it is shown. */
const maxShown = 200

const noResponse = Effect.fail(
  new WebhookError({
    detail: `no response within ${format(timeout)}`,
    kind: "timeout",
    isTransient: true,
    retryAfterMs: undefined
  })
)

/**
 * Sends a message, once, within 10 s.
 *
 * @returns the response of the receiver, such as `HTTP 204`.
 */
export const send = Effect.fnUntraced(
  function* (webhook: Webhook, message: Message) {
    const request = requestOf(webhook, message, yield* Clock.currentTimeMillis)
    return webhook.format === "mqtt"
      ? yield* MqttPublisher.publish(webhook, request.body)
      : yield* post(webhook, request)
  },
  Deadline.within(timeout, () => noResponse)
)

/** Does not follow redirects, because the URL is a secret. */
const post = Effect.fnUntraced(
  function* (webhook: Webhook, { body, headers, url }: WebhookRequest) {
    const request = HttpClientRequest.post(url, { headers }).pipe(
      HttpClientRequest.bodyText(body, headers["content-type"])
    )
    return yield* HttpClient.execute(request).pipe(
      Effect.mapError((error) => transportError(webhook, error)),
      Effect.flatMap(
        Effect.fnUntraced(function* (response) {
          const text = yield* beginningOf(response)
          if (response.status >= 200 && response.status < 300) return `HTTP ${response.status}`
          return yield* statusError(webhook, response, text)
        })
      )
    )
  },
  // a span would have the URL as an attribute
  Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
  Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
)

/** The first characters of the body; the rest is not read. */
const beginningOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> => {
  let length = 0
  return response.stream.pipe(
    Stream.takeUntil((chunk) => (length += chunk.length) >= maxBodyLength),
    Stream.decodeText(),
    Stream.mkString,
    Effect.map((text) => text.slice(0, maxBodyLength)),
    // fails if the response has no body
    Effect.orElseSucceed(() => "")
  )
}

const statusError = (
  webhook: Webhook,
  { headers, status }: HttpClientResponse.HttpClientResponse,
  body: string
): WebhookError => {
  const text = oneLine(redact(body.trim(), secretsOf(webhook)))
  const shown = text.length > maxShown ? `${text.slice(0, maxShown)}…` : text
  const isRedirect = status >= 300 && status < 400
  return new WebhookError({
    detail: isRedirect
      ? `redirect not followed (HTTP ${status}); set the URL to which it leads`
      : `HTTP ${status}${shown === "" ? "" : `: ${shown}`}`,
    kind: `HTTP ${status}`,
    isTransient: status >= 500 || status === 408 || status === 429,
    retryAfterMs: retryAfterOf(headers["retry-after"], body)
  })
}

/** Seconds or a date in the header; Telegram sends the seconds in the body. */
const retryAfterOf = (header: string | undefined, body: string): number | undefined => {
  const value = header ?? /"retry_after":\s*(\d{1,6})\b/.exec(body)?.[1]
  if (value === undefined) return undefined
  const seconds = /^\d{1,9}$/.test(value.trim())
    ? Number(value)
    : (Date.parse(value) - Date.now()) / 1000
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}

const transportError = (
  webhook: Webhook,
  { reason }: HttpClientError.HttpClientError
): WebhookError =>
  connectionError(webhook, "cause" in reason ? reason.cause : undefined, reason._tag)
