/**
 * Why a camera is not live.
 *
 * Each reason is data: it says in one line what is wrong, for an operator, and at which pace it is
 * worth trying again. Nothing anywhere matches on the text of a message.
 */
import * as Schema from "effect/Schema"

/**
 * How soon another attempt makes sense.
 *
 * - `backoff`: on the retry schedule (1, 2, 4, 8, 16, then every 30 s by default).
 * - `lockout`: every 5 min by default, because cameras lock accounts after wrong passwords.
 * - `rejected`: every 30 s by default, because only an operator can change the media server's mind.
 * - `evicted`: as `backoff` the first time, then as `rejected`, so that two who fight for a path do not
 *   take turns every 5 s.
 */
export type RetryPace = "backoff" | "lockout" | "rejected" | "evicted"

/** The step at which a connection timed out or was closed. */
export const Phase = Schema.Literals([
  "connecting",
  "requesting the stream",
  "waiting for media",
  "streaming"
])
export type Phase = typeof Phase.Type

/** Nothing listens at the address. */
export class Refused extends Schema.TaggedClass<Refused>()("Refused", {
  authority: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `connection refused by ${this.authority}`
  }
}

/** The host name has no address. */
export class DnsError extends Schema.TaggedClass<DnsError>()("DnsError", {
  host: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `cannot resolve host "${this.host}"`
  }
}

/** The network has no route to the host. */
export class HostUnreachable extends Schema.TaggedClass<HostUnreachable>()("HostUnreachable", {
  authority: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `no route to ${this.authority}`
  }
}

/** No response arrived in time. */
export class TimedOut extends Schema.TaggedClass<TimedOut>()("TimedOut", {
  phase: Phase,
  /** The RTSP method that was not answered. */
  request: Schema.optionalKey(Schema.String),
  afterMs: Schema.Finite
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const seconds = `${this.afterMs / 1000} s`
    return this.request === undefined
      ? `no response within ${seconds} while ${this.phase}`
      : `no response to ${this.request} within ${seconds}`
  }
}

/** The other side closed the connection. */
export class Closed extends Schema.TaggedClass<Closed>()("Closed", {
  phase: Phase,
  /** The RTSP method that was not answered. */
  request: Schema.optionalKey(Schema.String),
  /** Node's error code, unless the connection was closed in order: `ECONNRESET`, `EPIPE`, … */
  code: Schema.optionalKey(Schema.String)
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const code = this.code === undefined ? "" : ` (${this.code})`
    return this.request === undefined
      ? `connection closed while ${this.phase}${code}`
      : `connection closed before the response to ${this.request}${code}`
  }
}

/** The camera wants another user name or password. */
export class Unauthorized extends Schema.TaggedClass<Unauthorized>()("Unauthorized", {
  credentials: Schema.Literals(["wrong", "missing"]),
  /** The camera of the same device that was refused with the same ones; this one was not asked then. */
  refusedFor: Schema.optionalKey(Schema.String)
}) {
  readonly pace: RetryPace = "lockout"
  get message(): string {
    if (this.refusedFor !== undefined) {
      return `not tried: the same user name and password were refused for camera ${this.refusedFor}`
    }
    return this.credentials === "missing"
      ? "the camera wants a user name and a password, and the row has none"
      : "wrong user name or password"
  }
}

/** The camera has no stream at this address. */
export class NotFound extends Schema.TaggedClass<NotFound>()("NotFound", {}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return "the camera has no stream at this address (404)"
  }
}

/** A request was rejected with another status, for example 503 by a camera with too many clients. */
export class Rejected extends Schema.TaggedClass<Rejected>()("Rejected", {
  status: Schema.Finite,
  /** The reason phrase, redacted. */
  detail: Schema.String,
  /** The rejected RTSP method. */
  request: Schema.optionalKey(Schema.String)
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const request = this.request === undefined ? "the request" : this.request
    return `${request} was rejected with ${this.status}${this.detail === "" ? "" : ` ${this.detail}`}`
  }
}

/** The camera answers, but offers no video. */
export class NoVideo extends Schema.TaggedClass<NoVideo>()("NoVideo", {}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return "the camera offers no video"
  }
}

/** The response violates the protocol. */
export class ProtocolError extends Schema.TaggedClass<ProtocolError>()("ProtocolError", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `protocol error: ${this.detail}`
  }
}

/** The engine can't do what this camera needs; another engine may. */
export class Unsupported extends Schema.TaggedClass<Unsupported>()("Unsupported", {
  what: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `not supported: ${this.what}`
  }
}

/** The certificate of the camera or of the media server is not trusted. */
export class CertificateError extends Schema.TaggedClass<CertificateError>()("CertificateError", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "rejected"
  get message(): string {
    return `certificate not trusted: ${this.detail}`
  }
}

/** Nothing advanced for the stall time: the camera stopped sending, or the server stopped taking. */
export class Stalled extends Schema.TaggedClass<Stalled>()("Stalled", {
  side: Schema.Literals(["input", "output"]),
  afterMs: Schema.Finite
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const seconds = `${this.afterMs / 1000} s`
    return this.side === "input"
      ? `no video from the camera for ${seconds}`
      : `the media server took nothing for ${seconds}`
  }
}

/** The relay's process ended. */
export class Exited extends Schema.TaggedClass<Exited>()("Exited", {
  /** The exit code, or the name of the signal that ended it. */
  status: Schema.Union([Schema.Finite, Schema.String]),
  /** The last thing that it said, without secrets. */
  lastWords: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const how =
      typeof this.status === "number" ? `ended with code ${this.status}` : `died by ${this.status}`
    return this.lastWords === "" ? `the relay ${how}` : `the relay ${how}: ${this.lastWords}`
  }
}

/** The relay could not be started at all: a missing program, no file descriptors, no memory. */
export class LaunchFailed extends Schema.TaggedClass<LaunchFailed>()("LaunchFailed", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `could not start: ${this.detail}`
  }
}

/** The media server wants another user name or password. */
export class ServerUnauthorized extends Schema.TaggedClass<ServerUnauthorized>()(
  "ServerUnauthorized",
  {}
) {
  readonly pace: RetryPace = "rejected"
  get message(): string {
    return "the media server refuses our user name or password"
  }
}

/** The media server does not take this stream or this path. */
export class ServerRejected extends Schema.TaggedClass<ServerRejected>()("ServerRejected", {
  status: Schema.Finite,
  detail: Schema.String
}) {
  readonly pace: RetryPace = "rejected"
  get message(): string {
    return `the media server rejected the stream with ${this.status}${this.detail === "" ? "" : ` ${this.detail}`}`
  }
}

/** The media server went away, or put us out. */
export class ServerGone extends Schema.TaggedClass<ServerGone>()("ServerGone", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `the media server is gone: ${this.detail}`
  }
}

/**
 * The media server is there, and put us out. Most often another publisher took the path: two relays of
 * one path would put each other out for ever.
 */
export class PublisherReplaced extends Schema.TaggedClass<PublisherReplaced>()(
  "PublisherReplaced",
  {}
) {
  readonly pace: RetryPace = "evicted"
  get message(): string {
    return "the media server ended our stream; perhaps another publisher took the path"
  }
}

/** The row gives no address that anything could connect to. */
export class InvalidUrl extends Schema.TaggedClass<InvalidUrl>()("InvalidUrl", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return this.detail
  }
}

/** A fault in restream itself; the log has its cause. */
export class InternalError extends Schema.TaggedClass<InternalError>()("InternalError", {}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return "a fault in restream itself, see the log"
  }
}

/** What can be wrong on the way to a camera's stream. */
export const ProbeReason = Schema.Union([
  Refused,
  DnsError,
  HostUnreachable,
  TimedOut,
  Closed,
  Unauthorized,
  NotFound,
  Rejected,
  NoVideo,
  ProtocolError,
  Unsupported,
  CertificateError,
  LaunchFailed,
  InvalidUrl
])
export type ProbeReason = typeof ProbeReason.Type

/** Why a relay ended: all that can be wrong with the camera, and what is wrong beyond it. */
export const RelayReason = Schema.Union([
  ...ProbeReason.members,
  Stalled,
  Exited,
  ServerUnauthorized,
  ServerRejected,
  ServerGone,
  PublisherReplaced
])
export type RelayReason = typeof RelayReason.Type

/** Any reason why a camera is not live. */
export const Reason = Schema.Union([...RelayReason.members, InternalError])
export type Reason = typeof Reason.Type

/**
 * Whether a reason holds for all cameras at the host and port, whatever their paths and credentials, and
 * took its time to be found: a refusal is told at once, so each may ask for itself.
 */
export const isAboutHost = (reason: unknown): boolean =>
  reason instanceof DnsError ||
  reason instanceof HostUnreachable ||
  (reason instanceof TimedOut && reason.phase === "connecting")

/**
 * What kind of trouble it is: the same for two failures that an operator would call the same, whatever
 * numbers and words differ. So a trouble that comes again and again need not be told again and again.
 */
export const kindOf = (reason: Reason): string => {
  switch (reason._tag) {
    case "Stalled":
      return `${reason._tag} ${reason.side}`
    case "Rejected":
    case "ServerRejected":
    case "Exited":
      return `${reason._tag} ${reason.status}`
    default:
      return reason._tag
  }
}
