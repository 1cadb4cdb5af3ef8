/** Redirects of a camera (RFC 2326 §11.3). */
import * as Result from "effect/Result"
import { oneLine, redact } from "@restream/config"
import { ProtocolError, RedirectRefused } from "../../camera/Reason.ts"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import { RtspError, type RtspReason } from "./RtspError.ts"

/** The most redirects for one stream. */
export const maxRedirects = 3

const fail = (reason: RtspReason) => Result.fail(new RtspError({ reason }))

/** A redirect that is not followed. The address is the camera's own text, so secrets are masked in it. */
const refused = (to: StreamUrl, why: string, secrets: ReadonlyArray<string>): RedirectRefused =>
  new RedirectRefused({ authority: oneLine(redact(to.authority, secrets)), why })

/** The URL of a stream, and the host that its credentials belong to. */
export interface Redirected {
  readonly url: StreamUrl
  /** The host that the credentials of `url` belong to. */
  readonly credentialsHost: string
}

const isSameHost = (host: string, other: string): boolean =>
  host.toLowerCase() === other.toLowerCase()

/**
 * Why the credentials must not be sent as plain text (Basic); `undefined` if they may be: to the host that they
 * belong to, or encrypted.
 */
export const refusesBasic = (
  { credentialsHost, url }: Redirected,
  secrets: ReadonlyArray<string>
): RedirectRefused | undefined =>
  isSameHost(url.host, credentialsHost) || url.scheme === "rtsps"
    ? undefined
    : refused(
        url,
        "another host, which requires the password unencrypted (Basic); if it is trusted, use its address as the URL",
        secrets
      )

/**
 * The URL in a `Location` header, resolved against the requested URL. Keeps the credentials, unless the new
 * URL has its own. Never redirects from `rtsps` to `rtsp`, which would expose the password.
 */
export const follow = (
  { credentialsHost, url: from }: Redirected,
  location: string | undefined,
  secrets: ReadonlyArray<string> = from.secrets
): Result.Result<Redirected, RtspError> => {
  const written = location?.trim() ?? ""
  if (written === "") return fail(new ProtocolError({ detail: "redirect without a Location" }))
  if (written.startsWith("/")) {
    return Result.succeed({ url: from.withTarget(written), credentialsHost })
  }
  const parsed = StreamUrl.parse(written)
  if (Result.isFailure(parsed)) {
    return fail(new ProtocolError({ detail: "redirect to an invalid URL" }))
  }
  const to = parsed.success
  // not `Unsupported`: ffmpeg would follow it
  if (to.scheme !== "rtsp" && to.scheme !== "rtsps") {
    return fail(refused(to, "its protocol is not RTSP", secrets))
  }
  if (from.scheme === "rtsps" && to.scheme === "rtsp") {
    return fail(refused(to, "the connection would not be encrypted any more", secrets))
  }
  const { credentials } = from
  return Result.succeed(
    to.hasCredentials || credentials === undefined
      ? { url: to, credentialsHost: to.host }
      : { url: to.withCredentials(credentials.username, credentials.password), credentialsHost }
  )
}
