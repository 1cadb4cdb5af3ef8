/** What a camera's description offers, as far as this engine can relay it. */
import * as Result from "effect/Result"
import { NoVideo, type ProbeReason, Unsupported } from "../../camera/Reason.ts"
import type { AudioTrack, StreamInfo } from "../StreamInfo.ts"
import {
  type DroppedMedia,
  isLoudspeaker,
  type RelayOffer,
  type RelayTrack
} from "./publish/PublishableTracks.ts"
import type { SessionDescription } from "../../rtsp/sdp/Sdp.ts"

/** A camera's description with what of it can be relayed; a `CameraSession` is one. */
export interface Offer {
  readonly description: SessionDescription
  readonly offer: RelayOffer
}

export const isVideo = ({ kind }: { readonly kind: string }): boolean => kind === "video"
export const isAudio = ({ kind }: { readonly kind: string }): boolean => kind === "audio"

/** Reads an offer as the answer of a probe. */
export const probeResult = (camera: Offer): Result.Result<StreamInfo, ProbeReason> => {
  const video = camera.offer.tracks.find(isVideo)
  if (video !== undefined) {
    const { codec, height, width } = video
    return Result.succeed({ video: { codec, width, height }, audio: audioTrack(camera) })
  }
  const unfit = camera.offer.dropped.find(isVideo)
  return Result.fail(
    unfit === undefined
      ? new NoVideo()
      : new Unsupported({ what: `${unfit.codec} video: ${unfit.why}` })
  )
}

/** The sound that can be relayed, else that which can't: it is there, after all. */
const audioTrack = (camera: Offer): AudioTrack | undefined => {
  const fit = camera.offer.tracks.find(isAudio)
  const track = fit ?? unusableAudio(camera)
  if (track === undefined) return undefined
  const { channels, codec, sampleRate } = track
  return { codec, sampleRate, channels, copyable: fit !== undefined }
}

/**
 * Sound that the camera sends and that can't be passed on as it is. What leads to the camera's loudspeaker
 * (`sendonly`, seen from us) is not its sound.
 */
export const unusableAudio = ({ description, offer }: Offer): DroppedMedia | undefined => {
  const isSent = description.medias.some((media) => isAudio(media) && !isLoudspeaker(media))
  return isSent && !offer.tracks.some(isAudio) ? offer.dropped.find(isAudio) : undefined
}

/** The first video, and the first sound unless it is unwanted: as ffmpeg chooses. In the camera's order. */
export const select = ({ offer }: Offer, hasSound: boolean): ReadonlyArray<RelayTrack> => {
  const video = offer.tracks.find(isVideo)
  const sound = hasSound ? offer.tracks.find(isAudio) : undefined
  return offer.tracks.filter((track) => track === video || track === sound)
}
