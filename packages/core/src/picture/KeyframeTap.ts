/**
 * Extracts one keyframe from the packets that a relay forwards, without a decoder.
 *
 * The tap is armed only while a picture is requested; unarmed, it costs one comparison per packet. Keyframes are
 * complete: a gap in the sequence numbers discards the gathered units, and the marker ends a keyframe only after a
 * slice was received (some cameras set the marker on parameter sets).
 */
import * as H264 from "../rtsp/codec/H264.ts"
import * as H265 from "../rtsp/codec/H265.ts"
import { startsKeyframe } from "../rtsp/codec/Keyframe.ts"
import * as Rtp from "../rtsp/rtp/Rtp.ts"

/** The codecs whose keyframes can be extracted. */
export type TappedCodec = "h264" | "hevc"

export const isTapped = (codec: string): codec is TappedCodec =>
  codec === "h264" || codec === "hevc"

export interface Keyframe {
  readonly codec: TappedCodec
  /** The NAL units of the picture, parameter sets first, without start codes. */
  readonly units: ReadonlyArray<Uint8Array>
  /** When the last packet arrived, in milliseconds since 1970. */
  readonly at: number
}

/** Larger keyframes are discarded. */
const maxBytes = 4 * 1024 * 1024

interface Syntax {
  /** The length of a NAL unit's header. */
  readonly headerBytes: number
  readonly type: (bytes: Uint8Array, at: number) => number
  readonly isSlice: (type: number) => boolean
  /** The types of the parameter sets, in the order that a decoder requires. */
  readonly sets: ReadonlyArray<number>
  readonly aggregation: number
  readonly fragment: number
  /** The header of a fragmented unit, from the headers of packet and fragment (RFC 6184 §5.8, RFC 7798 §4.4.3). */
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

/** Copies bytes. `slice` of a `Buffer` does not copy. */
const copy = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.subarray(start, end))

export class KeyframeTap {
  /** Whether the tap takes packets. */
  isArmed = false
  readonly #codec: TappedCodec
  readonly #syntax: Syntax
  readonly #startsKeyframe
  readonly #onKeyframe: (keyframe: Keyframe) => void
  /** The parameter sets by type, several per type: from the description, later from the stream. */
  readonly #known = new Map<number, ReadonlyArray<Uint8Array>>()
  /** The parameter sets that arrived with the current picture. */
  #fresh = new Map<number, ReadonlyArray<Uint8Array>>()
  #isGathering = false
  #units: Array<Uint8Array> = []
  /** The fragments of an incomplete unit. */
  #fragments: Array<Uint8Array> = []
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
    this.#storeFreshSets()
  }

  /** Starts to gather packets at the next keyframe. */
  arm(): void {
    if (!this.isArmed) this.#discard()
    this.isArmed = true
  }

  disarm(): void {
    this.isArmed = false
    this.#discard()
  }

  /** Processes the RTP packet `bytes[at, end)` of the video. The bytes are valid only during the call. */
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
        if ((header & 0x80) !== 0) this.#fragments = [Uint8Array.from(unitHeader(bytes, start))]
        // the first fragment is missing
        else if (this.#fragments.length === 0) return
        this.#fragments.push(content)
        this.#bytes += content.length
        if ((header & 0x40) !== 0) {
          this.#add(Buffer.concat(this.#fragments))
          this.#fragments = []
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

  /** Stores the unit if it is a parameter set. Returns whether it is one. */
  #keepSet(unit: Uint8Array): boolean {
    const type = this.#syntax.type(unit, 0)
    const isSet = this.#syntax.sets.includes(type)
    if (isSet) this.#fresh.set(type, [...(this.#fresh.get(type) ?? []), unit])
    return isSet
  }

  #storeFreshSets(): void {
    for (const [type, sets] of this.#fresh) this.#known.set(type, sets)
    this.#fresh = new Map()
  }

  #complete(): void {
    this.#storeFreshSets()
    const sets = this.#syntax.sets.map((type) => this.#known.get(type) ?? [])
    // a decoder needs all parameter sets and complete units
    const isWhole =
      this.#hasSlice && this.#fragments.length === 0 && sets.every(({ length }) => length > 0)
    const units = [...sets.flat(), ...this.#units]
    this.#discard()
    if (isWhole) this.#onKeyframe({ codec: this.#codec, units, at: Date.now() })
  }

  #discard(): void {
    this.#isGathering = false
    this.#units = []
    this.#fragments = []
    this.#bytes = 0
    this.#hasSlice = false
    this.#fresh = new Map()
  }
}
