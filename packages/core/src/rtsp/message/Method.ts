/** The methods of RTSP (RFC 2326 §10) and the `Public` header that lists what a server can do (§12.28). */

export const methods = [
  "OPTIONS",
  "DESCRIBE",
  "ANNOUNCE",
  "SETUP",
  "PLAY",
  "PAUSE",
  "RECORD",
  "TEARDOWN",
  "GET_PARAMETER",
  "SET_PARAMETER",
  "REDIRECT"
] as const

/** A method of RTSP. */
export type Method = (typeof methods)[number]

/**
 * The methods in the values of `Public` headers, in upper case. Empty where a server tells none, which
 * says nothing: some cameras answer `OPTIONS` with 404.
 */
export const parsePublic = (values: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set(
    values
      .flatMap((value) => value.split(/[\s,;]+/))
      .filter((name) => /^[A-Za-z_]+$/.test(name))
      .map((name) => name.toUpperCase())
  )
