/**
 * What goes wrong between us and an RTSP server, a camera or a media server.
 *
 * Nothing in here shows a password: URLs are left out, and what a server said is redacted.
 */
import * as Schema from "effect/Schema"
import { methods } from "../message/Method.ts"

/** Where in an exchange it struck: while connecting, while a request was under way, or later. */
export const Phase = Schema.Literals(["connecting", ...methods, "streaming"])
export type Phase = typeof Phase.Type

const inWords = (phase: Phase): string => {
  switch (phase) {
    case "connecting":
      return "while connecting"
    case "streaming":
      return "while streaming"
    default:
      return `during ${phase}`
  }
}

/** Nothing listens at the address. */
export class Refused extends Schema.TaggedClass<Refused>()("Refused", {
  authority: Schema.String
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    return `connection refused at ${this.authority}`
  }
}

/** The host name has no address. */
export class DnsError extends Schema.TaggedClass<DnsError>()("DnsError", {
  host: Schema.String
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    return `no address for the host name ${this.host}`
  }
}

/** The network has no way there. */
export class HostUnreachable extends Schema.TaggedClass<HostUnreachable>()("HostUnreachable", {
  authority: Schema.String
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    return `no route to ${this.authority}`
  }
}

/** This machine could not open a connection: no file descriptors, no ports, no permission. */
export class Failed extends Schema.TaggedClass<Failed>()("Failed", {
  /** Node's: `EMFILE`, `EACCES`, … */
  code: Schema.String
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    return `the connection could not be opened: ${this.code}`
  }
}

/** No answer came in time. */
export class TimedOut extends Schema.TaggedClass<TimedOut>()("TimedOut", {
  phase: Phase,
  afterMs: Schema.Finite
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    return `no answer within ${this.afterMs / 1000} s ${inWords(this.phase)}`
  }
}

/** The other side ended the connection. */
export class Closed extends Schema.TaggedClass<Closed>()("Closed", {
  phase: Phase,
  /** Node's code, where it was no orderly end: `ECONNRESET`, `EPIPE`, … */
  code: Schema.optional(Schema.String)
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    const code = this.code === undefined ? "" : ` (${this.code})`
    return `the connection was closed ${inWords(this.phase)}${code}`
  }
}

/** The other side wants another user name or password. */
export class Unauthorized extends Schema.TaggedClass<Unauthorized>()("Unauthorized", {
  credentials: Schema.Literals(["wrong", "missing"])
}) {
  readonly isRetryable: boolean = false
  get message(): string {
    return this.credentials === "missing"
      ? "a user name and a password are wanted, and there are none"
      : "wrong user name or password"
  }
}

/** The other side refused a request. */
export class Status extends Schema.TaggedClass<Status>()("Status", {
  status: Schema.Finite,
  /** What it said to it, redacted. */
  detail: Schema.String,
  phase: Phase
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    const detail = this.detail === "" ? "" : ` ${this.detail}`
    return `${this.phase} was answered with ${this.status}${detail}`
  }
}

/** What answers does not speak the protocol. */
export class ProtocolError extends Schema.TaggedClass<ProtocolError>()("ProtocolError", {
  detail: Schema.String
}) {
  readonly isRetryable: boolean = true
  get message(): string {
    return `the answer is not valid: ${this.detail}`
  }
}

/** The certificate can't be trusted. */
export class CertificateError extends Schema.TaggedClass<CertificateError>()("CertificateError", {
  detail: Schema.String
}) {
  readonly isRetryable: boolean = false
  get message(): string {
    return `the certificate is not trusted: ${this.detail}`
  }
}

/** The camera sends us from one place to the next. */
export class TooManyRedirects extends Schema.TaggedClass<TooManyRedirects>()(
  "TooManyRedirects",
  {}
) {
  readonly isRetryable: boolean = true
  get message(): string {
    return "sent elsewhere too often"
  }
}

/** The other side wants something that this client can't do; another engine may. */
export class Unsupported extends Schema.TaggedClass<Unsupported>()("Unsupported", {
  what: Schema.String
}) {
  readonly isRetryable: boolean = false
  get message(): string {
    return `not supported: ${this.what}`
  }
}

export const RtspReason = Schema.Union([
  Refused,
  DnsError,
  HostUnreachable,
  Failed,
  TimedOut,
  Closed,
  Unauthorized,
  Status,
  ProtocolError,
  CertificateError,
  TooManyRedirects,
  Unsupported
])
export type RtspReason = typeof RtspReason.Type

export class RtspError extends Schema.TaggedError<RtspError>()("RtspError", {
  reason: RtspReason
}) {
  override get message(): string {
    return this.reason.message
  }

  /** Whether trying again can help without somebody changing something. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}

const unreachable = new Set([
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EADDRNOTAVAIL"
])
const broken = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"])

/** The reason behind Node's error code while connecting. */
export const fromConnectCode = (
  code: string | undefined,
  authority: string,
  elapsedMs: number
): RtspReason => {
  if (code === "ECONNREFUSED") return new Refused({ authority })
  if (code === "ETIMEDOUT") return new TimedOut({ phase: "connecting", afterMs: elapsedMs })
  if (code !== undefined && unreachable.has(code)) return new HostUnreachable({ authority })
  if (code !== undefined && broken.has(code)) return new Closed({ phase: "connecting", code })
  return new Failed({ code: code ?? "unknown" })
}
