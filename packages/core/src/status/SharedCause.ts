/** Finds the common cause of cameras that fail within a second of each other. Pure. */
import { dnsProblem, isAboutMediaServer, type Reason, Unauthorized } from "../camera/Reason.ts"
import { serverLabel, settingsGroup } from "../media-server/MediaServers.ts"

/**
 * The key of a cause outside a single camera: the network, a device, the media server, a missing program.
 * `undefined`: the failure concerns only this camera.
 *
 * @param host the camera's `host:port`.
 * @param mediaServer the name of its media server, if there are several.
 */
export const sharedCauseOf = (
  reason: Reason,
  host: string | undefined,
  mediaServer?: string
): string | undefined => {
  const cause = causeOf(reason, host)
  return cause === undefined || mediaServer === undefined || !isAboutMediaServer(reason)
    ? cause
    : `${cause} at ${mediaServer}`
}

const causeOf = (reason: Reason, host: string | undefined): string | undefined => {
  switch (reason._tag) {
    // a failed switch or DNS server affects many hosts
    case "DnsError":
      return `${reason._tag} ${reason.why}`
    case "HostUnreachable":
      return reason._tag
    case "TimedOut":
      return reason.phase === "connecting" ? reason._tag : undefined
    case "Stalled":
      return `${reason._tag} ${reason.side}`
    // a device that serves several cameras
    case "Refused":
    case "Closed":
    case "Unauthorized":
    case "DeviceFull":
    case "CertificateError":
      return `${reason._tag} ${host}`
    case "ServerUnauthorized":
    case "ServerGone":
    case "PathOffline":
      return reason._tag
    case "ServerRejected":
      return `${reason._tag} ${reason.status} ${reason.request} ${reason.expected} ${reason.announced} ${reason.publisher}`
    case "LaunchFailed":
      return `${reason._tag} ${reason.detail}`
    default:
      return undefined
  }
}

/** The problem of a media server, with its name if there are several. */
const describeOfServer = (reason: Reason, mediaServer: string | undefined): string =>
  mediaServer === undefined
    ? reason.message
    : reason.message
        .replace("the media server", serverLabel(mediaServer))
        .replaceAll(/mediaServer\.(?=username|password)/g, `${settingsGroup(mediaServer)}.`)

/**
 * The reason without details that differ between the cameras that share it.
 *
 * @param hosts the number of hosts of these cameras.
 * @param mediaServer the name of their media server, if there are several.
 */
export const describeForMany = (reason: Reason, hosts: number, mediaServer?: string): string => {
  if (isAboutMediaServer(reason)) return describeOfServer(reason, mediaServer)
  if (reason._tag === "Unauthorized") {
    return new Unauthorized({ credentials: reason.credentials }).message
  }
  if (hosts === 1) return reason.message
  switch (reason._tag) {
    case "Refused":
      return "connection refused"
    case "DnsError":
      return `cannot resolve their host names: ${dnsProblem(reason)}`
    case "HostUnreachable":
      return "no route to the hosts"
    case "TimedOut":
      return `timed out while ${reason.phase}`
    default:
      return reason.message
  }
}
