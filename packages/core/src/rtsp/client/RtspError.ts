/**
 * The error of the RTSP client. Its reasons are those of a camera (`camera/Reason`).
 *
 * No reason contains a password: URLs are left out, and text from the server is redacted.
 */
import * as Schema from "effect/Schema"
import {
  CertificateError,
  Closed,
  DnsError,
  HostUnreachable,
  LaunchFailed,
  type Phase,
  ProtocolError,
  RedirectRefused,
  Refused,
  Rejected,
  TimedOut,
  Unauthorized,
  Unsupported
} from "../../camera/Reason.ts"
import type { Method } from "../message/Method.ts"

export const RtspReason = Schema.Union([
  Refused,
  DnsError,
  HostUnreachable,
  LaunchFailed,
  TimedOut,
  Closed,
  Unauthorized,
  RedirectRefused,
  Rejected,
  ProtocolError,
  CertificateError,
  Unsupported
])
export type RtspReason = typeof RtspReason.Type

export class RtspError extends Schema.TaggedError<RtspError>()("RtspError", {
  reason: RtspReason
}) {
  override get message(): string {
    return this.reason.message
  }
}

/** The phase of a request; without a request the stream is playing. */
export const phaseOf = (
  request: Method | undefined
): { readonly phase: Phase; readonly request?: Method } =>
  request === undefined ? { phase: "streaming" } : { phase: "requesting the stream", request }

const unreachable = new Set([
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENETDOWN",
  "EADDRNOTAVAIL"
])
const broken = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"])

/** The reason for Node's error code while connecting. */
export const fromConnectCode = (
  code: string | undefined,
  authority: string,
  elapsedMs: number
): RtspReason => {
  if (code === "ECONNREFUSED") return new Refused({ authority })
  if (code === "ETIMEDOUT") return new TimedOut({ phase: "connecting", afterMs: elapsedMs })
  if (code !== undefined && unreachable.has(code)) return new HostUnreachable({ authority })
  if (code !== undefined && broken.has(code)) return new Closed({ phase: "connecting", code })
  return new LaunchFailed({ detail: `cannot open a connection (${code ?? "unknown error"})` })
}
