/** The RTSP methods (RFC 2326 §10), and the `Public` header with the methods of a server (§12.28). */

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
 * The methods in `Public` headers, in upper case. An empty set does not mean that no method is supported: some
 * cameras respond to `OPTIONS` with 404.
 */
export const parsePublic = (values: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set(
    values
      .flatMap((value) => value.split(/[\s,;]+/))
      .filter((name) => /^[A-Za-z_]+$/.test(name))
      .map((name) => name.toUpperCase())
  )
