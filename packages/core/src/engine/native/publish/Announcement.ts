/**
 * The description of the tracks for ANNOUNCE.
 *
 * The description is generated, never copied from the camera: audio and video over RTP/AVP only, one payload
 * type per media, controls `trackID=0`, `trackID=1`, …
 */
import type { Announcement } from "../../../rtsp/client/PublisherSession.ts"
import { type Media, render } from "../../../rtsp/sdp/Sdp.ts"
import { announced } from "./PublishableFormat.ts"
import type { PublishableTrack } from "./PublishableTracks.ts"

export interface AnnouncementOptions {
  /**
   * Whether to announce the parameter sets of H.264 and H.265. Default true. Without them the media server
   * reads the parameter sets from the stream: the second attempt after a rejected announcement.
   */
  readonly parameterSets?: boolean | undefined
}

/** Describes tracks, in this order. */
export const announcement = (
  tracks: ReadonlyArray<PublishableTrack>,
  { parameterSets = true }: AnnouncementOptions = {}
): Announcement => {
  const controls = tracks.map((_, index) => `trackID=${index}`)
  const medias = tracks.map(({ kind, published }, index): Media => ({
    kind,
    protocol: "RTP/AVP",
    formats: [announced(published, parameterSets)],
    control: controls[index],
    direction: undefined
  }))
  return { sdp: render({ name: "-", control: undefined, medias }), controls }
}
