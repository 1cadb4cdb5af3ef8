/** Reads bits and Exp-Golomb numbers of parameter sets (ITU-T H.264 §9.1, H.265 §9.2). */

/** Past the end every bit is 0 and {@link BitReader.overrun} is true: reading never throws. */
export class BitReader {
  readonly #bytes: Uint8Array
  #position: number

  constructor(bytes: Uint8Array, fromByte = 0) {
    this.#bytes = bytes
    this.#position = fromByte * 8
  }

  /** Whether more bits were read than available; all values read are then invalid. */
  get overrun(): boolean {
    return this.#position > this.#bytes.length * 8
  }

  skip(bits: number): void {
    this.#position += bits
  }

  bit(): number {
    return this.bits(1)
  }

  flag(): boolean {
    return this.bits(1) === 1
  }

  /** Up to 32 bits, most significant first. */
  bits(count: number): number {
    const value = count === 0 ? 0 : this.#next() >>> (32 - count)
    this.#position += count
    return value
  }

  /** `ue(v)` */
  unsigned(): number {
    const zeros = Math.clz32(this.#next())
    if (zeros === 32) {
      // no valid number is this long
      this.#position = this.#bytes.length * 8 + 1
      return 0
    }
    this.#position += zeros + 1
    return 2 ** zeros - 1 + this.bits(zeros)
  }

  /** The next 32 bits. */
  #next(): number {
    const at = this.#position >> 3
    const used = this.#position & 7
    const bytes = this.#bytes
    const whole =
      ((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)
    return used === 0 ? whole : (whole << used) | ((bytes[at + 4] ?? 0) >> (8 - used))
  }

  /** `se(v)` */
  signed(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? -value / 2 : (value + 1) / 2
  }
}

const emulationPrevention = Buffer.from([0, 0, 3])

/** A NAL unit without its emulation prevention bytes (ITU-T H.264 §7.3.1), in its own memory. */
export const withoutEmulation = (nal: Uint8Array): Uint8Array => {
  const bytes = Buffer.from(nal)
  let from = 0
  let length = 0
  for (;;) {
    const found = bytes.indexOf(emulationPrevention, from)
    const to = found === -1 ? bytes.length : found + 2
    // the write position never passes the read position
    if (from > length) bytes.copyWithin(length, from, to)
    length += to - from
    if (found === -1) return length === bytes.length ? bytes : bytes.subarray(0, length)
    from = to + 1
  }
}
