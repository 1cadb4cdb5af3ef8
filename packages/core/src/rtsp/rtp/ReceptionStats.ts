/** Counts the received and the lost packets of one source (RFC 3550 §6.4.1 and appendix A). */
import type { ReportBlock } from "./Rtcp.ts"

/** A larger jump means that the source restarted, not a loss (RFC 3550 A.1, MAX_DROPOUT). */
const maxDropout = 3_000

/** The reception of one track. Allocates nothing per packet. */
export class ReceptionStats {
  /** Received packets. */
  packets = 0
  /** Lost packets, by gaps in the sequence numbers. Only grows: over TCP no packet arrives late. */
  lost = 0
  #highest = -1
  #cycles = 0
  #ssrc = 0
  /** Sequence numbers of the current source, at its first packet and at the last report. */
  #expectedBefore = 0
  #lostBefore = 0
  #expected = 0

  /** Counts one packet by its sequence number. */
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

  /** The SSRC of the source; meaningless before the first packet. */
  get ssrc(): number {
    return this.#ssrc
  }

  /** The block for a receiver report; starts the next interval. `undefined` before the first packet. */
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
