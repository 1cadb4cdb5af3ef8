/**
 * Interleaved frames: `$`, a channel, a length, and one RTP or RTCP packet (RFC 2326 §10.12).
 *
 * These functions read and change a frame where it lies, by offset, without making anything.
 */

/** The first byte of every frame. */
export const dollar = 0x24

/** Bytes before the packet: `$`, the channel, and the length in two bytes. */
export const headerBytes = 4

/** The longest frame with its header, in bytes. */
export const maxFrameBytes = headerBytes + 0xffff

/** The channel of the frame at an offset. */
export const channel = (bytes: Uint8Array, at: number): number => bytes[at + 1] ?? 0

/** Gives the frame at an offset another channel, in place. */
export const setChannel = (bytes: Uint8Array, at: number, channel: number): void => {
  bytes[at + 1] = channel
}

/** Where the packet of the frame at an offset begins. */
export const packetStart = (at: number): number => at + headerBytes

/** Where the frame at an offset ends, and the next begins. */
export const end = (bytes: Uint8Array, at: number): number =>
  at + headerBytes + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0))

/** A packet as a frame of its own. */
export const make = (channel: number, packet: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(headerBytes + packet.length)
  frame[0] = dollar
  frame[1] = channel
  frame.writeUInt16BE(packet.length, 2)
  frame.set(packet, headerBytes)
  return frame
}
