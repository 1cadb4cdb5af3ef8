/** Which cameras the native engine supports. */
import type { StreamSource } from "../CameraStream.ts"

/** What the engine does not support in the camera's URL and options; `undefined` if it supports the camera. */
export const unsupported = ({ options, url }: StreamSource): string | undefined => {
  if (url.scheme !== "rtsp" && url.scheme !== "rtsps") return `${url.scheme} cameras`
  return options.transport === "udp" ? "UDP" : undefined
}
