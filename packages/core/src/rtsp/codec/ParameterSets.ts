/**
 * The parameter sets of H.264 and H.265 in a description (`sprop-…`, RFC 6184 §8.1, RFC 7798 §7.1).
 *
 * Cameras add Annex B start codes, put several sets into one value, or send invalid sets; a media server
 * that parses an invalid set rejects the whole announcement.
 */
import * as H264 from "./H264.ts"
import * as H265 from "./H265.ts"
import { unquoted } from "../sdp/Sdp.ts"

const startCode = Buffer.from([0, 0, 1])

/** Splits a value at Annex B start codes. */
const withoutStartCodes = (bytes: Buffer): ReadonlyArray<Uint8Array> => {
  let next = bytes.indexOf(startCode)
  if (next === -1) return [bytes]
  const units: Array<Uint8Array> = []
  let from = 0
  for (;;) {
    // trailing zeros of a unit belong to the next start code
    const unit = withoutZeros(bytes.subarray(from, next === -1 ? bytes.length : next))
    if (unit.length > 0) units.push(unit)
    if (next === -1) return units
    from = next + startCode.length
    next = bytes.indexOf(startCode, from)
  }
}

const withoutZeros = (bytes: Uint8Array): Uint8Array => {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.subarray(0, end)
}

/** The units in a comma-separated list of base64 values; invalid base64 yields no unit. */
const units = (list: string): ReadonlyArray<Uint8Array> =>
  list.split(",").flatMap((value) => {
    const trimmed = unquoted(value)
    return /^[A-Za-z0-9+/]+={0,2}$/.test(trimmed)
      ? withoutStartCodes(Buffer.from(trimmed, "base64"))
      : []
  })

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")

export interface H264Sets {
  readonly size: H264.PictureSize
  /** One sequence and one picture parameter set, for `sprop-parameter-sets`. */
  readonly sprop: string
  /** `profile-level-id`, from the set itself. */
  readonly profileLevelId: string
}

/** Parses `sprop-parameter-sets`; `undefined` if one of the two sets is missing or invalid. */
export const h264 = (sprop: string | undefined): H264Sets | undefined => {
  const found = units(sprop ?? "")
  const sps = found.find((unit) => H264.nalType(unit, 0) === H264.sequenceParameterSet)
  const pps = found.find((unit) => H264.nalType(unit, 0) === H264.pictureParameterSet)
  const size = sps === undefined ? undefined : H264.pictureSize(sps)
  if (sps === undefined || pps === undefined || size === undefined) return undefined
  return {
    size,
    // computed for an announcement only
    get sprop() {
      return `${base64(sps)},${base64(pps)}`
    },
    get profileLevelId() {
      return Buffer.from(sps.subarray(1, 4)).toString("hex").toUpperCase()
    }
  }
}

export interface H265Sets {
  readonly size: H264.PictureSize
  readonly vps: string
  readonly sps: string
  readonly pps: string
}

/** Parses `sprop-vps`, `sprop-sps` and `sprop-pps`; `undefined` unless all are valid, also for MediaMTX. */
export const h265 = (
  vps: string | undefined,
  sps: string | undefined,
  pps: string | undefined
): H265Sets | undefined => {
  const all = [...units(vps ?? ""), ...units(sps ?? ""), ...units(pps ?? "")]
  const first = (type: number) => all.find((unit) => H265.nalType(unit, 0) === type)
  const video = first(H265.videoParameterSet)
  const sequence = first(H265.sequenceParameterSet)
  const picture = first(H265.pictureParameterSet)
  const parameters = sequence === undefined ? undefined : H265.sequenceParameters(sequence)
  if (
    video === undefined ||
    sequence === undefined ||
    picture === undefined ||
    picture.length < 4 ||
    parameters === undefined ||
    parameters.describesSubLayers
  ) {
    return undefined
  }
  return {
    size: { width: parameters.width, height: parameters.height },
    get vps() {
      return base64(video)
    },
    get sps() {
      return base64(sequence)
    },
    get pps() {
      return base64(picture)
    }
  }
}
