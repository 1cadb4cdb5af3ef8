/**
 * The description under which tracks are announced to a media server.
 *
 * It is made anew, never passed on: only video and audio over RTP/AVP, one payload type for each media,
 * tracks that are named `trackID=0`, `trackID=1`, …
 */
import { announced } from "./PublishableFormat.ts"
import type { RelayTrack } from "./PublishableTracks.ts"
import { type Media, render } from "../../../rtsp/sdp/Sdp.ts"

export interface Announcement {
  /** The description. */
  readonly sdp: string
  /** Our names for the tracks, in their order. */
  readonly controls: ReadonlyArray<string>
}

export interface AnnouncementOptions {
  /**
   * Whether to announce the parameter sets of H.264 and H.265. Default true. With false a server waits
   * for those in the stream: the second try where it rejects the first announcement.
   */
  readonly parameterSets?: boolean | undefined
}

/** Announces tracks, in this order. */
export const announcement = (
  tracks: ReadonlyArray<RelayTrack>,
  { parameterSets = true }: AnnouncementOptions = {}
): Announcement => {
  const controls = tracks.map((_, index) => `trackID=${index}`)
  const medias = tracks.map(({ kind, relayed }, index): Media => ({
    kind,
    protocol: "RTP/AVP",
    formats: [announced(relayed, parameterSets)],
    control: controls[index],
    direction: undefined
  }))
  return { sdp: render({ name: "-", control: undefined, medias }), controls }
}
