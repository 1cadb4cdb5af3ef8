/**
 * The description under which a camera's stream is announced to a media server.
 *
 * It is made anew, never passed on: only video and audio over RTP/AVP, one payload type for each media,
 * tracks that are named `trackID=0`, `trackID=1`, … What the server would reject is left out with a reason,
 * so that a bad audio track does not cost the camera.
 */
import * as Codec from "./Codec.ts"
import { type FormatDetails, relayFormat } from "./RelayFormat.ts"
import { type Media, render, type SessionDescription } from "./Sdp.ts"

export interface RelayTrack extends FormatDetails {
  readonly kind: "video" | "audio"
  /** Where the camera describes it. */
  readonly media: Media
  /** In lower case, as ffmpeg names it: `h264`, `hevc`, `aac`, `pcm_alaw`, … */
  readonly codec: string
  readonly payloadType: number
  /** Of the RTP timestamps, in Hz. */
  readonly clockRate: number
  /** The camera's name for the track; `undefined` where it forgot it: the base URL stands for it then. */
  readonly control: string | undefined
  /** Our name for it in the announcement. */
  readonly announcedControl: string
}

export interface DroppedMedia extends FormatDetails {
  readonly kind: string
  readonly codec: string
  /** For the log, in words. */
  readonly why: string
}

export interface RelayDescription {
  /** The tracks in the order of the announcement. */
  readonly tracks: ReadonlyArray<RelayTrack>
  readonly dropped: ReadonlyArray<DroppedMedia>
  /** The text to announce. It offers nothing where `tracks` is empty. */
  readonly sdp: string
}

export interface RelayDescriptionOptions {
  /**
   * Whether to announce the parameter sets of H.264 and H.265. Default true. With false a server waits
   * for those in the stream: the second try where it rejects the first announcement.
   */
  readonly parameterSets?: boolean | undefined
}

const isRelayed = (media: Media): media is Media & { readonly kind: "video" | "audio" } =>
  media.kind === "video" || media.kind === "audio"

/** Plain RTP; over TCP and with feedback are the same packets. */
const isPlain = (media: Media): boolean => /^RTP\/AVPF?(?:\/(?:TCP|UDP))?$/.test(media.protocol)

/** Makes the announcement for what a camera describes. */
export const relayDescription = (
  camera: SessionDescription,
  options: RelayDescriptionOptions = {}
): RelayDescription => {
  const tracks: Array<RelayTrack> = []
  const dropped: Array<DroppedMedia> = []
  const announced: Array<Media> = []
  // `sendonly` is ONVIF's mark of a loudspeaker; a camera that marks everything means something else
  // (gortsplib, `pkg/description/session.go`)
  const marked = camera.medias.filter(isRelayed).every((media) => media.direction === "sendonly")

  const examine = (media: Media): void => {
    const first = media.formats[0]
    const codec = first === undefined ? "unknown" : Codec.nameOf(Codec.withStaticType(first))
    const drop = (why: string, details: FormatDetails = {}) =>
      dropped.push({ kind: media.kind, codec, why, ...details })
    if (!isRelayed(media)) return void drop("it is neither video nor audio")
    if (media.direction === "sendonly" && !marked) {
      return void drop("it leads to the camera's loudspeaker")
    }
    if (!isPlain(media)) return void drop(`its protocol is ${media.protocol}, not RTP/AVP`)
    if (first === undefined) return void drop("it has no payload type")
    const candidates = media.formats.map((format) =>
      relayFormat(format, options.parameterSets ?? true)
    )
    const chosen = candidates.find((candidate) => candidate._tag === "Fit")
    if (chosen === undefined) {
      const [unfit] = candidates
      if (unfit?._tag === "Unfit") drop(unfit.why, unfit.details)
      return
    }
    const announcedControl = `trackID=${tracks.length}`
    tracks.push({
      kind: media.kind,
      media,
      codec: Codec.nameOf(chosen.format),
      payloadType: chosen.format.payloadType,
      clockRate: chosen.format.clockRate ?? 0,
      control: media.control,
      announcedControl,
      ...(media.kind === "video"
        ? { width: chosen.details.width, height: chosen.details.height }
        : { sampleRate: chosen.details.sampleRate, channels: chosen.details.channels })
    })
    announced.push({
      kind: media.kind,
      protocol: "RTP/AVP",
      formats: [chosen.format],
      control: announcedControl,
      direction: undefined
    })
  }
  camera.medias.forEach(examine)

  return {
    tracks,
    dropped,
    // most offers are looked at, and never announced
    get sdp() {
      return render({ name: "-", control: undefined, medias: announced })
    }
  }
}
