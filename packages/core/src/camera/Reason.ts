/**
 * Why a camera is not live.
 *
 * Each reason is data, with a message of one line for an operator and a pace of retries. No code matches the text
 * of a message.
 */
import * as Schema from "effect/Schema"

/**
 * How soon to retry.
 *
 * - `backoff`: on the retry schedule (1, 2, 4, 8, 16, then every 30 s by default).
 * - `lockout`: every 5 min by default, because cameras lock accounts after wrong passwords.
 * - `rejected`: every 30 s by default, because only an operator can solve the problem.
 * - `evicted`: restarted as any relay the first time, and as `rejected` while two publishers replace each
 *   other on one path; see `supervision/RestartSchedule.ts`.
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

/** The host name has no address, or the name server did not answer. */
export class DnsError extends Schema.TaggedClass<DnsError>()("DnsError", {
  host: Schema.String,
  why: Schema.Literals(["NoSuchHost", "NoAnswer"])
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `cannot resolve host "${this.host}": ${dnsProblem(this)}`
  }
}

/** Why a name could not be resolved, in words. */
export const dnsProblem = ({ why }: Pick<DnsError, "why">): string =>
  why === "NoSuchHost" ? "no such host" : "the name server did not answer"

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

const clockHint = (skewMs: number | null | undefined): string => {
  if (skewMs === undefined) return ""
  if (skewMs === null) return ", or a wrong clock in the camera, whose time is unknown"
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  return `; the clock of the camera is ${seconds} s ${skewMs < 0 ? "behind" : "ahead of"} ours`
}

/** The camera refused the credentials, or requires credentials. */
export class Unauthorized extends Schema.TaggedClass<Unauthorized>()("Unauthorized", {
  credentials: Schema.Literals(["wrong", "missing", "unsupported", "locked"]),
  /** What the camera requires and restream does not support, such as `the Digest algorithm SHA-1`. */
  requires: Schema.optionalKey(Schema.String),
  /**
   * How far the clock of an ONVIF device is ahead of restream's, if the difference is large; `null` if the device
   * does not give its time. An ONVIF login is valid for a moment of the device's clock.
   */
  clockSkewMs: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  /** The camera of the same device to which the same credentials were refused; this one was not probed. */
  refusedFor: Schema.optionalKey(Schema.String)
}) {
  readonly pace: RetryPace = "lockout"
  get message(): string {
    if (this.refusedFor !== undefined) {
      return `not tried: the same user name and password were refused for camera ${this.refusedFor}`
    }
    if (this.credentials === "locked") {
      return "access denied (403) after a wrong password; the camera may have locked the account"
    }
    if (this.credentials === "unsupported") {
      return `the camera requires ${this.requires ?? "an authentication"}, which is not supported`
    }
    return this.credentials === "missing"
      ? "the camera requires a user name and password, and the row has none"
      : `wrong user name or password${clockHint(this.clockSkewMs)}`
  }
}

/** The camera redirects to an address that must not be followed, mostly because the password would be exposed. */
export class RedirectRefused extends Schema.TaggedClass<RedirectRefused>()("RedirectRefused", {
  /** The address of the redirect, without secrets. */
  authority: Schema.String,
  why: Schema.String
}) {
  readonly pace: RetryPace = "rejected"
  get message(): string {
    return `redirect to ${this.authority} not followed: ${this.why}`
  }
}

/** The camera has no stream at the URL's path. */
export class NotFound extends Schema.TaggedClass<NotFound>()("NotFound", {}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return "no stream at this path (404); check the path of the URL"
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

/** The statuses of a device that serves no more sessions. A defect of the device may have the same statuses. */
export const fullStatuses: ReadonlySet<number> = new Set([453, 500, 503])

/** The device refuses another session: it serves other cameras, or still keeps a lost session. */
export class DeviceFull extends Schema.TaggedClass<DeviceFull>()("DeviceFull", {
  status: Schema.Finite,
  /** How long the device may still keep the session of a lost connection. */
  keptForMs: Schema.optionalKey(Schema.Finite)
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const kept =
      this.keptForMs === undefined
        ? ""
        : `; it may keep the session of the lost connection for another ${Math.ceil(this.keptForMs / 1000)} s`
    return `the device serves no more sessions (${this.status})${kept}`
  }
}

/** An ONVIF device named no usable address of its stream. */
export class OnvifError extends Schema.TaggedClass<OnvifError>()("OnvifError", {
  /**
   * - `NoService`: the address has no ONVIF service.
   * - `NoProfile`: the device has no such profile or video input.
   * - `NoAddress`: the device gave no URL that can be used.
   * - `Fault`: the device refused a request.
   */
  problem: Schema.Literals(["NoService", "NoProfile", "NoAddress", "Fault"]),
  /** One line, redacted. */
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return this.problem === "NoService"
      ? `${this.detail}; check the port of the row, and that ONVIF is switched on in the camera`
      : this.detail
  }
}

/** The camera's stream has no video track. */
export class NoVideo extends Schema.TaggedClass<NoVideo>()("NoVideo", {}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return "the camera has no video track"
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
  detail: Schema.String,
  /** SHA-256 of the certificate, in hexadecimal with colons. */
  fingerprint: Schema.optionalKey(Schema.String)
}) {
  readonly pace: RetryPace = "rejected"
  get message(): string {
    return this.fingerprint === undefined
      ? `certificate not trusted: ${this.detail}; to accept any certificate, set insecure`
      : `certificate not trusted: ${this.detail}; to accept it, set fingerprint to ${this.fingerprint}`
  }
}

/** Nothing advanced for the stall timeout: the camera stopped sending, or the media server stopped reading. */
export class Stalled extends Schema.TaggedClass<Stalled>()("Stalled", {
  side: Schema.Literals(["input", "output"]),
  afterMs: Schema.Finite,
  /** An RTP payload type that the camera sends instead of the one in its description. */
  unannouncedType: Schema.optionalKey(Schema.Finite)
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const seconds = `${this.afterMs / 1000} s`
    if (this.side === "output") return `the media server accepted no data for ${seconds}`
    const instead =
      this.unannouncedType === undefined
        ? ""
        : `; it sends payload type ${this.unannouncedType}, which its description does not announce`
    return `no video from the camera for ${seconds}${instead}`
  }
}

/** The relay's process exited. */
export class Exited extends Schema.TaggedClass<Exited>()("Exited", {
  /** The exit code, or the name of the signal that ended it. */
  status: Schema.Union([Schema.Finite, Schema.String]),
  /** The last line of its error output, without secrets. */
  lastWords: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    const how =
      typeof this.status === "number"
        ? `exited with code ${this.status}`
        : `was killed by ${this.status}`
    return `process ${how}${this.lastWords === "" ? "" : `: ${this.lastWords}`}`
  }
}

/** The relay could not be started at all: a missing program, no file descriptors, no memory. */
export class LaunchFailed extends Schema.TaggedClass<LaunchFailed>()("LaunchFailed", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `cannot start: ${this.detail}`
  }
}

/** The media server refused the credentials, or requires credentials. */
export class ServerUnauthorized extends Schema.TaggedClass<ServerUnauthorized>()(
  "ServerUnauthorized",
  {
    /** Whether credentials are set; left out where that is unknown. */
    credentials: Schema.optionalKey(Schema.Literals(["wrong", "missing"]))
  }
) {
  readonly pace: RetryPace = "rejected"
  get message(): string {
    return this.credentials === "missing"
      ? "the media server requires a user name and password; set mediaServer.username and mediaServer.password"
      : "the media server refused the user name or password; check mediaServer.username and mediaServer.password"
  }
}

/** The media server rejected the stream or its path. */
export class ServerRejected extends Schema.TaggedClass<ServerRejected>()("ServerRejected", {
  status: Schema.Finite,
  detail: Schema.String,
  /** The rejected RTSP method. */
  request: Schema.optionalKey(Schema.String),
  /** The tracks of the path on the media server, if they differ from {@link announced}. */
  expected: Schema.optionalKey(Schema.String),
  /** The tracks that were announced. */
  announced: Schema.optionalKey(Schema.String),
  /** The other publisher of the path, where the media server's API names one. */
  publisher: Schema.optionalKey(Schema.String),
  /** A character of the path that only some versions of MediaMTX allow. */
  character: Schema.optionalKey(Schema.String)
}) {
  readonly pace: RetryPace = "rejected"
  get message(): string {
    const status = `${this.status}${this.detail === "" ? "" : ` ${this.detail}`}`
    return `the media server rejected the stream (${status})${this.#hint}`
  }

  /** What to check in MediaMTX. MediaMTX answers 400 if any of its checks fails, and logs which check. */
  get #hint(): string {
    if (this.status !== 400) return ""
    if (this.publisher !== undefined) {
      return `: the path has another publisher, ${this.publisher}`
    }
    if (this.expected !== undefined) {
      return `: the path has ${this.expected}, the camera sends ${this.announced}; in MediaMTX, check alwaysAvailableTracks of the path, or its other publisher`
    }
    if (this.character !== undefined) {
      return `; some versions of MediaMTX allow no "${this.character}" in a path: change the path, or mediaServer.pathTemplate`
    }
    return this.request === "RECORD"
      ? "; in MediaMTX, check source, overridePublisher and alwaysAvailable of the path, and its log"
      : "; in MediaMTX, check that paths: allows the path (all_others), and its log"
  }
}

/** The connection to the media server failed. */
export class ServerGone extends Schema.TaggedClass<ServerGone>()("ServerGone", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `lost the media server: ${this.detail}`
  }
}

/**
 * The media server closed the stream although it is reachable. Most often another publisher has replaced the
 * stream: two publishers of one path would replace each other forever.
 */
export class PublisherReplaced extends Schema.TaggedClass<PublisherReplaced>()(
  "PublisherReplaced",
  {}
) {
  readonly pace: RetryPace = "evicted"
  get message(): string {
    return "the media server closed the stream; another publisher may have taken the path"
  }
}

/** The API of the media server reports that the path of a live relay is not online. */
export class PathOffline extends Schema.TaggedClass<PathOffline>()("PathOffline", {
  /** For how long the API has reported that. */
  afterMs: Schema.Finite
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return `the media server has no publisher on the path for ${this.afterMs / 1000} s, by its API`
  }
}

/** The row gives no URL to connect to. */
export class InvalidUrl extends Schema.TaggedClass<InvalidUrl>()("InvalidUrl", {
  detail: Schema.String
}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return this.detail
  }
}

/** A defect of restream; the log has its cause. */
export class InternalError extends Schema.TaggedClass<InternalError>()("InternalError", {}) {
  readonly pace: RetryPace = "backoff"
  get message(): string {
    return "internal error; see the log"
  }
}

/** Why a camera's stream can't be opened. */
export const ProbeReason = Schema.Union([
  Refused,
  DnsError,
  HostUnreachable,
  TimedOut,
  Closed,
  Unauthorized,
  RedirectRefused,
  NotFound,
  Rejected,
  DeviceFull,
  OnvifError,
  NoVideo,
  ProtocolError,
  Unsupported,
  CertificateError,
  LaunchFailed,
  InvalidUrl
])
export type ProbeReason = typeof ProbeReason.Type

/** Why a relay ended: because of the camera, the relay itself or the media server. */
export const RelayReason = Schema.Union([
  ...ProbeReason.members,
  Stalled,
  Exited,
  ServerUnauthorized,
  ServerRejected,
  ServerGone,
  PublisherReplaced,
  PathOffline
])
export type RelayReason = typeof RelayReason.Type

/** Any reason why a camera is not live. */
export const Reason = Schema.Union([...RelayReason.members, InternalError])
export type Reason = typeof Reason.Type

/**
 * Whether a reason holds for all cameras at the host and port, regardless of path and credentials, and takes time
 * to detect. A refused connection fails at once, so each camera may try.
 */
export const isAboutHost = (reason: unknown): boolean =>
  reason instanceof DnsError ||
  reason instanceof HostUnreachable ||
  (reason instanceof TimedOut && reason.phase === "connecting")

/** Whether a reason is about the media server: the camera's host and port have no part in it. */
export const isAboutMediaServer = (reason: Reason): boolean => {
  switch (reason._tag) {
    case "ServerGone":
    case "ServerUnauthorized":
    case "ServerRejected":
    case "PublisherReplaced":
    case "PathOffline":
      return true
    case "Stalled":
      return reason.side === "output"
    default:
      return false
  }
}

/**
 * The kind of a problem: equal for two failures that differ only in numbers and details. A problem that repeats is
 * logged once.
 */
export const dedupeKey = (reason: Reason): string => {
  switch (reason._tag) {
    case "DnsError":
      return `${reason._tag} ${reason.why}`
    case "OnvifError":
      return `${reason._tag} ${reason.problem}`
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
