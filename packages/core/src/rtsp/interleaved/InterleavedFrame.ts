/**
 * Interleaved frames: `$`, a channel, a length, and one RTP or RTCP packet (RFC 2326 §10.12).
 *
 * These functions read and change a frame in place, by offset, and allocate nothing.
 */

/** The first byte of every frame. */
export const dollar = 0x24

/** Bytes before the packet: `$`, the channel, and two bytes of length. */
export const headerBytes = 4

/** The channel of the frame at an offset. */
export const channel = (bytes: Uint8Array, at: number): number => bytes[at + 1] ?? 0

/** Changes the channel of the frame at an offset, in place. */
export const setChannel = (bytes: Uint8Array, at: number, channel: number): void => {
  bytes[at + 1] = channel
}

/** The start of the packet in the frame at an offset. */
export const packetStart = (at: number): number => at + headerBytes

/** The end of the frame at an offset, which is the start of the next. */
export const end = (bytes: Uint8Array, at: number): number =>
  at + headerBytes + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))

/** Makes a frame of a packet. */
export const make = (channel: number, packet: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(headerBytes + packet.length)
  frame[0] = dollar
  frame[1] = channel
  frame.writeUInt16BE(packet.length, 2)
  frame.set(packet, headerBytes)
  return frame
}
