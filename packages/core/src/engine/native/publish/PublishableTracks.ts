/**
 * Which media of a camera's description can be published. Media that cannot be published are omitted with a
 * reason, so that unsupported audio does not cost the camera its video.
 */
import { oneLine, redact } from "@restream/config"
import * as Codec from "../../../rtsp/codec/Codec.ts"
import type { Media, SessionDescription } from "../../../rtsp/sdp/Sdp.ts"
import { classify, type FormatDetails, type Supported } from "./PublishableFormat.ts"

export interface PublishableTrack extends FormatDetails {
  readonly kind: "video" | "audio"
  /** The camera's description of the track. */
  readonly media: Media
  /** The one format of the media that is published. */
  readonly published: Supported
  /** In lower case, by ffmpeg's name: `h264`, `hevc`, `aac`, `pcm_alaw`, … */
  readonly codec: string
  /** Of the camera's packets. The announced payload type may differ. */
  readonly payloadType: number
  /** Of the RTP timestamps, in Hz. */
  readonly clockRate: number
  /** The camera's control attribute; `undefined` if the description has none: SETUP then names the base URL. */
  readonly control: string | undefined
}

export interface OmittedMedia extends FormatDetails {
  readonly kind: string
  readonly codec: string
  /** Why the media cannot be published, for the log. */
  readonly reason: string
  /** Whether the description marks the media as a back channel (`sendonly`). */
  readonly isBackChannel: boolean
}

export interface PublishableTracks {
  /** In the order of the description. */
  readonly tracks: ReadonlyArray<PublishableTrack>
  readonly omitted: ReadonlyArray<OmittedMedia>
}

type AudioOrVideo = Media & { readonly kind: "video" | "audio" }

const isAudioOrVideo = (media: Media): media is AudioOrVideo =>
  media.kind === "video" || media.kind === "audio"

/** RTP without encryption. The profiles for TCP and for feedback carry the same packets. */
const isPlainRtp = ({ protocol }: Media): boolean =>
  protocol === "RTP/AVP" || /^RTP\/AVPF?(?:\/(?:TCP|UDP))?$/.test(protocol)

/** ONVIF marks the audio that a client sends to the camera with `sendonly`. */
const isBackChannel = ({ direction }: Media): boolean => direction === "sendonly"

const track = (
  media: AudioOrVideo,
  { format, ...rest }: Supported,
  secrets: ReadonlyArray<string>
): PublishableTrack => {
  const { channels, height, sampleRate, width } = rest.details
  const { payloadType } = format
  const announcedType = Codec.receivableType(format, media.kind)
  const published = { ...rest, format: { ...format, payloadType: announcedType } }
  return {
    kind: media.kind,
    media,
    published,
    codec: Codec.nameOf(published.format, secrets),
    payloadType,
    clockRate: published.format.clockRate ?? 0,
    control: media.control,
    ...(media.kind === "video" ? { width, height } : { sampleRate, channels })
  }
}

const omit = (
  media: Media,
  reason: string,
  secrets: ReadonlyArray<string>,
  details: FormatDetails = {}
): OmittedMedia => {
  const [first] = media.formats
  const codec = first === undefined ? "unknown" : Codec.nameOf(Codec.withStaticType(first), secrets)
  return { kind: media.kind, codec, reason, isBackChannel: isBackChannel(media), ...details }
}

/** @param omitsBackChannels whether `sendonly` marks a back channel in this description. */
const classifyMedia = (
  media: Media,
  omitsBackChannels: boolean,
  secrets: ReadonlyArray<string>
): PublishableTrack | OmittedMedia => {
  if (!isAudioOrVideo(media)) return omit(media, "neither audio nor video", secrets)
  if (omitsBackChannels && isBackChannel(media)) {
    return omit(media, "back channel to the camera's loudspeaker", secrets)
  }
  if (!isPlainRtp(media)) {
    const protocol = oneLine(redact(media.protocol, secrets))
    return omit(media, `the protocol is ${protocol}, not RTP/AVP`, secrets)
  }
  let reason = "no payload type"
  let details: FormatDetails | undefined
  for (const format of media.formats) {
    const result = classify(format)
    if (result._tag === "Supported") return track(media, result, secrets)
    // the camera lists the preferred format first
    if (details === undefined) ({ details, reason } = result)
  }
  return omit(media, reason, secrets, details)
}

/**
 * Classifies the media of a description.
 *
 * @param secrets masked in the names that the camera gives its codecs and protocols.
 */
export const publishableTracks = (
  { medias }: SessionDescription,
  secrets: ReadonlyArray<string> = []
): PublishableTracks => {
  // a camera that marks every media as `sendonly` means "camera sends" (gortsplib, `pkg/description/session.go`)
  const omitsBackChannels = medias.some((media) => isAudioOrVideo(media) && !isBackChannel(media))
  const tracks: Array<PublishableTrack> = []
  const omitted: Array<OmittedMedia> = []
  for (const media of medias) {
    const result = classifyMedia(media, omitsBackChannels, secrets)
    if ("reason" in result) omitted.push(result)
    else tracks.push(result)
  }
  return { tracks, omitted }
}
