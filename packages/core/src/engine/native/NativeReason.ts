/** The reason for an RTSP error, at the camera and at the media server. */
import * as Reason from "../../camera/Reason.ts"
import type { RtspReason } from "../../rtsp/client/RtspError.ts"

/** The reason for an error of the session with a camera. */
export const cameraReason = (reason: RtspReason): Reason.ProbeReason =>
  reason._tag === "Rejected" && reason.status === 404 ? new Reason.NotFound() : reason

/** The reason for an error of the session with the media server. */
export const serverReason = (reason: RtspReason): Reason.RelayReason => {
  switch (reason._tag) {
    case "Unauthorized":
      return reason.credentials === "unsupported"
        ? new Reason.ServerRejected({ status: 401, detail: `requires ${reason.requires}` })
        : new Reason.ServerUnauthorized({
            credentials: reason.credentials === "missing" ? "missing" : "wrong"
          })
    case "Rejected":
      return new Reason.ServerRejected({
        status: reason.status,
        detail: reason.detail,
        ...(reason.request !== undefined && { request: reason.request })
      })
    case "Unsupported":
      return new Reason.ServerRejected({ status: 461, detail: reason.what })
    case "CertificateError":
      return new Reason.CertificateError({ ...reason, detail: `media server: ${reason.detail}` })
    case "LaunchFailed":
      return reason
    default:
      return new Reason.ServerGone({ detail: reason.message })
  }
}
