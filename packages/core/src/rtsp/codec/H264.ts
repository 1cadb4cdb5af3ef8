/** H.264: the start of a keyframe in RTP (RFC 6184), and the video size (ITU-T H.264 §7.3.2.1.1). */
import { BitReader, withoutEmulation } from "./BitReader.ts"
import * as Rtp from "../rtp/Rtp.ts"

const idr = 5
export const sequenceParameterSet = 7
export const pictureParameterSet = 8
export const aggregationA = 24
const aggregationB = 25
export const fragmentA = 28
const fragmentB = 29

/** The type of the NAL unit at an offset. */
export const nalType = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) & 0x1f

/**
 * Whether a unit of this type with the content `bytes[at, end)` starts a keyframe. Only the first slice of an
 * IDR picture does: it starts with `first_mb_in_slice` 0, encoded as one set bit.
 */
const begins = (type: number, bytes: Uint8Array, at: number, end: number): boolean =>
  type === idr
    ? at < end && ((bytes[at] ?? 0) & 0x80) !== 0
    : type === sequenceParameterSet || type === pictureParameterSet

/** The start of a slice with the first macroblock. */
const firstSlice = Uint8Array.of(0x80)

/**
 * Whether a decoder can start with the RTP packet `bytes[at, end)`: the packet contains the start of an IDR
 * picture, or of the parameter sets before it. Later slices of the picture do not count.
 */
export const startsKeyframe = (bytes: Uint8Array, at: number, end: number): boolean => {
  if (!Rtp.isRtp(bytes, at, end)) return false
  const start = Rtp.payloadStart(bytes, at, end)
  const limit = Rtp.payloadEnd(bytes, at, end)
  if (start === -1 || start >= limit) return false
  const type = nalType(bytes, start)
  switch (type) {
    case aggregationA:
    case aggregationB: {
      // a size precedes each unit; in type B packets also a decoding order number
      let unit = start + (type === aggregationA ? 1 : 3)
      while (unit + 2 < limit) {
        if (begins(nalType(bytes, unit + 2), bytes, unit + 3, limit)) return true
        unit += 2 + (((bytes[unit] ?? 0) << 8) | (bytes[unit + 1] ?? 0))
      }
      return false
    }
    case fragmentA:
    case fragmentB: {
      const header = bytes[start + 1] ?? 0
      const content = start + (type === fragmentA ? 2 : 4)
      if ((header & 0x80) === 0) return false
      // some cameras send the first slice data with the second fragment
      return content >= limit
        ? begins(header & 0x1f, firstSlice, 0, 1)
        : begins(header & 0x1f, bytes, content, limit)
    }
    default:
      return begins(type, bytes, start + 1, limit)
  }
}

export interface PictureSize {
  /** In pixels, after cropping. */
  readonly width: number
  readonly height: number
}

/** Profiles whose parameter sets contain the chroma format. */
const withChroma: ReadonlySet<number> = new Set([
  100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135
])

const skipScalingList = (reader: BitReader, size: number): void => {
  let last = 8
  let next = 8
  for (let i = 0; i < size && !reader.overrun; i++) {
    if (next !== 0) next = (last + reader.signed() + 256) & 0xff
    last = next === 0 ? last : next
  }
}

export interface SequenceParameters extends PictureSize {
  /** Whether pictures may be sent in another order than they are displayed: B-frames. */
  readonly mayReorder: boolean
}

/** The video size in a sequence parameter set; `undefined` if the set is invalid. */
export const pictureSize = (sps: Uint8Array): PictureSize | undefined => {
  const parameters = sequenceParameters(sps)
  return parameters && { width: parameters.width, height: parameters.height }
}

const baselineProfile = 66

/** Parses a sequence parameter set; `undefined` if the set is invalid. */
export const sequenceParameters = (sps: Uint8Array): SequenceParameters | undefined => {
  if (sps.length < 4 || nalType(sps, 0) !== sequenceParameterSet) return undefined
  const reader = new BitReader(withoutEmulation(sps), 1)
  const profile = reader.bits(8)
  reader.skip(16)
  reader.unsigned()
  let chroma = 1
  if (withChroma.has(profile)) {
    chroma = reader.unsigned()
    if (chroma > 3) return undefined
    if (chroma === 3) reader.skip(1)
    reader.unsigned()
    reader.unsigned()
    reader.skip(1)
    if (reader.flag()) {
      for (let i = 0; i < (chroma === 3 ? 12 : 8); i++) {
        if (reader.flag()) skipScalingList(reader, i < 6 ? 16 : 64)
      }
    }
  }
  reader.unsigned()
  const orderType = reader.unsigned()
  if (orderType === 0) {
    reader.unsigned()
  } else if (orderType === 1) {
    reader.skip(1)
    reader.signed()
    reader.signed()
    const cycle = reader.unsigned()
    if (cycle > 255) return undefined
    for (let i = 0; i < cycle; i++) reader.signed()
  }
  reader.unsigned()
  reader.skip(1)
  const widthInBlocks = reader.unsigned() + 1
  const heightInUnits = reader.unsigned() + 1
  const fields = reader.flag() ? 1 : 2
  if (fields === 2) reader.skip(1)
  reader.skip(1)
  let width = widthInBlocks * 16
  let height = heightInUnits * 16 * fields
  if (reader.flag()) {
    const across = reader.unsigned() + reader.unsigned()
    const down = reader.unsigned() + reader.unsigned()
    width -= across * (chroma === 1 || chroma === 2 ? 2 : 1)
    height -= down * (chroma === 1 ? 2 : 1) * fields
  }
  if (reader.overrun || !isPicture(width) || !isPicture(height)) return undefined
  // order type 2: the output order is the decoding order (ITU-T H.264 §8.2.1.3)
  return { width, height, mayReorder: profile !== baselineProfile && orderType !== 2 }
}

/** Above the limit of every level: a larger number means that the set is invalid. */
const isPicture = (pixels: number): boolean => pixels > 0 && pixels <= 16_888
