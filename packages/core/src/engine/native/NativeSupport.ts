/** Which cameras this engine can take. */
import type { StreamSource } from "../CameraStream.ts"

/** What of a camera's address or options this engine can't do, before the camera is even asked. */
export const unsupported = ({ options, url }: StreamSource): string | undefined => {
  if (url.scheme !== "rtsp" && url.scheme !== "rtsps") return `${url.scheme} cameras`
  if (options.transport === "udp") return "UDP"
  return options.wallclock ? "our clock in place of the camera's (wallclock)" : undefined
}
