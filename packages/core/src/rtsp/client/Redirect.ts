/** Redirects of a camera (RFC 2326 §11.3). */
import * as Result from "effect/Result"
import { ProtocolError, Unsupported } from "../../camera/Reason.ts"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import { RtspError, type RtspReason } from "./RtspError.ts"

/** The most redirects for one stream. */
export const maxRedirects = 3

const fail = (reason: RtspReason) => Result.fail(new RtspError({ reason }))

/**
 * The URL in a `Location` header, resolved against the requested URL. Keeps the credentials, unless the new
 * URL has its own. Never redirects from `rtsps` to `rtsp`, which would expose the password.
 */
export const follow = (
  from: StreamUrl,
  location: string | undefined
): Result.Result<StreamUrl, RtspError> => {
  const written = location?.trim() ?? ""
  if (written === "") return fail(new ProtocolError({ detail: "redirect without a Location" }))
  if (written.startsWith("/")) return Result.succeed(from.withTarget(written))
  const parsed = StreamUrl.parse(written)
  if (Result.isFailure(parsed)) {
    return fail(new ProtocolError({ detail: "redirect to an invalid URL" }))
  }
  const to = parsed.success
  if (to.scheme !== "rtsp" && to.scheme !== "rtsps") {
    return fail(new Unsupported({ what: "redirect to another protocol" }))
  }
  if (from.scheme === "rtsps" && to.scheme === "rtsp") {
    return fail(new Unsupported({ what: "redirect from rtsps to rtsp" }))
  }
  const { credentials } = from
  if (to.hasCredentials || credentials === undefined) return Result.succeed(to)
  return Result.succeed(to.withCredentials(credentials.username, credentials.password))
}
