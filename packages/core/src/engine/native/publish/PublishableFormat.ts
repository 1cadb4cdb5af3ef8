/**
 * Decides whether a camera's format can be published, and how it is announced.
 *
 * A media server rejects a whole announcement because of one value that it cannot parse. The rules are those
 * of gortsplib (`pkg/format/*.go`, `pkg/description/media.go`), which MediaMTX parses descriptions with.
 */
import * as Aac from "../../../rtsp/codec/Aac.ts"
import * as Codec from "../../../rtsp/codec/Codec.ts"
import * as Mpeg4 from "../../../rtsp/codec/Mpeg4.ts"
import * as ParameterSets from "../../../rtsp/codec/ParameterSets.ts"
import type { Format } from "../../../rtsp/sdp/Sdp.ts"

/** The properties of the video or the audio in a description. */
export interface FormatDetails {
  /** In pixels. */
  readonly width?: number | undefined
  readonly height?: number | undefined
  /** In Hz. */
  readonly sampleRate?: number | undefined
  readonly channels?: number | undefined
}

/** The names and values of `fmtp`; a parameter without a value is left out. */
type Parameters = ReadonlyArray<readonly [name: string, value: string | undefined]>

export interface Supported {
  readonly _tag: "Supported"
  /** The announced format, except for its {@link parameters}. */
  readonly format: Format
  readonly details: FormatDetails
  /**
   * The announced parameters; `undefined` announces the camera's own. A function, because most descriptions
   * are probed and never announced.
   *
   * @param parameterSets see `AnnouncementOptions`.
   */
  readonly parameters: ((parameterSets: boolean) => Parameters) | undefined
}

interface Unsupported {
  readonly _tag: "Unsupported"
  readonly reason: string
  readonly details: FormatDetails
}

export type PublishableFormat = Supported | Unsupported

const supported = (
  format: Format,
  details: FormatDetails = {},
  parameters?: Supported["parameters"]
): Supported => ({ _tag: "Supported", format, details, parameters })

const unsupported = (reason: string, details: FormatDetails = {}): Unsupported => ({
  _tag: "Unsupported",
  reason,
  details
})

/** The format as it is announced. */
export const announced = ({ format, parameters }: Supported, parameterSets: boolean): Format => {
  if (parameters === undefined) return format
  const known = parameters(parameterSets).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  )
  return { ...format, fmtp: new Map(known) }
}

const whole = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined

/** The value if it is a whole number: the server parses nothing else. */
const wholeText = (text: string | undefined): string | undefined =>
  whole(text) === undefined ? undefined : text

const videoClockRate = 90_000

const h264Sets = ({ fmtp }: Format) => ParameterSets.h264(fmtp.get("sprop-parameter-sets"))

const h264 = (format: Format): PublishableFormat => {
  const { fmtp, payloadType } = format
  if (fmtp.get("packetization-mode") === "2") {
    return unsupported("packetization-mode=2 (interleaved) is not supported")
  }
  return supported(
    { payloadType, encoding: "H264", clockRate: videoClockRate, parameters: undefined, fmtp },
    h264Sets(format)?.size,
    (parameterSets) => {
      // parsed again here, so that no binary data is kept for the life of the session
      const sets = h264Sets(format)
      const level = fmtp.get("profile-level-id") ?? ""
      return [
        // the default is mode 0, which the server rejects; every mode 0 stream is a valid mode 1 stream
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

const h265 = (format: Format): PublishableFormat => {
  const { fmtp, payloadType } = format
  return supported(
    { payloadType, encoding: "H265", clockRate: videoClockRate, parameters: undefined, fmtp },
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

/** H.264 or H.265, by the parameter sets: some cameras name the wrong one of the two codecs (go2rtc#264). */
const h26x = (format: Format, named: "h264" | "h265"): PublishableFormat => {
  const { fmtp } = format
  const namesH265Sets = fmtp.has("sprop-vps") || fmtp.has("sprop-sps") || fmtp.has("sprop-pps")
  const isOther =
    named === "h264"
      ? !fmtp.has("sprop-parameter-sets") && h265Sets(format) !== undefined
      : !namesH265Sets && h264Sets(format) !== undefined
  return (named === "h264") === isOther ? h265(format) : h264(format)
}

const audioDetails = (format: Format): FormatDetails => ({
  sampleRate: format.clockRate,
  channels: whole(format.parameters) ?? 1
})

const withoutQuotes = (text: string | undefined): string | undefined => text?.replaceAll('"', "")

/** The fields of RFC 3640 §4.1 that may follow the size and the index of an access unit. */
const furtherFields = [
  "ctsdeltalength",
  "dtsdeltalength",
  "randomaccessindication",
  "streamstateindication",
  "auxiliarydatasizelength",
  "constantsize",
  "constantduration"
]

/** Whether packets are laid out as AAC-hbr: by its name, or by its lengths in the mode `generic`. */
const isHbr = (fmtp: Format["fmtp"]): boolean => {
  const mode = fmtp.get("mode")?.toLowerCase() ?? "aac-hbr"
  if (mode === "aac-hbr" || mode === "aac_hbr") return true
  return (
    mode === "generic" &&
    fmtp.get("sizelength") === "13" &&
    fmtp.get("indexlength") === "3" &&
    fmtp.get("indexdeltalength") === "3" &&
    furtherFields.every((name) => (fmtp.get(name) ?? "0") === "0")
  )
}

const aac = (format: Format): PublishableFormat => {
  const { fmtp } = format
  const hex = withoutQuotes(fmtp.get("config"))
  const config = hex === undefined ? undefined : Aac.parseConfig(hex)
  const details = config ?? audioDetails(format)
  const size = whole(fmtp.get("sizelength"))
  if (hex === undefined) return unsupported("the description has no AAC config", details)
  if (config === undefined) return unsupported("the AAC config is invalid", details)
  if (size === undefined || size === 0 || size > 100) {
    return unsupported("the AAC sizelength is missing or invalid", details)
  }
  if (!isHbr(fmtp)) return unsupported("the AAC mode is not AAC-hbr", details)
  const { channels } = config.channels === 0 ? audioDetails(format) : config
  return supported(format, { sampleRate: config.sampleRate, channels }, () => [
    ["streamtype", "5"],
    ["profile-level-id", wholeText(fmtp.get("profile-level-id")) ?? "1"],
    ["mode", "AAC-hbr"],
    ["sizelength", String(size)],
    ["indexlength", wholeText(fmtp.get("indexlength"))],
    ["indexdeltalength", wholeText(fmtp.get("indexdeltalength"))],
    ["config", hex]
  ])
}

const latm = (format: Format): PublishableFormat => {
  const { fmtp } = format
  const hex = withoutQuotes(fmtp.get("config"))
  const config = hex === undefined ? undefined : Aac.parseMuxConfig(hex)
  const details = config ?? audioDetails(format)
  if (fmtp.get("cpresent") !== "0" || hex === undefined || config === undefined) {
    return unsupported("the description has no AAC LATM config", details)
  }
  return supported(format, details, () => [
    ["profile-level-id", wholeText(fmtp.get("profile-level-id"))],
    ["cpresent", "0"],
    ["config", hex]
  ])
}

const onlyNumbers = (format: Format, names: ReadonlyArray<string>): PublishableFormat =>
  supported(format, {}, () => names.map((name) => [name, wholeText(format.fmtp.get(name))]))

const mpeg4 = (format: Format): PublishableFormat =>
  supported(format, {}, () => {
    const config = format.fmtp.get("config")
    return [
      ["profile-level-id", wholeText(format.fmtp.get("profile-level-id"))],
      ["config", config !== undefined && Mpeg4.isConfig(config) ? config : undefined]
    ]
  })

const byEncoding = (format: Format, encoding: string): PublishableFormat => {
  switch (encoding) {
    case "h264":
      return h26x(format, "h264")
    case "h265":
    case "hevc":
      return h26x(format, "h265")
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
      // RFC 7587 §7: always these values
      return supported(
        { ...format, clockRate: 48_000, parameters: "2" },
        { sampleRate: 48_000, channels: format.fmtp.get("sprop-stereo") === "1" ? 2 : 1 }
      )
    case "multiopus":
      return unsupported("multichannel Opus is not supported", audioDetails(format))
    case "vorbis":
      return unsupported("Vorbis is not supported", audioDetails(format))
    case "speex":
      // the server rejects a channel count after the clock rate
      return supported({ ...format, parameters: undefined }, audioDetails(format), () => [])
    default:
      return supported(format, audioDetails(format))
  }
}

/** Encodings that carry comfort noise, events, or repair data for another stream. */
const auxiliary = new Set(["cn", "telephone-event", "red", "rtx", "ulpfec", "flexfec-03"])

/** Classifies a camera's format. */
export const classify = (camera: Format): PublishableFormat => {
  const format = Codec.withStaticType(camera)
  const encoding = format.encoding?.toLowerCase()
  if (encoding === undefined) {
    return unsupported(`payload type ${format.payloadType} has no rtpmap`)
  }
  if (auxiliary.has(encoding)) return unsupported(`${encoding} is neither audio nor video`)
  const result = byEncoding(format, encoding)
  if (result._tag === "Unsupported") {
    return isClock(format.clockRate) ? result : unsupported(noClock, result.details)
  }
  const { clockRate, parameters } = result.format
  if (!isClock(clockRate)) return unsupported(noClock, result.details)
  // the server rejects the whole announcement if the channel count is not a number
  return parameters === undefined || (whole(parameters) ?? 0) > 0
    ? result
    : { ...result, format: { ...result.format, parameters: undefined } }
}

const noClock = "the clock rate is unknown"

const isClock = (clockRate: number | undefined): boolean => (clockRate ?? 0) > 0
