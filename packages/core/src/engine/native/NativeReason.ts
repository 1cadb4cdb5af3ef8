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
    case "HostUnknown":
      return new Reason.HostUnknown({ host: reason.host })
    case "HostUnreachable":
      return new Reason.HostUnreachable({ authority: reason.authority })
    case "Failed":
      return new Reason.StartFailed({ detail: reason.message })
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
    case "Garbled":
      return new Reason.Garbled({ detail: reason.detail })
    case "TooManyRedirects":
      return new Reason.Garbled({ detail: reason.message })
    case "Untrusted":
      return new Reason.Untrusted({ detail: reason.detail })
    case "Unsupported":
      return new Reason.Unsupported({ what: reason.what })
  }
}

/** An error between us and the media server. */
export const sinkReason = (reason: RtspReason): Reason.RelayReason => {
  switch (reason._tag) {
    case "Unauthorized":
      return new Reason.SinkUnauthorized()
    case "Status":
      return new Reason.SinkRejected({ status: reason.status, detail: reason.detail })
    case "Unsupported":
      return new Reason.SinkRejected({ status: 461, detail: reason.what })
    case "Untrusted":
      return new Reason.Untrusted({ detail: `the media server's: ${reason.detail}` })
    case "Failed":
      return new Reason.StartFailed({ detail: reason.message })
    default:
      return new Reason.SinkGone({ detail: reason.message })
  }
}
