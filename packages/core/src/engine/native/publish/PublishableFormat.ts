/**
 * Makes a camera's format fit to be announced to a media server, or says why it can't be.
 *
 * A server rejects a whole announcement because of one value that it can't read. The rules are those of
 * gortsplib (`pkg/format/*.go`, `pkg/description/media.go`), which MediaMTX reads descriptions with.
 */
import * as Aac from "../../../rtsp/codec/Aac.ts"
import * as Codec from "../../../rtsp/codec/Codec.ts"
import * as Mpeg4 from "../../../rtsp/codec/Mpeg4.ts"
import * as ParameterSets from "../../../rtsp/codec/ParameterSets.ts"
import type { Format } from "../../../rtsp/sdp/Sdp.ts"

/** What a description tells of the picture or the sound. */
export interface FormatDetails {
  /** In pixels. */
  readonly width?: number | undefined
  readonly height?: number | undefined
  /** In Hz. */
  readonly sampleRate?: number | undefined
  readonly channels?: number | undefined
}

/** The names and values of `fmtp`; one without a value is left out. */
type Parameters = ReadonlyArray<readonly [name: string, value: string | undefined]>

export interface Fit {
  readonly _tag: "Fit"
  /** As it is announced, but for what {@link parameters} gives. */
  readonly format: Format
  readonly details: FormatDetails
  /**
   * What is announced in place of the camera's parameters. A function, because most offers are looked at,
   * and never announced; `undefined` where the camera's own will do.
   *
   * @param parameterSets see `AnnouncementOptions`.
   */
  readonly parameters: ((parameterSets: boolean) => Parameters) | undefined
}

export interface Unfit {
  readonly _tag: "Unfit"
  readonly why: string
  readonly details: FormatDetails
}

export type RelayFormat = Fit | Unfit

const fit = (format: Format, details: FormatDetails = {}, parameters?: Fit["parameters"]): Fit => ({
  _tag: "Fit",
  format,
  details,
  parameters
})

const unfit = (why: string, details: FormatDetails = {}): Unfit => ({ _tag: "Unfit", why, details })

/** With all that is announced of it. */
export const announced = ({ format, parameters }: Fit, parameterSets: boolean): Format => {
  if (parameters === undefined) return format
  const known = parameters(parameterSets).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  )
  return { ...format, fmtp: new Map(known) }
}

const whole = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined

/** The value if it is a whole number; the server can't read another. */
const wholeText = (text: string | undefined): string | undefined =>
  whole(text) === undefined ? undefined : text

const pictureClock = 90_000

const h264Sets = ({ fmtp }: Format) => ParameterSets.h264(fmtp.get("sprop-parameter-sets"))

const h264 = (format: Format): RelayFormat => {
  const { fmtp, payloadType } = format
  if (fmtp.get("packetization-mode") === "2") {
    return unfit("H.264 in interleaved mode is not relayed")
  }
  return fit(
    { payloadType, encoding: "H264", clockRate: pictureClock, parameters: undefined, fmtp },
    h264Sets(format)?.size,
    (parameterSets) => {
      // read again: nothing binary is kept for the session's life
      const sets = h264Sets(format)
      const level = fmtp.get("profile-level-id") ?? ""
      return [
        // without it the server takes mode 0, which it rejects; a stream in mode 0 is one in mode 1, too
        ["packetization-mode", "1"],
        ["sprop-parameter-sets", parameterSets ? sets?.sprop : undefined],
        [
          "profile-level-id",
          sets?.profileLevelId ?? (/^[0-9a-f]{6}$/i.test(level) ? level : undefined)
        ]
      ]
    }
  )
}

const h265Sets = ({ fmtp }: Format) =>
  ParameterSets.h265(fmtp.get("sprop-vps"), fmtp.get("sprop-sps"), fmtp.get("sprop-pps"))

const h265 = (format: Format): RelayFormat => {
  const { fmtp, payloadType } = format
  return fit(
    { payloadType, encoding: "H265", clockRate: pictureClock, parameters: undefined, fmtp },
    h265Sets(format)?.size,
    (parameterSets) => {
      const sets = parameterSets ? h265Sets(format) : undefined
      return [
        ["sprop-vps", sets?.vps],
        ["sprop-sps", sets?.sps],
        ["sprop-pps", sets?.pps],
        ["sprop-max-don-diff", wholeText(fmtp.get("sprop-max-don-diff"))]
      ]
    }
  )
}

const sound = (format: Format): FormatDetails => ({
  sampleRate: format.clockRate,
  channels: whole(format.parameters) ?? 1
})

const withoutQuotes = (text: string | undefined): string | undefined => text?.replaceAll('"', "")

const aac = (format: Format): RelayFormat => {
  const { fmtp } = format
  const hex = withoutQuotes(fmtp.get("config"))
  const config = hex === undefined ? undefined : Aac.parseConfig(hex)
  const details = config ?? sound(format)
  const size = whole(fmtp.get("sizelength"))
  if (hex === undefined) return unfit("AAC without its configuration", details)
  if (config === undefined) return unfit("AAC with a configuration that can't be read", details)
  if (size === undefined || size === 0 || size > 100) {
    return unfit("AAC without the length of its sizes (sizelength)", details)
  }
  const mode = fmtp.get("mode")?.toLowerCase() ?? "aac-hbr"
  if (mode !== "aac-hbr" && mode !== "aac_hbr") {
    return unfit("AAC in another mode than AAC-hbr", details)
  }
  const { channels } = config.channels === 0 ? sound(format) : config
  return fit(format, { sampleRate: config.sampleRate, channels }, () => [
    ["streamtype", "5"],
    ["profile-level-id", wholeText(fmtp.get("profile-level-id")) ?? "1"],
    ["mode", "AAC-hbr"],
    ["sizelength", String(size)],
    ["indexlength", wholeText(fmtp.get("indexlength"))],
    ["indexdeltalength", wholeText(fmtp.get("indexdeltalength"))],
    ["config", hex]
  ])
}

const latm = (format: Format): RelayFormat => {
  const { fmtp } = format
  const hex = withoutQuotes(fmtp.get("config"))
  const config = hex === undefined ? undefined : Aac.parseMuxConfig(hex)
  const details = config ?? sound(format)
  if (fmtp.get("cpresent") !== "0" || hex === undefined || config === undefined) {
    return unfit("AAC (LATM) without its configuration in the description", details)
  }
  return fit(format, details, () => [
    ["profile-level-id", wholeText(fmtp.get("profile-level-id"))],
    ["cpresent", "0"],
    ["config", hex]
  ])
}

const onlyNumbers = (format: Format, names: ReadonlyArray<string>): RelayFormat =>
  fit(format, {}, () => names.map((name) => [name, wholeText(format.fmtp.get(name))]))

const mpeg4 = (format: Format): RelayFormat =>
  fit(format, {}, () => {
    const config = format.fmtp.get("config")
    return [
      ["profile-level-id", wholeText(format.fmtp.get("profile-level-id"))],
      ["config", config !== undefined && Mpeg4.isConfig(config) ? config : undefined]
    ]
  })

const byEncoding = (format: Format, encoding: string): RelayFormat => {
  switch (encoding) {
    case "h264":
      return h264(format)
    case "h265":
    case "hevc":
      return h265(format)
    case "mp4v-es":
      return mpeg4(format)
    case "av1":
      return onlyNumbers(format, ["level-idx", "profile", "tier"])
    case "vp8":
      return onlyNumbers(format, ["max-fr", "max-fs"])
    case "vp9":
      return onlyNumbers(format, ["max-fr", "max-fs", "profile-id"])
    case "mpeg4-generic":
      return aac(format)
    case "mp4a-latm":
      return latm(format)
    case "opus":
      // RFC 7587 §7: the clock and the channels are always these, whatever the camera says
      return fit(
        { ...format, clockRate: 48_000, parameters: "2" },
        { sampleRate: 48_000, channels: format.fmtp.get("sprop-stereo") === "1" ? 2 : 1 }
      )
    case "multiopus":
      return unfit("Opus with many channels is not relayed", sound(format))
    case "vorbis":
      return unfit("Vorbis is not relayed", sound(format))
    case "speex":
      // a number of channels behind the clock is more than the server reads
      return fit({ ...format, parameters: undefined }, sound(format), () => [])
    default:
      return fit(format, sound(format))
  }
}

/** Encodings that accompany others and carry no picture or sound of their own. */
const accompanying = new Set(["cn", "telephone-event", "red", "rtx", "ulpfec", "flexfec-03"])

/** How a camera's format can be announced, or why it can't. */
export const relayFormat = (camera: Format): RelayFormat => {
  const format = Codec.withStaticType(camera)
  const encoding = format.encoding?.toLowerCase()
  if (encoding === undefined) {
    return unfit(`the description does not tell what payload type ${format.payloadType} is`)
  }
  if (accompanying.has(encoding)) return unfit(`${encoding} is neither picture nor sound`)
  const relayed = byEncoding(format, encoding)
  if (relayed._tag === "Unfit") {
    return isClock(format.clockRate) ? relayed : unfit(noClock, relayed.details)
  }
  const { clockRate, parameters } = relayed.format
  if (!isClock(clockRate)) return unfit(noClock, relayed.details)
  // the number of channels is read as a number, or the whole announcement fails
  return parameters === undefined || (whole(parameters) ?? 0) > 0
    ? relayed
    : { ...relayed, format: { ...relayed.format, parameters: undefined } }
}

const noClock = "the description does not tell its clock rate"

const isClock = (clockRate: number | undefined): boolean => (clockRate ?? 0) > 0
