/** Reads bits and Exp-Golomb numbers, as parameter sets hold them (ITU-T H.264 §9.1, H.265 §9.2). */

/** Past the end every bit is 0, and {@link BitReader.overrun} says so: no read throws. */
export class BitReader {
  readonly #bytes: Uint8Array
  #position: number

  constructor(bytes: Uint8Array, fromByte = 0) {
    this.#bytes = bytes
    this.#position = fromByte * 8
  }

  /** Whether more was read than there is. What was read is worth nothing then. */
  get overrun(): boolean {
    return this.#position > this.#bytes.length * 8
  }

  skip(bits: number): void {
    this.#position += bits
  }

  bit(): number {
    const byte = this.#bytes[this.#position >> 3] ?? 0
    return (byte >> (7 - (this.#position++ & 7))) & 1
  }

  flag(): boolean {
    return this.bit() === 1
  }

  /** Up to 32 bits, the highest first. */
  bits(count: number): number {
    let value = 0
    for (let left = count; left > 0;) {
      const byte = this.#bytes[this.#position >> 3] ?? 0
      const unread = 8 - (this.#position & 7)
      const taken = Math.min(unread, left)
      value = value * 2 ** taken + ((byte >> (unread - taken)) & (0xff >> (8 - taken)))
      this.#position += taken
      left -= taken
    }
    return value
  }

  /** `ue(v)` */
  unsigned(): number {
    let zeros = 0
    while (!this.flag()) {
      if (++zeros > 32 || this.overrun) {
        this.#position = this.#bytes.length * 8 + 1
        return 0
      }
    }
    return 2 ** zeros - 1 + this.bits(zeros)
  }

  /** `se(v)` */
  signed(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? -value / 2 : (value + 1) / 2
  }
}

/** A NAL unit without its emulation prevention bytes (ITU-T H.264 §7.3.1). */
export const withoutEmulation = (nal: Uint8Array): Uint8Array => {
  const kept = new Uint8Array(nal.length)
  let length = 0
  let zeros = 0
  for (let at = 0; at < nal.length; at++) {
    const byte = nal[at] ?? 0
    if (zeros >= 2 && byte === 3) {
      zeros = 0
      continue
    }
    zeros = byte === 0 ? zeros + 1 : 0
    kept[length++] = byte
  }
  return kept.subarray(0, length)
}
