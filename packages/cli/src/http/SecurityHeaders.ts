/** The headers of every response, errors included. */

/** What the pages may load. @param hlsUrls where viewers reach the HLS servers, as far as that is set. */
export const contentSecurityPolicy = (hlsUrls: ReadonlyArray<string>): string => {
  const hls = [...new Set(hlsUrls.map((url) => ` ${new URL(url).origin}`))].join("")
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
