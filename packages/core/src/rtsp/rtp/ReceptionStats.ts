/** Counts the packets of one source, and those that never came (RFC 3550 §6.4.1 and appendix A). */
import type { ReportBlock } from "./Rtcp.ts"

/** A jump larger than this is a source that began anew, not a loss (RFC 3550 A.1, MAX_DROPOUT). */
const maxDropout = 3_000

/** The reception of one track. It makes nothing per packet. */
export class ReceptionStats {
  /** Packets that came. */
  packets = 0
  /** Packets that never came, by the gaps in their numbers. It only grows: over TCP nothing comes late. */
  lost = 0
  #highest = -1
  #cycles = 0
  #ssrc = 0
  /** Numbers of the current source at its first packet and at the last report. */
  #expectedBefore = 0
  #lostBefore = 0
  #expected = 0

  /** Takes one packet's number. */
  take(sequence: number, ssrc: number): void {
    this.packets++
    if (this.#highest === -1 || ssrc !== this.#ssrc) {
      this.#begin(sequence, ssrc)
      return
    }
    const step = (sequence - this.#highest) & 0xffff
    if (step === 0 || step > 0x10000 - maxDropout) return
    if (step > maxDropout) {
      this.#begin(sequence, ssrc)
      return
    }
    if (sequence < this.#highest) this.#cycles += 0x10000
    this.#highest = sequence
    this.#expected += step
    this.lost += step - 1
  }

  #begin(sequence: number, ssrc: number): void {
    this.#ssrc = ssrc
    this.#highest = sequence
    this.#cycles = 0
    this.#expected++
  }

  /** The source's number; meaningless before the first packet. */
  get ssrc(): number {
    return this.#ssrc
  }

  /** The block for a receiver report, and the start of the next interval. `undefined` before any packet. */
  report(lastSenderReport = 0, delaySinceThat = 0): ReportBlock | undefined {
    if (this.#highest === -1) return undefined
    const expected = this.#expected - this.#expectedBefore
    const lost = this.lost - this.#lostBefore
    this.#expectedBefore = this.#expected
    this.#lostBefore = this.lost
    return {
      ssrc: this.#ssrc,
      fractionLost: expected === 0 ? 0 : Math.min(255, Math.floor((lost * 256) / expected)),
      cumulativeLost: Math.min(this.lost, 0x7fffff),
      highestSequence: (this.#cycles + this.#highest) >>> 0,
      jitter: 0,
      lastSenderReport,
      delaySinceLastSenderReport: delaySinceThat
    }
  }
}
