/** The headers of every response, errors included. */

/** What the pages may load. @param hlsUrl where viewers reach the HLS server, if that is set. */
export const contentSecurityPolicy = (hlsUrl: string | undefined): string => {
  const hls = hlsUrl === undefined ? "" : ` ${new URL(hlsUrl).origin}`
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src 'self' blob:",
    `connect-src 'self'${hls}`,
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'"
  ].join("; ")
}

/** The headers besides the policy. */
export const securityHeaders: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin"
}
