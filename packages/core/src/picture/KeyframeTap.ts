/**
 * Takes one keyframe out of the packets that a relay forwards, without a decoder.
 *
 * It is armed only while somebody wants a picture; unarmed it costs one comparison per packet. The keyframe is
 * complete: a gap in the sequence numbers discards what was gathered, and the marker ends it only after a slice of
 * the picture was seen (some cameras set the marker on parameter sets).
 */
import * as H264 from "../rtsp/codec/H264.ts"
import * as H265 from "../rtsp/codec/H265.ts"
import { startsKeyframe } from "../rtsp/codec/Keyframe.ts"
import * as Rtp from "../rtsp/rtp/Rtp.ts"

/** The codecs whose keyframes can be taken. */
export type TappedCodec = "h264" | "hevc"

export const isTapped = (codec: string): codec is TappedCodec =>
  codec === "h264" || codec === "hevc"

export interface Keyframe {
  readonly codec: TappedCodec
  /** The NAL units of the picture, parameter sets first, without start codes. */
  readonly units: ReadonlyArray<Uint8Array>
  /** When its last packet arrived, in milliseconds since 1970. */
  readonly at: number
}

/** A larger picture is none that a page wants. */
const maxBytes = 4 * 1024 * 1024

interface Syntax {
  /** The length of a NAL unit's header. */
  readonly headerBytes: number
  readonly type: (bytes: Uint8Array, at: number) => number
  readonly isSlice: (type: number) => boolean
  /** The types of the parameter sets, in the order in which a decoder wants them. */
  readonly sets: ReadonlyArray<number>
  readonly aggregation: number
  readonly fragment: number
  /** The header of a fragmented unit, from the packet's and the fragment's header (RFC 6184 §5.8, RFC 7798 §4.4.3). */
  readonly unitHeader: (bytes: Uint8Array, at: number) => ReadonlyArray<number>
}

const syntaxes: Record<TappedCodec, Syntax> = {
  h264: {
    headerBytes: 1,
    type: H264.nalType,
    isSlice: (type) => type >= 1 && type <= 5,
    sets: [H264.sequenceParameterSet, H264.pictureParameterSet],
    aggregation: H264.aggregationA,
    fragment: H264.fragmentA,
    unitHeader: (bytes, at) => [((bytes[at] ?? 0) & 0xe0) | ((bytes[at + 1] ?? 0) & 0x1f)]
  },
  hevc: {
    headerBytes: 2,
    type: H265.nalType,
    isSlice: (type) => type <= 31,
    sets: [H265.videoParameterSet, H265.sequenceParameterSet, H265.pictureParameterSet],
    aggregation: H265.aggregation,
    fragment: H265.fragment,
    unitHeader: (bytes, at) => [
      ((bytes[at] ?? 0) & 0x81) | (((bytes[at + 2] ?? 0) & 0x3f) << 1),
      bytes[at + 1] ?? 0
    ]
  }
}

/** A copy: `slice` of a `Buffer` is none. */
const copy = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.subarray(start, end))

export class KeyframeTap {
  /** Whether packets are wanted. */
  isArmed = false
  readonly #codec: TappedCodec
  readonly #syntax: Syntax
  readonly #startsKeyframe
  readonly #onKeyframe: (keyframe: Keyframe) => void
  /** The parameter sets by type: those of the description, later those of the stream. There may be several of a type. */
  readonly #known = new Map<number, ReadonlyArray<Uint8Array>>()
  /** Those that came with the picture. */
  #fresh = new Map<number, ReadonlyArray<Uint8Array>>()
  #isGathering = false
  #units: Array<Uint8Array> = []
  /** The pieces of a fragmented unit that is not complete. */
  #pieces: Array<Uint8Array> = []
  #bytes = 0
  #hasSlice = false
  #timestamp = 0
  #sequence = 0

  /**
   * @param described the parameter sets of the camera's description.
   * @param onKeyframe called with each complete keyframe while the tap is armed.
   */
  constructor(
    codec: TappedCodec,
    described: ReadonlyArray<Uint8Array>,
    onKeyframe: (keyframe: Keyframe) => void
  ) {
    this.#codec = codec
    this.#syntax = syntaxes[codec]
    this.#startsKeyframe = startsKeyframe(codec)
    this.#onKeyframe = onKeyframe
    for (const unit of described) this.#keepSet(unit)
    this.#learnSets()
  }

  /** Gathers packets from the next keyframe on. */
  arm(): void {
    if (!this.isArmed) this.#discard()
    this.isArmed = true
  }

  disarm(): void {
    this.isArmed = false
    this.#discard()
  }

  /** Takes the RTP packet `bytes[at, end)` of the video. The bytes are valid during the call only. */
  take(bytes: Uint8Array, at: number, end: number): void {
    const sequence = Rtp.sequence(bytes, at)
    const timestamp = Rtp.timestamp(bytes, at)
    if (this.#isGathering && sequence !== ((this.#sequence + 1) & 0xffff)) this.#discard()
    if (this.#isGathering && timestamp !== this.#timestamp) this.#complete()
    if (!this.#isGathering) {
      if (!this.#startsKeyframe(bytes, at, end)) return
      this.#isGathering = true
      this.#timestamp = timestamp
    }
    this.#sequence = sequence
    this.#unpack(bytes, Rtp.payloadStart(bytes, at, end), Rtp.payloadEnd(bytes, at, end))
    if (this.#bytes > maxBytes) this.#discard()
    else if (Rtp.marker(bytes, at) && this.#hasSlice) this.#complete()
  }

  #unpack(bytes: Uint8Array, start: number, end: number): void {
    const { aggregation, fragment, headerBytes, type, unitHeader } = this.#syntax
    if (start === -1 || start + headerBytes >= end) return
    switch (type(bytes, start)) {
      case aggregation: {
        let unit = start + headerBytes
        while (unit + 2 < end) {
          const next = unit + 2 + (((bytes[unit] ?? 0) << 8) | (bytes[unit + 1] ?? 0))
          if (next > end) return
          this.#add(copy(bytes, unit + 2, next))
          unit = next
        }
        return
      }
      case fragment: {
        const header = bytes[start + headerBytes] ?? 0
        const content = copy(bytes, start + headerBytes + 1, end)
        if ((header & 0x80) !== 0) this.#pieces = [Uint8Array.from(unitHeader(bytes, start))]
        // the beginning is missing
        else if (this.#pieces.length === 0) return
        this.#pieces.push(content)
        this.#bytes += content.length
        if ((header & 0x40) !== 0) {
          this.#add(Buffer.concat(this.#pieces))
          this.#pieces = []
        }
        return
      }
      default:
        this.#add(copy(bytes, start, end))
    }
  }

  #add(unit: Uint8Array): void {
    if (unit.length <= this.#syntax.headerBytes) return
    if (this.#keepSet(unit)) return
    this.#bytes += unit.length
    this.#hasSlice ||= this.#syntax.isSlice(this.#syntax.type(unit, 0))
    this.#units.push(unit)
  }

  /** Keeps the unit if it is a parameter set. */
  #keepSet(unit: Uint8Array): boolean {
    const type = this.#syntax.type(unit, 0)
    const isSet = this.#syntax.sets.includes(type)
    if (isSet) this.#fresh.set(type, [...(this.#fresh.get(type) ?? []), unit])
    return isSet
  }

  #learnSets(): void {
    for (const [type, sets] of this.#fresh) this.#known.set(type, sets)
    this.#fresh = new Map()
  }

  #complete(): void {
    this.#learnSets()
    const sets = this.#syntax.sets.map((type) => this.#known.get(type) ?? [])
    // a decoder needs all sets, and a unit whose end is missing is no unit
    const isWhole =
      this.#hasSlice && this.#pieces.length === 0 && sets.every(({ length }) => length > 0)
    const units = [...sets.flat(), ...this.#units]
    this.#discard()
    if (isWhole) this.#onKeyframe({ codec: this.#codec, units, at: Date.now() })
  }

  #discard(): void {
    this.#isGathering = false
    this.#units = []
    this.#pieces = []
    this.#bytes = 0
    this.#hasSlice = false
    this.#fresh = new Map()
  }
}
