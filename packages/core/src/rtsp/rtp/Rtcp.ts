/** RTCP: parses sender reports and makes receiver reports (RFC 3550 §6.4–§6.5). */

const senderReport = 200
const receiverReport = 201
const sourceDescription = 202

export interface ReportBlock {
  readonly ssrc: number
  /** In 1/256. */
  readonly fractionLost: number
  readonly cumulativeLost: number
  /** Including the cycles. */
  readonly highestSequence: number
  readonly jitter: number
  /** The middle 32 bits of the NTP time of the last sender report, 0 for none. */
  readonly lastSenderReport: number
  /** In 1/65536 s. */
  readonly delaySinceLastSenderReport: number
}

export interface SenderReport {
  readonly ssrc: number
  /** Seconds since 1900, and the fraction in 1/2³². */
  readonly ntpSeconds: number
  readonly ntpFraction: number
  readonly timestamp: number
  readonly packets: number
  readonly octets: number
}

/** Seconds from 1900, the NTP epoch, to 1970. */
const ntpEpoch = 2_208_988_800

/** A time in milliseconds since 1970 as in a sender report. */
export const ntpOf = (ms: number): Pick<SenderReport, "ntpSeconds" | "ntpFraction"> => {
  const seconds = Math.floor(ms / 1000)
  return {
    ntpSeconds: seconds + ntpEpoch,
    ntpFraction: Math.floor((ms / 1000 - seconds) * 2 ** 32)
  }
}

/** The time of a sender report in milliseconds since 1970. */
export const timeOf = ({ ntpFraction, ntpSeconds }: SenderReport): number =>
  (ntpSeconds - ntpEpoch + ntpFraction / 2 ** 32) * 1000

/** Whether `bytes[at, end)` can be RTCP: version 2, and an RTCP packet type (RFC 5761 §4). */
export const isRtcp = (bytes: Uint8Array, at: number, end: number): boolean => {
  const type = bytes[at + 1] ?? 0
  return end - at >= 8 && ((bytes[at] ?? 0) & 0xc0) === 0x80 && type >= 192 && type <= 223
}

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The first sender report in the compound packet `bytes[at, end)`. */
export const readSenderReport = (
  bytes: Uint8Array,
  at: number,
  end: number
): SenderReport | undefined => {
  const data = view(bytes)
  const limit = Math.min(end, bytes.length)
  let position = at
  while (position + 8 <= limit) {
    if (((bytes[position] ?? 0) & 0xc0) !== 0x80) return undefined
    const next = position + 4 * (data.getUint16(position + 2) + 1)
    if (next > limit) return undefined
    if (bytes[position + 1] === senderReport && next - position >= 28) {
      return {
        ssrc: data.getUint32(position + 4),
        ntpSeconds: data.getUint32(position + 8),
        ntpFraction: data.getUint32(position + 12),
        timestamp: data.getUint32(position + 16),
        packets: data.getUint32(position + 20),
        octets: data.getUint32(position + 24)
      }
    }
    position = next
  }
  return undefined
}

const header = (packet: Buffer, type: number, count: number): void => {
  packet[0] = 0x80 | count
  packet[1] = type
  packet.writeUInt16BE(packet.length / 4 - 1, 2)
}

/** The canonical name of a source, required in every compound packet (RFC 3550 §6.5.1). */
const cname = (ssrc: number, name: string): Buffer => {
  const text = Buffer.from(name, "utf8").subarray(0, 255)
  // a zero byte ends the item list, and the packet length is a multiple of four
  const packet = Buffer.alloc(8 + 4 * Math.ceil((2 + text.length + 1) / 4))
  header(packet, sourceDescription, 1)
  packet.writeUInt32BE(ssrc >>> 0, 4)
  packet[8] = 1
  packet[9] = text.length
  text.copy(packet, 10)
  return packet
}

/** A receiver report with the reporter's name, for up to 31 sources. */
export const makeReceiverReport = (options: {
  /** The SSRC of the reporter. */
  readonly ssrc: number
  readonly blocks: ReadonlyArray<ReportBlock>
  readonly name: string
}): Buffer => {
  const blocks = options.blocks.slice(0, 31)
  const packet = Buffer.alloc(8 + 24 * blocks.length)
  header(packet, receiverReport, blocks.length)
  packet.writeUInt32BE(options.ssrc >>> 0, 4)
  blocks.forEach((block, index) => {
    const at = 8 + 24 * index
    packet.writeUInt32BE(block.ssrc >>> 0, at)
    packet.writeUInt8(block.fractionLost & 0xff, at + 4)
    packet.writeUIntBE(block.cumulativeLost & 0xffffff, at + 5, 3)
    packet.writeUInt32BE(block.highestSequence >>> 0, at + 8)
    packet.writeUInt32BE(block.jitter >>> 0, at + 12)
    packet.writeUInt32BE(block.lastSenderReport >>> 0, at + 16)
    packet.writeUInt32BE(block.delaySinceLastSenderReport >>> 0, at + 20)
  })
  return Buffer.concat([packet, cname(options.ssrc, options.name)])
}

/** A sender report with the name of the source. */
export const makeSenderReport = (report: SenderReport, name: string): Buffer => {
  const packet = Buffer.alloc(28)
  header(packet, senderReport, 0)
  packet.writeUInt32BE(report.ssrc >>> 0, 4)
  packet.writeUInt32BE(report.ntpSeconds >>> 0, 8)
  packet.writeUInt32BE(report.ntpFraction >>> 0, 12)
  packet.writeUInt32BE(report.timestamp >>> 0, 16)
  packet.writeUInt32BE(report.packets >>> 0, 20)
  packet.writeUInt32BE(report.octets >>> 0, 24)
  return Buffer.concat([packet, cname(report.ssrc, name)])
}

/** The middle 32 bits of a report's NTP time, as in a receiver report. */
export const middleOfNtp = (report: SenderReport): number =>
  (((report.ntpSeconds & 0xffff) << 16) | (report.ntpFraction >>> 16)) >>> 0
