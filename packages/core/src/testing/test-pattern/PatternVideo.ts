/**
 * A minimal hand-made H.264 encoder: constrained baseline, 64 × 64, a bar that moves over grey.
 *
 * Keyframes contain their samples uncompressed (I_PCM, ITU-T H.264 §7.3.5.3); the pictures between them repeat
 * the previous picture (P_Skip), so that a second of video at 10 pictures per second takes about 6 KB.
 */

const widthInBlocks = 4
const heightInBlocks = 4
const blocks = widthInBlocks * heightInBlocks

/** In pixels. */
const width = 16 * widthInBlocks

class BitWriter {
  readonly #bytes: Array<number> = []
  #current = 0
  #bits = 0

  bits(value: number, count: number): this {
    for (let i = count - 1; i >= 0; i--) {
      this.#current = (this.#current << 1) | ((value >> i) & 1)
      if (++this.#bits === 8) {
        this.#bytes.push(this.#current)
        this.#current = 0
        this.#bits = 0
      }
    }
    return this
  }

  /** `ue(v)` */
  unsigned(value: number): this {
    const length = 32 - Math.clz32(value + 1)
    return this.bits(0, length - 1).bits(value + 1, length)
  }

  /** Adds zero bits up to the next byte. */
  align(): this {
    return this.#bits === 0 ? this : this.bits(0, 8 - this.#bits)
  }

  /** Adds the stop bit and the alignment. */
  end(): this {
    return this.bits(1, 1).align()
  }

  append(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte)
    return this
  }

  get bytes(): ReadonlyArray<number> {
    return this.#bytes
  }
}

/** A NAL unit with its emulation prevention bytes (§7.4.1). */
const nal = (header: number, payload: BitWriter): Buffer => {
  const bytes = [header]
  let zeros = 0
  for (const byte of payload.bytes) {
    if (zeros === 2 && byte <= 3) {
      bytes.push(3)
      zeros = 0
    }
    bytes.push(byte)
    zeros = byte === 0 ? zeros + 1 : 0
  }
  return Buffer.from(bytes)
}

/** §7.3.2.1.1: output order is decoding order (`pic_order_cnt_type` 2). */
export const sequenceParameterSet: Buffer = nal(
  0x67,
  new BitWriter()
    .bits(66, 8)
    .bits(0xc0, 8)
    .bits(20, 8)
    .unsigned(0)
    .unsigned(0)
    .unsigned(2)
    .unsigned(1)
    .bits(0, 1)
    .unsigned(widthInBlocks - 1)
    .unsigned(heightInBlocks - 1)
    .bits(0b1100, 4)
    .end()
)

/** §7.3.2.2: CAVLC, and a deblocking filter that slices can disable. */
export const pictureParameterSet: Buffer = nal(
  0x68,
  new BitWriter()
    .unsigned(0)
    .unsigned(0)
    .bits(0, 2)
    .unsigned(0)
    .unsigned(0)
    .unsigned(0)
    .bits(0, 3)
    .unsigned(0)
    .unsigned(0)
    .unsigned(0)
    .bits(0b100, 3)
    .end()
)

/** The brightness of one pixel; the bar is 8 pixels wide. */
const luma = (x: number, y: number, step: number): number =>
  (x + 4 * step) % width < 8 ? 235 : 64 + ((y >> 3) & 7) * 16

const samples = (block: number, step: number): Uint8Array => {
  const left = 16 * (block % widthInBlocks)
  const top = 16 * Math.floor(block / widthInBlocks)
  const all = new Uint8Array(384).fill(128)
  for (let i = 0; i < 256; i++) all[i] = luma(left + (i & 15), top + (i >> 4), step)
  return all
}

/** An IDR picture. Consecutive IDR pictures need different ids, so `step` counts up. */
export const keyframe = (step: number): Buffer => {
  const slice = new BitWriter()
    .unsigned(0) // first block
    .unsigned(7) // I, like every slice of the picture
    .unsigned(0)
    .bits(0, 4) // frame_num
    .unsigned(step & 1) // idr_pic_id
    .bits(0, 2)
    .unsigned(0) // slice_qp_delta
    .unsigned(1) // no filter
  for (let block = 0; block < blocks; block++) {
    slice.unsigned(25).align().append(samples(block, step)) // I_PCM
  }
  return nal(0x65, slice.end())
}

/** A picture that repeats the previous picture. `number` counts pictures since the keyframe, from 1. */
export const repetition = (number: number): Buffer =>
  nal(
    0x41,
    new BitWriter()
      .unsigned(0)
      .unsigned(5) // P
      .unsigned(0)
      .bits(number & 15, 4) // frame_num
      .bits(0, 3) // references as they are
      .unsigned(0)
      .unsigned(1) // no filter
      .unsigned(blocks) // all skipped
      .end()
  )
