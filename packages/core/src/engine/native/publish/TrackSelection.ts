/** Chooses among the tracks of a camera: what a probe reports, and what a relay publishes. */
import * as Result from "effect/Result"
import { NoVideo, type ProbeReason, Unsupported } from "../../../camera/Reason.ts"
import type { AudioTrack, StreamInfo } from "../../StreamInfo.ts"
import type { OmittedMedia, PublishableTrack, PublishableTracks } from "./PublishableTracks.ts"

export const isVideo = ({ kind }: { readonly kind: string }): boolean => kind === "video"
export const isAudio = ({ kind }: { readonly kind: string }): boolean => kind === "audio"

/** What a probe reports. Fails if no video can be published. */
export const probeResult = (camera: PublishableTracks): Result.Result<StreamInfo, ProbeReason> => {
  const video = camera.tracks.find(isVideo)
  if (video !== undefined) {
    const { codec, height, width } = video
    return Result.succeed({ video: { codec, width, height }, audio: audioTrack(camera) })
  }
  const omitted = camera.omitted.find(isVideo)
  return Result.fail(
    omitted === undefined
      ? new NoVideo()
      : new Unsupported({ what: `${omitted.codec} video: ${omitted.reason}` })
  )
}

/** The audio that can be published, or else the audio that only transcoding can publish. */
const audioTrack = (camera: PublishableTracks): AudioTrack | undefined => {
  const copyable = camera.tracks.find(isAudio)
  const track = copyable ?? unsupportedAudio(camera)
  if (track === undefined) return undefined
  const { channels, codec, sampleRate } = track
  return { codec, sampleRate, channels, copyable: copyable !== undefined }
}

/** Audio in a form that cannot be published; `undefined` if other audio of the camera can be. */
export const unsupportedAudio = ({
  omitted,
  tracks
}: PublishableTracks): OmittedMedia | undefined =>
  tracks.some(isAudio) ? undefined : omitted.find((media) => isAudio(media) && !media.isBackChannel)

/** The first video track, and the first audio track if wanted, as ffmpeg chooses. In the camera's order. */
export const selectTracks = (
  { tracks }: PublishableTracks,
  hasAudio: boolean
): ReadonlyArray<PublishableTrack> => {
  const video = tracks.find(isVideo)
  const audio = hasAudio ? tracks.find(isAudio) : undefined
  return tracks.filter((track) => track === video || track === audio)
}

/** Tracks for an operator: `h264 + aac/48000/2`. Video first, as servers compare tracks. */
export const describeTracks = (tracks: ReadonlyArray<PublishableTrack>): string =>
  [...tracks.filter(isVideo), ...tracks.filter(isAudio)]
    .map(({ channels = 1, codec, kind, sampleRate }) =>
      kind === "video" || sampleRate === undefined ? codec : `${codec}/${sampleRate}/${channels}`
    )
    .join(" + ")

/**
 * A camera's tracks in the order of a path, with the path's audio if the camera has none; that audio stays silent.
 * `undefined` if the tracks do not match, or if the path has the same tracks in the same order.
 */
export const arrangeTracks = (
  tracks: ReadonlyArray<PublishableTrack>,
  pathTracks: ReadonlyArray<PublishableTrack>
): ReadonlyArray<PublishableTrack> | undefined => {
  const left = [...tracks]
  const arranged = pathTracks.flatMap((expected) => {
    const index = left.findIndex((track) => describeTracks([track]) === describeTracks([expected]))
    if (index !== -1) return left.splice(index, 1)
    return isAudio(expected) && !tracks.some(isAudio) ? [expected] : []
  })
  const isSame = arranged.every((track, index) => track === tracks[index])
  return left.length > 0 || arranged.length < pathTracks.length || isSame ? undefined : arranged
}
