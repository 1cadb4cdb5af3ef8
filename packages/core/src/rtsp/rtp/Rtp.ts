/**
 * Parses RTP packets in place (RFC 3550 §5.1).
 *
 * The functions take the bytes and the packet's bounds, and allocate nothing. Call {@link isRtp} once; the
 * other functions rely on it.
 */

export const headerBytes = 12

/** Whether `bytes[at, end)` can be an RTP packet: long enough, and version 2. */
export const isRtp = (bytes: Uint8Array, at: number, end: number): boolean =>
  end - at >= headerBytes && end <= bytes.length && ((bytes[at] ?? 0) & 0xc0) === 0x80

export const marker = (bytes: Uint8Array, at: number): boolean =>
  ((bytes[at + 1] ?? 0) & 0x80) !== 0

export const payloadType = (bytes: Uint8Array, at: number): number => (bytes[at + 1] ?? 0) & 0x7f

export const sequence = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)

const word = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0

export const timestamp = (bytes: Uint8Array, at: number): number => word(bytes, at + 4)

export const ssrc = (bytes: Uint8Array, at: number): number => word(bytes, at + 8)

/** The start of the payload, after contributing sources and extension; -1 if they exceed the packet. */
export const payloadStart = (bytes: Uint8Array, at: number, end: number): number => {
  const first = bytes[at] ?? 0
  let start = at + headerBytes + 4 * (first & 0x0f)
  if ((first & 0x10) !== 0) {
    if (start + 4 > end) return -1
    start += 4 + 4 * (((bytes[start + 2] ?? 0) << 8) | (bytes[start + 3] ?? 0))
  }
  return start <= end ? start : -1
}

/** The end of the payload, before the padding; -1 if the padding is too long. */
export const payloadEnd = (bytes: Uint8Array, at: number, end: number): number => {
  if (((bytes[at] ?? 0) & 0x20) === 0) return end
  const padding = bytes[end - 1] ?? 0
  const trimmed = end - padding
  return padding === 0 || trimmed < at + headerBytes ? -1 : trimmed
}

/** The bytes besides header and padding; 0 if these exceed the packet. */
export const payloadBytes = (bytes: Uint8Array, at: number, end: number): number => {
  // most packets: no padding, no extension, no contributing sources
  if (bytes[at] === 0x80) return end - at - headerBytes
  const start = payloadStart(bytes, at, end)
  return start === -1 ? 0 : Math.max(0, payloadEnd(bytes, at, end) - start)
}

/** Whether the packet carries anything besides its header and its padding. */
export const hasPayload = (bytes: Uint8Array, at: number, end: number): boolean =>
  payloadBytes(bytes, at, end) > 0

/** Overwrites the payload type and keeps the marker. */
export const setPayloadType = (bytes: Uint8Array, at: number, type: number): void => {
  bytes[at + 1] = ((bytes[at + 1] ?? 0) & 0x80) | type
}

export interface RtpHeader {
  readonly marker: boolean
  readonly payloadType: number
  readonly sequence: number
  readonly timestamp: number
  readonly ssrc: number
}

/** Makes a packet, for sources and tests. */
export const make = (header: RtpHeader, ...payload: ReadonlyArray<Uint8Array>): Buffer => {
  const head = Buffer.alloc(headerBytes)
  head[0] = 0x80
  head[1] = (header.marker ? 0x80 : 0) | (header.payloadType & 0x7f)
  head.writeUInt16BE(header.sequence & 0xffff, 2)
  head.writeUInt32BE(header.timestamp >>> 0, 4)
  head.writeUInt32BE(header.ssrc >>> 0, 8)
  return Buffer.concat([head, ...payload])
}
