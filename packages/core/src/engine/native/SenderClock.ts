/**
 * The sender reports of one track by restream's clock, in place of the camera's (RFC 3550 §6.4.1).
 *
 * The clock of some cameras is at 1970; others send no reports. A report gives the time by restream's clock at
 * which a packet was sampled: its arrival, corrected by the packet with the shortest transit since the last report.
 * Allocates nothing per packet.
 */
import type { SenderReport } from "../../rtsp/rtp/Rtcp.ts"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"

/** A larger step of the timestamps, in seconds, is a new start and not the time between two packets. */
const maxStepSeconds = 10

export class SenderClock {
  readonly #clockRate: number
  #ssrc = 0
  #timestamp = 0
  #packets = 0
  #octets = 0
  /** The offset from the stream's time to restream's, in milliseconds, by the packets since the last report. */
  #offsetMs = Infinity
  /** The stream's time, in milliseconds since its first packet. */
  #elapsedMs = 0

  /** @param clockRate of the track's timestamps, in Hz. */
  constructor(clockRate: number) {
    this.#clockRate = clockRate
  }

  /**
   * Counts a packet. Returns whether a report has to precede it: the packet is the first, or the first of a new
   * source.
   *
   * @param octets of the payload, without headers and padding.
   * @param nowMs when it arrived, in milliseconds since 1970.
   */
  take(ssrc: number, timestamp: number, octets: number, nowMs: number): boolean {
    const isFirst = this.#packets === 0 || ssrc !== this.#ssrc
    if (isFirst) {
      // RFC 3550 §6.4.1: both counts are of one source
      this.#packets = 0
      this.#octets = 0
    }
    const step = (timestamp - this.#timestamp) | 0
    if (isFirst || Math.abs(step) > maxStepSeconds * this.#clockRate) {
      this.#offsetMs = Infinity
      this.#elapsedMs = 0
    } else this.#elapsedMs += (step / this.#clockRate) * 1000
    this.#ssrc = ssrc
    this.#timestamp = timestamp
    this.#packets++
    this.#octets += octets
    this.#offsetMs = Math.min(this.#offsetMs, nowMs - this.#elapsedMs)
    return isFirst
  }

  /** The next report; `undefined` without a packet since the last one. */
  report(): SenderReport | undefined {
    if (this.#offsetMs === Infinity) return undefined
    const sampledMs = this.#elapsedMs + this.#offsetMs
    this.#offsetMs = Infinity
    return {
      ssrc: this.#ssrc,
      ...Rtcp.ntpOf(sampledMs),
      timestamp: this.#timestamp,
      packets: this.#packets,
      octets: this.#octets
    }
  }
}
