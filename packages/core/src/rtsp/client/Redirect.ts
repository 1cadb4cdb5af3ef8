/** Where a camera sends us (RFC 2326 §11.3). */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as PercentEncoding from "../../camera/PercentEncoding.ts"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import { ProtocolError, RtspError, type RtspReason, Unsupported } from "./RtspError.ts"

/** The most redirects on the way to one stream. */
export const maxRedirects = 3

const fail = (reason: RtspReason) => Result.fail(new RtspError({ reason }))

/**
 * The address that a `Location` names, seen from another one. Credentials stay, unless it names others.
 * From `rtsps` it never leads to `rtsp`: the password would go in the clear.
 */
export const follow = (
  from: StreamUrl,
  location: string | undefined
): Result.Result<StreamUrl, RtspError> => {
  const written = location?.trim() ?? ""
  if (written === "")
    return fail(new ProtocolError({ detail: "it sends us elsewhere, but not where" }))
  if (written.startsWith("/")) return Result.succeed(from.withTarget(written))
  const parsed = StreamUrl.parse(written)
  if (Result.isFailure(parsed)) {
    return fail(new ProtocolError({ detail: "it sends us to an address that can't be read" }))
  }
  const to = parsed.success
  if (to.scheme !== "rtsp" && to.scheme !== "rtsps") {
    return fail(new Unsupported({ what: "a redirect to another protocol" }))
  }
  if (from.scheme === "rtsps" && to.scheme === "rtsp") {
    return fail(new Unsupported({ what: "a redirect from rtsps to rtsp" }))
  }
  const { credentials } = from
  if (to.hasCredentials || credentials === undefined) return Result.succeed(to)
  return Result.succeed(
    new StreamUrl({
      scheme: to.scheme,
      host: to.host,
      port: to.port,
      username: PercentEncoding.encode(credentials.username),
      password: PercentEncoding.encode(Redacted.value(credentials.password)),
      target: Redacted.value(to.withoutUserInfo).replace(/^[a-z]+:\/\/[^/?]*/i, "")
    })
  )
}
