/** What several cameras may have in common when they fail within a second of each other. Pure. */
import { dnsProblem, type Reason, Unauthorized } from "../camera/Reason.ts"

/**
 * The key of a cause beyond the single camera: the network, a device, the media server, a missing program.
 * `undefined`: each camera's failure is its own.
 *
 * @param host the camera's `host:port`.
 */
export const sharedCauseOf = (reason: Reason, host: string | undefined): string | undefined => {
  switch (reason._tag) {
    // a switch or a DNS server takes many hosts with it
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

/** The reason without what differs between the cameras that share it. @param hosts at how many they are. */
export const describeForMany = (reason: Reason, hosts: number): string => {
  if (reason._tag === "Unauthorized") {
    return new Unauthorized({ credentials: reason.credentials }).message
  }
  if (hosts === 1) return reason.message
  switch (reason._tag) {
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
