/** What an RTSP error means for a camera, and what it means for the media server. */
import * as Reason from "../../camera/Reason.ts"
import type { Phase, RtspReason } from "../../rtsp/client/RtspError.ts"

const phaseOf = (phase: Phase): Reason.Phase => {
  switch (phase) {
    case "connecting":
      return "connecting"
    case "streaming":
      return "streaming"
    default:
      return "asking for the stream"
  }
}

/** An error between us and a camera. */
export const cameraReason = (reason: RtspReason): Reason.ProbeReason => {
  switch (reason._tag) {
    case "Refused":
      return new Reason.Refused({ authority: reason.authority })
    case "DnsError":
      return new Reason.DnsError({ host: reason.host })
    case "HostUnreachable":
      return new Reason.HostUnreachable({ authority: reason.authority })
    case "Failed":
      return new Reason.LaunchFailed({ detail: reason.message })
    case "TimedOut":
      return new Reason.TimedOut({ phase: phaseOf(reason.phase), afterMs: reason.afterMs })
    case "Closed":
      return new Reason.Closed({ phase: phaseOf(reason.phase) })
    case "Unauthorized":
      return new Reason.Unauthorized({ credentials: reason.credentials })
    case "Status":
      return reason.status === 404
        ? new Reason.NotFound()
        : new Reason.Rejected({ status: reason.status, detail: reason.detail })
    case "ProtocolError":
      return new Reason.ProtocolError({ detail: reason.detail })
    case "TooManyRedirects":
      return new Reason.ProtocolError({ detail: reason.message })
    case "CertificateError":
      return new Reason.CertificateError({ detail: reason.detail })
    case "Unsupported":
      return new Reason.Unsupported({ what: reason.what })
  }
}

/** An error between us and the media server. */
export const serverReason = (reason: RtspReason): Reason.RelayReason => {
  switch (reason._tag) {
    case "Unauthorized":
      return new Reason.ServerUnauthorized()
    case "Status":
      return new Reason.ServerRejected({ status: reason.status, detail: reason.detail })
    case "Unsupported":
      return new Reason.ServerRejected({ status: 461, detail: reason.what })
    case "CertificateError":
      return new Reason.CertificateError({ detail: `the media server's: ${reason.detail}` })
    case "Failed":
      return new Reason.LaunchFailed({ detail: reason.message })
    default:
      return new Reason.ServerGone({ detail: reason.message })
  }
}
