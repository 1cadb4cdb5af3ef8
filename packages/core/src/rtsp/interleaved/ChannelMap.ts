/** Maps interleaved channels to tracks, for code that reads every packet. */
import type { Pair } from "../message/Transport.ts"

/** The track slot of a channel that belongs to no track. */
export const unassigned = 255

/**
 * Track slots by channel: twice the track's index for RTP, plus one for RTCP, {@link unassigned} for every
 * other channel. Some cameras also send on channels of sessions that ended long ago.
 *
 * ```ts
 * const trackSlot = tracks[InterleavedFrame.channel(bytes, at)] ?? unassigned
 * if (trackSlot === unassigned) skip()
 * else if ((trackSlot & 1) === 0) receptions[trackSlot >> 1].take(…)
 * ```
 */
export const trackByChannel = (pairs: ReadonlyArray<Pair>): Uint8Array => {
  const trackSlots = new Uint8Array(256).fill(unassigned)
  pairs.forEach(([rtp, rtcp], track) => {
    trackSlots[rtp] = 2 * track
    trackSlots[rtcp] = 2 * track + 1
  })
  return trackSlots
}
