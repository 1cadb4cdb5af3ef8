/**
 * Recognizes the head of a message among other bytes, and finds its end (RFC 2326 §4.1, §6.1, §7.1).
 *
 * The functions take the bytes and bounds, read each byte once, and copy nothing.
 */

export const carriageReturn = 0x0d
export const lineFeed = 0x0a

export const isLetter = (byte: number): boolean => {
  const upper = byte & 0xdf
  return upper >= 0x41 && upper <= 0x5a
}

/** Whether four letters are `RTSP` or `HTTP`, case-insensitive. */
const isProtocol = (bytes: Uint8Array, at: number): boolean => {
  const upper = (index: number) => (bytes[at + index] ?? 0) & 0xdf
  return (
    upper(1) === 0x54 &&
    upper(3) === 0x50 &&
    ((upper(0) === 0x52 && upper(2) === 0x53) || (upper(0) === 0x48 && upper(2) === 0x54))
  )
}

/** The longest prefix needed to distinguish a message from garbage: `SET_PARAMETER r`. */
const longestStart = 34

/**
 * Whether the bytes can be the start of a message: `RTSP/1`, `HTTP/1` (rejected later, with a better error
 * than "garbage"), or a method and the start of a URL. `undefined` if there are too few bytes to decide.
 */
export const looksLikeMessage = (
  bytes: Uint8Array,
  start: number,
  end: number
): boolean | undefined => {
  let at = start
  let lowerCase = false
  while (at < end && at - start < longestStart) {
    const byte = bytes[at] ?? 0
    if (isLetter(byte) || byte === 0x5f) {
      lowerCase ||= byte > 0x5f
      at++
      continue
    }
    const length = at - start
    if (byte === 0x2f) {
      return length === 4 && isProtocol(bytes, start)
    }
    if (byte !== 0x20 || length < 3 || lowerCase) return false
    if (at + 1 >= end) return undefined
    const next = bytes[at + 1] ?? 0
    // the URL: `rtsp://…`, `/path`, or `*`
    return isLetter(next) || next === 0x2f || next === 0x2a
  }
  return at - start >= longestStart ? false : undefined
}

/** Text contains no control characters except tabs and line breaks. */
const isText = (byte: number): boolean =>
  byte >= 0x20 || byte === 0x09 || byte === lineFeed || byte === carriageReturn

/** The result of a scan: the head ends, the bytes are not text, or more bytes are needed. */
export type MessageScan =
  | { readonly _tag: "End"; readonly at: number }
  | { readonly _tag: "Binary"; readonly at: number }
  | { readonly _tag: "More"; readonly lineStart: number }

/** Searches for the empty line that ends a head. The current line starts at `lineStart`. */
export const scanMessage = (
  bytes: Buffer,
  from: number,
  to: number,
  lineStart: number
): MessageScan => {
  let line = lineStart
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0
    if (byte === lineFeed) {
      const length = at - line
      if (length === 0 || (length === 1 && bytes[at - 1] === carriageReturn)) {
        return { _tag: "End", at: at + 1 }
      }
      line = at + 1
    } else if (!isText(byte)) {
      return { _tag: "Binary", at }
    }
  }
  return { _tag: "More", lineStart: line }
}
