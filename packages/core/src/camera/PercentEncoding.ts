/** Percent-encoding for the parts of a URL (RFC 3986 §2). Every password works, and nothing is encoded twice. */

/** Characters that need no encoding anywhere in a URL: RFC 3986 §2.3, "unreserved". */
const unreserved = /^[A-Za-z0-9\-._~]*$/

const encodedBytes = /(?:%[0-9A-Fa-f]{2})+/g

const decodeStrict = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/**
 * Whether a value is already percent-encoded: all its characters are allowed in a URL, each `%` begins a byte, the
 * bytes are UTF-8, and at least one of them requires encoding.
 *
 * So `p%40ss` is encoded (`p@ss`), and `50%off`, `100%`, `%61` and `a%zz` are plain text.
 */
export const isEncoded = (text: string): boolean => {
  if (!text.includes("%") || !/^(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*$/.test(text)) {
    return false
  }
  const runs = text.match(encodedBytes) ?? []
  const decoded = runs.map(decodeStrict)
  return (
    decoded.every((run) => run !== undefined) && !decoded.every((run) => unreserved.test(run ?? ""))
  )
}

/** Encodes plain text for use as user name, password, path segment or query value. */
export const encode = (text: string): string =>
  encodeURIComponent(text.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )

/** The plain text of a value that may or may not be percent-encoded; see {@link isEncoded}. */
export const decodeOnce = (text: string): string =>
  isEncoded(text) ? decodeURIComponent(text) : text

/**
 * Encodes a path with its query for a request line: characters that are allowed in a URL and encoded bytes stay,
 * all others (white space, control characters, letters beyond ASCII, a lone `%`) are encoded.
 */
export const encodeTarget = (target: string): string =>
  target
    .toWellFormed()
    .replaceAll(/%(?![0-9A-Fa-f]{2})/g, "%25")
    .replaceAll(/[^\x21-\x7e]|["<>\\^`{|}]/gu, (character) => encodeURIComponent(character))
