/** Which track a channel belongs to, for code that looks at every packet. */
import type { Pair } from "../message/Transport.ts"

/** The slot of a channel that belongs to no track. */
export const unassigned = 255

/**
 * Slots by channel: twice the number of the track for RTP, one more for RTCP, {@link unassigned} for all
 * others. Cameras send on those, too: packets of sessions that are long dead.
 *
 * ```ts
 * const slot = slots[Frame.channel(bytes, at)] ?? unassigned
 * if (slot === unassigned) skip()
 * else if ((slot & 1) === 0) receptions[slot >> 1].take(…)
 * ```
 */
export const slotsByChannel = (pairs: ReadonlyArray<Pair>): Uint8Array => {
  const slots = new Uint8Array(256).fill(unassigned)
  pairs.forEach(([rtp, rtcp], track) => {
    slots[rtp] = 2 * track
    slots[rtcp] = 2 * track + 1
  })
  return slots
}
