import { displayWebhookUrl, redact, type Webhook } from "@restream/config"
import * as Schema from "effect/Schema"

/** The webhook did not accept the message. */
export class WebhookError extends Schema.TaggedError<WebhookError>()("WebhookError", {
  /** One line without secrets. */
  detail: Schema.String,
  /** Errors of the same kind are the same problem. */
  kind: Schema.String,
  /** Whether the webhook is expected to accept the message soon without a change of the settings. */
  isTransient: Schema.Boolean,
  /** How long the webhook asks to wait, in milliseconds. */
  retryAfterMs: Schema.UndefinedOr(Schema.Finite)
}) {
  override get message(): string {
    return this.detail
  }
}

/**
 * The error of a connection that failed.
 *
 * @param cause the error of Node, or an error that wraps it.
 * @param otherwise the code if the cause has none.
 */
export const connectionError = (
  { url }: Webhook,
  cause: unknown,
  otherwise: string
): WebhookError => {
  const code = codeOf(cause) ?? otherwise
  const { host, hostname } = new URL(displayWebhookUrl(url))
  return new WebhookError({
    // not redacted by the secrets of the webhook: host and code may contain a word of the path
    detail: redact(describe(code, host, hostname)),
    kind: code,
    isTransient: true,
    retryAfterMs: undefined
  })
}

/** The code of an error, or of the error that it wraps. */
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
