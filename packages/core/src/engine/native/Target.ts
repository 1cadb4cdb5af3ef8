/** Which cameras this engine can take, and how it trusts them. */
import type { CameraOptions } from "../../camera/CameraOptions.ts"
import type { StreamSource } from "../CameraStream.ts"
import type { Trust } from "../../rtsp/client/Dialer.ts"

/** What of a camera's address or options this engine can't do, before the camera is even asked. */
export const unsupported = ({ options, url }: StreamSource): string | undefined => {
  if (url.scheme !== "rtsp" && url.scheme !== "rtsps") return `${url.scheme} cameras`
  if (options.transport === "udp") return "UDP"
  return options.wallclock ? "our clock in place of the camera's (wallclock)" : undefined
}

/** Whose certificate is good, for `rtsps`. */
export const trustOf = ({
  fingerprint,
  insecure
}: Pick<CameraOptions, "fingerprint" | "insecure">): Trust => {
  if (fingerprint !== undefined) return { _tag: "Fingerprint", sha256: fingerprint }
  return insecure ? { _tag: "Insecure" } : { _tag: "Verify" }
}
