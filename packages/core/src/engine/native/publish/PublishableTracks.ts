/**
 * What of a camera's description can be relayed: its tracks, and what is left out with a reason, so that a
 * bad audio track does not cost the camera.
 */
import * as Codec from "../../../rtsp/codec/Codec.ts"
import { type Fit, type FormatDetails, relayFormat } from "./PublishableFormat.ts"
import type { Media, SessionDescription } from "../../../rtsp/sdp/Sdp.ts"

export interface RelayTrack extends FormatDetails {
  readonly kind: "video" | "audio"
  /** Where the camera describes it. */
  readonly media: Media
  /** Of the formats that the media offers the one that is relayed. */
  readonly relayed: Fit
  /** In lower case, as ffmpeg names it: `h264`, `hevc`, `aac`, `pcm_alaw`, … */
  readonly codec: string
  readonly payloadType: number
  /** Of the RTP timestamps, in Hz. */
  readonly clockRate: number
  /** The camera's name for the track; `undefined` where it forgot it: the base URL stands for it then. */
  readonly control: string | undefined
}

export interface DroppedMedia extends FormatDetails {
  readonly kind: string
  readonly codec: string
  /** For the log, in words. */
  readonly why: string
}

export interface RelayOffer {
  /** In the order of the description. */
  readonly tracks: ReadonlyArray<RelayTrack>
  readonly dropped: ReadonlyArray<DroppedMedia>
}

type Relayed = Media & { readonly kind: "video" | "audio" }

const isRelayed = (media: Media): media is Relayed =>
  media.kind === "video" || media.kind === "audio"

/** Plain RTP; over TCP and with feedback are the same packets. */
const isPlain = ({ protocol }: Media): boolean =>
  protocol === "RTP/AVP" || /^RTP\/AVPF?(?:\/(?:TCP|UDP))?$/.test(protocol)

/** Whether it is marked as one, in the way of ONVIF. */
export const isLoudspeaker = ({ direction }: Media): boolean => direction === "sendonly"

const track = (media: Relayed, relayed: Fit): RelayTrack => {
  const { channels, height, sampleRate, width } = relayed.details
  return {
    kind: media.kind,
    media,
    relayed,
    codec: Codec.nameOf(relayed.format),
    payloadType: relayed.format.payloadType,
    clockRate: relayed.format.clockRate ?? 0,
    control: media.control,
    ...(media.kind === "video" ? { width, height } : { sampleRate, channels })
  }
}

const drop = (media: Media, why: string, details: FormatDetails = {}): DroppedMedia => {
  const [first] = media.formats
  const codec = first === undefined ? "unknown" : Codec.nameOf(Codec.withStaticType(first))
  return { kind: media.kind, codec, why, ...details }
}

/** @param obeysMark whether what is marked as a loudspeaker is one. */
const examine = (media: Media, obeysMark: boolean): RelayTrack | DroppedMedia => {
  if (!isRelayed(media)) return drop(media, "it is neither video nor audio")
  if (obeysMark && isLoudspeaker(media)) return drop(media, "it leads to the camera's loudspeaker")
  if (!isPlain(media)) return drop(media, `its protocol is ${media.protocol}, not RTP/AVP`)
  let why = "it has no payload type"
  let details: FormatDetails | undefined
  for (const format of media.formats) {
    const relayed = relayFormat(format)
    if (relayed._tag === "Fit") return track(media, relayed)
    // the camera prefers the first
    if (details === undefined) ({ details, why } = relayed)
  }
  return drop(media, why, details)
}

/** Looks what of a description can be relayed. */
export const relayOffer = ({ medias }: SessionDescription): RelayOffer => {
  // `sendonly` is ONVIF's mark of a loudspeaker; a camera that marks everything means something else
  // (gortsplib, `pkg/description/session.go`)
  const obeysMark = medias.some((media) => isRelayed(media) && !isLoudspeaker(media))
  const tracks: Array<RelayTrack> = []
  const dropped: Array<DroppedMedia> = []
  for (const media of medias) {
    const found = examine(media, obeysMark)
    if ("why" in found) dropped.push(found)
    else tracks.push(found)
  }
  return { tracks, dropped }
}
