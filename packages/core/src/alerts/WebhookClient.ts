/** Sends one request to a webhook, once. */
import { displayWebhookUrl, oneLine, redact, type Webhook } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Deadline from "../time/Deadline.ts"
import { format } from "../time/DurationText.ts"
import { type Message, requestOf, secretsOf } from "./WebhookRequest.ts"

/** The webhook did not take the message. */
export class WebhookError extends Schema.TaggedError<WebhookError>()("WebhookError", {
  /** One line without secrets. */
  detail: Schema.String,
  /** Two errors of one kind are the same problem. */
  kind: Schema.String,
  /** Whether the webhook can be expected to take the message soon without a change of the settings. */
  isTransient: Schema.Boolean,
  /** How long the webhook asks to wait, in milliseconds. */
  retryAfterMs: Schema.UndefinedOr(Schema.Finite)
}) {
  override get message(): string {
    return this.detail
  }
}

const timeout = "10 seconds"

/** How much of a response is read. */
const maxBodyLength = 4096
/** How much of it is shown. */
const maxShown = 200

/**
 * Sends a message, once, within 10 s. Redirects are not followed: the URL is a secret.
 *
 * @returns the status of the response.
 */
export const send = Effect.fnUntraced(
  function* (webhook: Webhook, message: Message) {
    const { body, headers, url } = requestOf(webhook, message, yield* Clock.currentTimeMillis)
    const request = HttpClientRequest.post(url, { headers }).pipe(
      HttpClientRequest.bodyText(body, headers["content-type"])
    )
    return yield* HttpClient.execute(request).pipe(
      Effect.mapError((error) => transportError(webhook, error)),
      Effect.flatMap(
        Effect.fnUntraced(function* (response) {
          const text = yield* beginningOf(response)
          if (response.status >= 200 && response.status < 300) return response.status
          return yield* statusError(webhook, response, text)
        })
      ),
      Deadline.within(timeout, () =>
        Effect.fail(
          new WebhookError({
            detail: `no response within ${format(timeout)}`,
            kind: "timeout",
            isTransient: true,
            retryAfterMs: undefined
          })
        )
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
    // a response without a body
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

/** Seconds or a date in the header; Telegram has the seconds in the body. */
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
): WebhookError => {
  const cause: unknown = "cause" in reason ? reason.cause : undefined
  const code = codeOf(cause) ?? reason._tag
  const { host, hostname } = new URL(displayWebhookUrl(webhook.url))
  return new WebhookError({
    // host and code are no secrets, and may contain a word of the path
    detail: redact(describe(code, host, hostname)),
    kind: code,
    isTransient: true,
    retryAfterMs: undefined
  })
}

/** The code of a system error, or of one that it wraps. */
const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  const { cause, code } = error as { readonly code?: unknown; readonly cause?: unknown }
  return typeof code === "string" ? code : codeOf(cause)
}

const describe = (code: string, host: string, hostname: string): string => {
  switch (code) {
    case "ENOTFOUND":
      return `cannot resolve host "${hostname}": no such host`
    case "EAI_AGAIN":
      return `cannot resolve host "${hostname}": the name server did not answer`
    case "ECONNREFUSED":
      return `connection refused by ${host}`
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `no route to ${host}`
    case "ETIMEDOUT":
      return `connection to ${host} timed out`
    case "ECONNRESET":
    case "EPIPE":
    case "UND_ERR_SOCKET":
      return `connection closed by ${host}`
    default:
      return /CERT|TLS|SSL/.test(code)
        ? `certificate of ${host} not trusted (${code}); NODE_EXTRA_CA_CERTS adds an authority`
        : `cannot send to ${host} (${code})`
  }
}
