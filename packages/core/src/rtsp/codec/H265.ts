/** H.265: the start of a keyframe in RTP (RFC 7798), and the video size (ITU-T H.265 §7.3.2.2). */
import { BitReader, withoutEmulation } from "./BitReader.ts"
import type { PictureSize } from "./H264.ts"
import * as Rtp from "../rtp/Rtp.ts"

const firstIrap = 16
const lastIrap = 23
export const videoParameterSet = 32
export const sequenceParameterSet = 33
export const pictureParameterSet = 34
export const aggregation = 48
export const fragment = 49

/** The type of the NAL unit at an offset. */
export const nalType = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) >> 1) & 0x3f

/**
 * Whether a unit of this type with the content `bytes[at, end)` starts a keyframe. Only the first slice
 * segment of a picture does: it starts with `first_slice_segment_in_pic_flag`.
 */
const begins = (type: number, bytes: Uint8Array, at: number, end: number): boolean =>
  type >= firstIrap && type <= lastIrap
    ? at < end && ((bytes[at] ?? 0) & 0x80) !== 0
    : type >= videoParameterSet && type <= pictureParameterSet

/**
 * Whether a decoder can start with the RTP packet `bytes[at, end)`: the packet contains the start of a random
 * access point (IDR, CRA, BLA), or of the parameter sets before it. Later slice segments do not count.
 */
export const startsKeyframe = (bytes: Uint8Array, at: number, end: number): boolean => {
  if (!Rtp.isRtp(bytes, at, end)) return false
  const start = Rtp.payloadStart(bytes, at, end)
  const limit = Rtp.payloadEnd(bytes, at, end)
  if (start === -1 || start + 2 > limit) return false
  const type = nalType(bytes, start)
  switch (type) {
    case aggregation: {
      let unit = start + 2
      while (unit + 2 < limit) {
        if (begins(nalType(bytes, unit + 2), bytes, unit + 4, limit)) return true
        unit += 2 + (((bytes[unit] ?? 0) << 8) | (bytes[unit + 1] ?? 0))
      }
      return false
    }
    case fragment: {
      const header = bytes[start + 2] ?? 0
      return (header & 0x80) !== 0 && begins(header & 0x3f, bytes, start + 3, limit)
    }
    default:
      return begins(type, bytes, start + 2, limit)
  }
}

export interface SequenceParameters extends PictureSize {
  /**
   * Whether the set describes sub-layers, which MediaMTX cannot parse: it rejects the whole announcement
   * (mediacommon, `h265/sps.go`).
   */
  readonly describesSubLayers: boolean
}

/** Parses a sequence parameter set; `undefined` if the set is invalid. */
export const sequenceParameters = (sps: Uint8Array): SequenceParameters | undefined => {
  if (sps.length < 4 || nalType(sps, 0) !== sequenceParameterSet) return undefined
  const reader = new BitReader(withoutEmulation(sps), 2)
  reader.skip(4)
  const subLayers = reader.bits(3)
  reader.skip(1)
  reader.skip(96)
  const present: Array<readonly [profile: boolean, level: boolean]> = []
  for (let i = 0; i < subLayers; i++) present.push([reader.flag(), reader.flag()])
  if (subLayers > 0) reader.skip(2 * (8 - subLayers))
  for (const [profile, level] of present) reader.skip((profile ? 88 : 0) + (level ? 8 : 0))
  reader.unsigned()
  const chroma = reader.unsigned()
  if (chroma > 3) return undefined
  if (chroma === 3) reader.skip(1)
  let width = reader.unsigned()
  let height = reader.unsigned()
  if (reader.flag()) {
    const across = reader.unsigned() + reader.unsigned()
    const down = reader.unsigned() + reader.unsigned()
    width -= across * (chroma === 1 || chroma === 2 ? 2 : 1)
    height -= down * (chroma === 1 ? 2 : 1)
  }
  if (reader.overrun || !isPicture(width) || !isPicture(height)) return undefined
  return {
    width,
    height,
    describesSubLayers: present.some(([profile, level]) => profile || level)
  }
}

const isPicture = (pixels: number): boolean => pixels > 0 && pixels <= 16_888
