/** Advice for an operator about a problem, in one or two sentences. Pure. */
import type { Reason } from "../camera/Reason.ts"
import type { CameraState } from "./CameraState.ts"

/** Advice about a reason. See docs/troubleshooting.md for details. */
export const adviceFor = (reason: Reason): string => {
  switch (reason._tag) {
    case "Refused":
      return "Check the port in the row, and that RTSP is switched on in the camera."
    case "DnsError":
      return "Check the host name in the row, and the name server of this machine."
    case "HostUnreachable":
      return "Check the power and the cable of the camera, the switch, and the route to its network."
    case "TimedOut":
      return reason.phase === "connecting"
        ? "Check the power and the address of the camera, and firewalls on the way."
        : "The camera answers too slowly: restart it, and reduce its other clients."
    case "Closed":
      return "The camera closed the connection: reduce its other clients, or choose its sub stream."
    case "Unauthorized":
      if (reason.credentials === "locked") {
        return "Unlock the account in the camera, or wait; check the user name and password in the row."
      }
      if (reason.credentials === "unsupported") {
        return "Allow Basic or Digest authentication (MD5, SHA-256) in the camera."
      }
      return "Correct the user name and password in the row. Retries are rare, because cameras lock accounts."
    case "RedirectRefused":
      return "If the other address is yours, write it into the row."
    case "NotFound":
      return "Check the camera type, the channel and the path of the URL in the row."
    case "Rejected":
      return "Reduce the other clients of the camera, or choose its sub stream; if that does not help, restart it."
    case "DeviceFull":
      return "Disconnect other clients of the device, or raise its limit; the camera starts when a session is free."
    case "OnvifError":
      return reason.problem === "NoService"
        ? "Switch on ONVIF in the camera, and check the ONVIF port in the row, which is not the RTSP port."
        : reason.problem === "NoProfile"
          ? "Choose one of the profiles of the device in the column stream."
          : "Restart the camera; if that does not help, use its vendor's camera type or its whole address."
    case "NoVideo":
      return "Switch on video in the profile of the camera, or choose another channel or stream."
    case "ProtocolError":
      return "Check the port in the row; another program may listen there. Otherwise try the option engine with ffmpeg."
    case "Unsupported":
      return "Leave the option engine at auto and install ffmpeg, or choose H.264 or H.265 in the camera."
    case "CertificateError":
      return "Compare the fingerprint with that of the device, and set it in the option fingerprint."
    case "LaunchFailed":
      return "Check that ffmpeg is installed, and the limits of this machine for processes, files and memory."
    case "InvalidUrl":
      return "Correct the row as the message says."
    case "Stalled":
      return reason.side === "input"
        ? "The camera sends no video although it answers: restart it if that happens again, and check its network."
        : "The media server is too slow: check its processor, its network and its log."
    case "Exited":
      return "Act on the last line of the process, or use the native engine."
    case "ServerUnauthorized":
      return "Correct mediaServer.username and mediaServer.password."
    case "ServerRejected":
      return "Check that the configuration of the media server allows the path, and its log."
    case "ServerGone":
      return "Check that the media server runs and is reachable; cameras continue when it is back."
    case "PublisherReplaced":
      return "Another publisher uses the path: stop it, or change the path in the row."
    case "PathOffline":
      return "Check the log of the media server, and that mediaServer.apiUrl belongs to the server of mediaServer.host."
    case "InternalError":
      return "This is a defect of restream: report it with the log."
  }
}

/** Advice about the state of a camera; `undefined` if there is nothing to do. */
export const adviceOf = (state: CameraState, reason: Reason | undefined): string | undefined => {
  if (state._tag === "Invalid") return "Correct the row as the message says."
  if (state._tag === "Waiting" && state.for === "media server") {
    return "Check that the media server runs and is reachable; the camera continues when it is back."
  }
  if (state._tag === "Waiting" && state.for === "session") {
    return "All sessions that device.maxSessions allows are in use: raise it if the device serves more."
  }
  if (state._tag === "Waiting" && state.for === "operator") {
    return "An operator stopped the camera: retry or restart it to go on."
  }
  return reason === undefined ? undefined : adviceFor(reason)
}
