/**
 * Makes a camera's format fit to be announced to a media server, or says why it can't be.
 *
 * A server rejects a whole announcement because of one value that it can't read. The rules are those of
 * gortsplib (`pkg/format/*.go`, `pkg/description/media.go`), which MediaMTX reads descriptions with.
 */
import * as Aac from "./Aac.ts"
import * as Codec from "./Codec.ts"
import * as Mpeg4 from "./Mpeg4.ts"
import * as ParameterSets from "./ParameterSets.ts"
import type { Format } from "./Sdp.ts"

/** What a description tells of the picture or the sound. */
export interface FormatDetails {
  /** In pixels. */
  readonly width?: number | undefined
  readonly height?: number | undefined
  /** In Hz. */
  readonly sampleRate?: number | undefined
  readonly channels?: number | undefined
}

export type RelayFormat =
  | { readonly _tag: "Fit"; readonly format: Format; readonly details: FormatDetails }
  | { readonly _tag: "Unfit"; readonly why: string; readonly details: FormatDetails }

const fit = (format: Format, details: FormatDetails = {}): RelayFormat => ({
  _tag: "Fit",
  format,
  details
})

const unfit = (why: string, details: FormatDetails = {}): RelayFormat => ({
  _tag: "Unfit",
  why,
  details
})

/** With other parameters. They are made when they are read: most offers are looked at, and never announced. */
const withFmtp = (
  format: Format,
  entries: () => ReadonlyArray<readonly [string, string | undefined]>
): Format => ({
  ...format,
  get fmtp() {
    return new Map(
      entries().filter((entry): entry is readonly [string, string] => entry[1] !== undefined)
    )
  }
})

const whole = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined

/** The value if it is a whole number; the server can't read another. */
const wholeText = (text: string | undefined): string | undefined =>
  whole(text) === undefined ? undefined : text

const h264Sets = ({ fmtp }: Format) => ParameterSets.h264(fmtp.get("sprop-parameter-sets"))

const h264 = (format: Format, parameterSets: boolean): RelayFormat => {
  const mode = format.fmtp.get("packetization-mode")
  if (mode === "2") return unfit("H.264 in interleaved mode is not relayed")
  const announced = { ...format, encoding: "H264", clockRate: 90_000, parameters: undefined }
  return fit(
    withFmtp(announced, () => {
      // read again: nothing binary is kept for the session's life
      const sets = h264Sets(format)
      const level = format.fmtp.get("profile-level-id")
      return [
        // without it the server takes mode 0, which it rejects; a stream in mode 0 is one in mode 1, too
        ["packetization-mode", "1"],
        ["sprop-parameter-sets", parameterSets ? sets?.sprop : undefined],
        [
          "profile-level-id",
          sets?.profileLevelId ?? (/^[0-9a-f]{6}$/i.test(level ?? "") ? level : undefined)
        ]
      ]
    }),
    h264Sets(format)?.size
  )
}

const h265Sets = ({ fmtp }: Format) =>
  ParameterSets.h265(fmtp.get("sprop-vps"), fmtp.get("sprop-sps"), fmtp.get("sprop-pps"))

const h265 = (format: Format, parameterSets: boolean): RelayFormat => {
  const announced = { ...format, encoding: "H265", clockRate: 90_000, parameters: undefined }
  return fit(
    withFmtp(announced, () => {
      const sets = parameterSets ? h265Sets(format) : undefined
      return [
        ["sprop-vps", sets?.vps],
        ["sprop-sps", sets?.sps],
        ["sprop-pps", sets?.pps],
        ["sprop-max-don-diff", wholeText(format.fmtp.get("sprop-max-don-diff"))]
      ]
    }),
    h265Sets(format)?.size
  )
}

const sound = (format: Format): FormatDetails => ({
  sampleRate: format.clockRate,
  channels: whole(format.parameters) ?? 1
})

const aac = (format: Format): RelayFormat => {
  const { fmtp } = format
  const hex = fmtp.get("config")?.replaceAll('"', "")
  const config = hex === undefined ? undefined : Aac.parseConfig(hex)
  const details = config ?? sound(format)
  const size = whole(fmtp.get("sizelength"))
  if (hex === undefined) return unfit("AAC without its configuration", details)
  if (config === undefined) return unfit("AAC with a configuration that can't be read", details)
  if (size === undefined || size === 0 || size > 100) {
    return unfit("AAC without the length of its sizes (sizelength)", details)
  }
  const mode = fmtp.get("mode")
  if (mode !== undefined && !/^aac[-_]hbr$/i.test(mode)) {
    return unfit("AAC in another mode than AAC-hbr", details)
  }
  return fit(
    withFmtp(format, () => [
      ["streamtype", "5"],
      ["profile-level-id", wholeText(fmtp.get("profile-level-id")) ?? "1"],
      ["mode", "AAC-hbr"],
      ["sizelength", String(size)],
      ["indexlength", wholeText(fmtp.get("indexlength"))],
      ["indexdeltalength", wholeText(fmtp.get("indexdeltalength"))],
      ["config", hex]
    ]),
    { ...details, channels: details.channels === 0 ? sound(format).channels : details.channels }
  )
}

const latm = (format: Format): RelayFormat => {
  const hex = format.fmtp.get("config")?.replaceAll('"', "")
  const config = hex === undefined ? undefined : Aac.parseMuxConfig(hex)
  const details = config ?? sound(format)
  if (format.fmtp.get("cpresent") !== "0" || hex === undefined || config === undefined) {
    return unfit("AAC (LATM) without its configuration in the description", details)
  }
  return fit(
    withFmtp(format, () => [
      ["profile-level-id", wholeText(format.fmtp.get("profile-level-id"))],
      ["cpresent", "0"],
      ["config", hex]
    ]),
    details
  )
}

const onlyNumbers = (format: Format, names: ReadonlyArray<string>): RelayFormat =>
  fit(withFmtp(format, () => names.map((name) => [name, wholeText(format.fmtp.get(name))])))

const mpeg4 = (format: Format): RelayFormat => {
  const config = format.fmtp.get("config")
  return fit(
    withFmtp(format, () => [
      ["profile-level-id", wholeText(format.fmtp.get("profile-level-id"))],
      ["config", config !== undefined && Mpeg4.isConfig(config) ? config : undefined]
    ])
  )
}

const byEncoding = (format: Format, parameterSets: boolean): RelayFormat => {
  switch (format.encoding?.toLowerCase()) {
    case "h264":
      return h264(format, parameterSets)
    case "h265":
    case "hevc":
      return h265(format, parameterSets)
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
      return fit(
        withFmtp({ ...format, parameters: undefined }, () => []),
        sound(format)
      )
    default:
      return fit(format, sound(format))
  }
}

/** Encodings that accompany others and carry no picture or sound of their own. */
const accompanying = new Set(["cn", "telephone-event", "red", "rtx", "ulpfec", "flexfec-03"])

/**
 * The format as it is announced.
 *
 * @param parameterSets whether to announce the parameter sets of H.264 and H.265. Without them a server
 * waits for those in the stream; that is the second try where it rejects the first.
 */
export const relayFormat = (camera: Format, parameterSets: boolean): RelayFormat => {
  const format = Codec.withStaticType(camera)
  const encoding = format.encoding?.toLowerCase()
  if (encoding === undefined) {
    return unfit(`the description does not tell what payload type ${format.payloadType} is`)
  }
  if (accompanying.has(encoding)) return unfit(`${encoding} is neither picture nor sound`)
  const relayed = byEncoding(format, parameterSets)
  const clockRate = relayed._tag === "Fit" ? relayed.format.clockRate : format.clockRate
  if (clockRate === undefined || clockRate === 0) {
    return unfit("the description does not tell its clock rate", relayed.details)
  }
  if (relayed._tag === "Fit") {
    const { parameters } = relayed.format
    // the number of channels is read as a number, or the whole announcement fails
    if (parameters !== undefined && (whole(parameters) ?? 0) === 0) {
      return { ...relayed, format: { ...relayed.format, parameters: undefined } }
    }
  }
  return relayed
}
