/**
 * A lenient parser of session descriptions (RFC 4566, RFC 2326 appendix C).
 *
 * Cameras break every rule of the format: several `s=` lines, invalid `o=`, `c=` and `t=`, unknown media
 * kinds, attributes below the wrong media. Only `m=` and four attributes are parsed.
 */
import * as Result from "effect/Result"
import { Malformed, maxLineBytes } from "../message/Message.ts"

/** A description with more media is rejected. */
const maxMedias = 32

/** Further payload types of a media are ignored, because each costs a search among all media. */
const maxFormats = 32

export interface Format {
  readonly payloadType: number
  /** From `rtpmap`, in the camera's spelling; `undefined` without an `rtpmap`. */
  readonly encoding: string | undefined
  /** In Hz. */
  readonly clockRate: number | undefined
  /** The number of channels, or any other text after the clock rate. */
  readonly parameters: string | undefined
  /** From `fmtp`; names in lower case. */
  readonly fmtp: ReadonlyMap<string, string>
}

export type Direction = "sendrecv" | "recvonly" | "sendonly" | "inactive"

export interface Media {
  /** `video`, `audio`, `application`, or any other kind, in lower case. */
  readonly kind: string
  /** `RTP/AVP`, … in upper case. */
  readonly protocol: string
  readonly formats: ReadonlyArray<Format>
  /** `undefined` if the camera sends none: SETUP then names the base URL. */
  readonly control: string | undefined
  readonly direction: Direction | undefined
}

export interface SessionDescription {
  readonly name: string
  /** Of the session; `undefined` and `*` mean the base URL. */
  readonly control: string | undefined
  readonly medias: ReadonlyArray<Media>
}

/** A value without the quotation marks that some cameras add. */
export const unquoted = (value: string): string => {
  const trimmed = value.trim()
  const from = trimmed.startsWith('"') ? 1 : 0
  const to = trimmed.endsWith('"') ? trimmed.length - 1 : trimmed.length
  return trimmed.slice(from, to)
}

const noParameters: ReadonlyMap<string, string> = new Map()

const parseFmtp = (value: string): ReadonlyMap<string, string> => {
  if (value === "") return noParameters
  const parameters = new Map<string, string>()
  for (const part of value.split(";")) {
    const equals = part.indexOf("=")
    const name = (equals === -1 ? part : part.slice(0, equals)).trim().toLowerCase()
    if (name === "" || parameters.has(name)) continue
    parameters.set(name, equals === -1 ? "" : part.slice(equals + 1).trim())
  }
  return parameters
}

/** The attributes of a payload type. */
interface Statement {
  readonly payloadType: number
  text: string
}

interface MediaLines {
  readonly kind: string
  readonly protocol: string
  readonly payloadTypes: ReadonlyArray<string>
  readonly rtpmaps: Array<Statement>
  readonly fmtps: Array<Statement>
  control: string | undefined
  direction: Direction | undefined
}

const payloadTypeOf = (text: string): number | undefined =>
  /^\d{1,3}$/.test(text) && Number(text) <= 127 ? Number(text) : undefined

/** `96 value` */
const readStatement = (value: string): Statement | undefined => {
  const blank = value.indexOf(" ")
  const payloadType = payloadTypeOf(blank === -1 ? value : value.slice(0, blank))
  return payloadType === undefined
    ? undefined
    : { payloadType, text: blank === -1 ? "" : value.slice(blank).trim() }
}

const about = (statements: ReadonlyArray<Statement>, payloadType: number): Statement | undefined =>
  statements.find((statement) => statement.payloadType === payloadType)

const readRtpmap = ({ rtpmaps }: MediaLines, value: string): void => {
  const statement = readStatement(value)
  if (statement === undefined || rtpmaps.length === 2 * maxFormats) return
  if (about(rtpmaps, statement.payloadType) === undefined) rtpmaps.push(statement)
}

const readFmtp = ({ fmtps }: MediaLines, value: string): void => {
  const statement = readStatement(value)
  if (statement === undefined) return
  const before = about(fmtps, statement.payloadType)
  if (before === undefined) {
    if (fmtps.length < 2 * maxFormats) fmtps.push(statement)
  }
  // merge an fmtp that is split into two lines
  else before.text = `${before.text};${statement.text}`
}

const beginMedia = (value: string): MediaLines => {
  // m=<media> <port> <protocol> <payload types…>
  const words = value.split(" ").filter((word) => word !== "")
  return {
    kind: (words[0] ?? "").toLowerCase(),
    protocol: (words[2] ?? "").toUpperCase(),
    payloadTypes: words.slice(3, 3 + maxFormats),
    rtpmaps: [],
    fmtps: [],
    control: undefined,
    direction: undefined
  }
}

const readAttribute = (media: MediaLines, name: string, value: string): void => {
  switch (name) {
    case "rtpmap":
      return readRtpmap(media, value)
    case "fmtp":
      return readFmtp(media, value)
    case "control":
      media.control ??= value
      return
    case "sendrecv":
    case "recvonly":
    case "sendonly":
    case "inactive":
      media.direction ??= name
  }
}

/** `smart/1/90000` in place of a payload type; the format is the one in the rtpmap (gortsplib `format.go`). */
const smart = /^smart\/\d+\/\d+$/i

/** An encoding with its clock rate and parameters. */
const rtpmapText = /^([\w!#$%&'*+.^`{|}~-]+)\s*(?:\/\s*(\d{1,9})\s*(?:\/\s*(\S+))?)?/

/** The parameters that identify the fmtp of an encoding, for an fmtp with the wrong payload type. */
const ownParameters: Readonly<Record<string, RegExp>> = {
  h264: /(?:sprop-parameter-sets|packetization-mode)\s*=/i,
  h265: /sprop-[vsp]ps\s*=/i,
  "mpeg4-generic": /config\s*=/i,
  "mp4a-latm": /config\s*=/i
}

/**
 * Some cameras put the fmtp of one media below another, such as that of H.264 below the audio (AlexxIT/WebRTC#419). If the audio has the same payload
 * type, the fmtp is the audio's own.
 */
const strayFmtp = (
  all: ReadonlyArray<MediaLines>,
  payloadType: number,
  encoding: string
): string | undefined =>
  all
    .filter(({ payloadTypes }) => !payloadTypes.includes(String(payloadType)))
    .map(({ fmtps }) => about(fmtps, payloadType)?.text)
    .find((text) => text !== undefined && ownParameters[encoding]?.test(text) === true)

/** The only fmtp of a media with one format, although it names another payload type (gortsplib#658). */
const misnumberedFmtp = (media: MediaLines, encoding: string): string | undefined => {
  const [first, ...others] = media.fmtps
  if (first === undefined || others.length > 0 || media.payloadTypes.length !== 1) return undefined
  return ownParameters[encoding]?.test(first.text) === true ? first.text : undefined
}

const toFormat = (
  payloadType: number,
  media: MediaLines,
  all: ReadonlyArray<MediaLines>
): Format => {
  const match = rtpmapText.exec(about(media.rtpmaps, payloadType)?.text ?? "")
  const encoding = match?.[1]
  const clockRate = match?.[2]
  let fmtp = about(media.fmtps, payloadType)?.text
  const name = encoding?.toLowerCase() ?? ""
  if (name in ownParameters) {
    fmtp ??= misnumberedFmtp(media, name) ?? strayFmtp(all, payloadType, name)
  }
  return {
    payloadType,
    encoding,
    clockRate: clockRate === undefined ? undefined : Number(clockRate),
    parameters: match?.[3],
    fmtp: parseFmtp(fmtp ?? "")
  }
}

const toFormats = (media: MediaLines, all: ReadonlyArray<MediaLines>): ReadonlyArray<Format> => {
  const formats: Array<Format> = []
  for (const text of media.payloadTypes) {
    const payloadType =
      payloadTypeOf(text) ?? (smart.test(text) ? media.rtpmaps[0]?.payloadType : undefined)
    if (payloadType === undefined || formats.some((one) => one.payloadType === payloadType))
      continue
    formats.push(toFormat(payloadType, media, all))
  }
  return formats
}

/**
 * Splits a control attribute from the next line, if the line end between them is missing (mediamtx#95). An `a=`
 * after `?` or `&` belongs to the query of the control.
 */
const withoutMerged = (line: string): ReadonlyArray<string> => {
  if (line.length > maxLineBytes || !/^a=control:/i.test(line)) return [line]
  const next =
    /(?<![?&;])(?:a=(?:rtpmap|fmtp|control|range|framerate|framesize|x-[\w-]+):|a=(?:recvonly|sendonly|sendrecv|inactive)\s*$|m=(?:video|audio|application) \d)/i.exec(
      line.slice(1)
    )
  if (next === null) return [line]
  const at = next.index + 1
  return [line.slice(0, at), ...withoutMerged(line.slice(at))]
}

/** The lines without surrounding white space. Line endings of all kinds occur, even mixed. */
const linesOf = (text: string): ReadonlyArray<string> => {
  const spaced = text.replaceAll("\t", " ")
  return (/\r(?!\n)/.test(spaced) ? spaced.replaceAll("\r", "\n") : spaced).split("\n")
}

/** Parses a description. Fails if it has no media or too many. Overlong lines are skipped. */
export const parse = (text: string): Result.Result<SessionDescription, Malformed> => {
  const medias: Array<MediaLines> = []
  let name = ""
  let control: string | undefined
  let ignoresDirections = false
  for (const line of linesOf(text).flatMap(withoutMerged)) {
    const equals = line.length <= maxLineBytes ? line.indexOf("=") : -1
    const type = line.slice(0, Math.max(0, equals)).trim()
    if (type === "") continue
    const value = line.slice(equals + 1).trim()
    const media = medias.at(-1)
    if (type === "m") {
      if (medias.length === maxMedias) {
        return Result.fail(
          new Malformed({ detail: `more than ${maxMedias} media in the description` })
        )
      }
      medias.push(beginMedia(value))
    } else if (type === "s" && media === undefined) {
      // the first of several names (AlexxIT/WebRTC#417)
      name ||= value
    } else if (type === "o") {
      // some cameras mark what they send as `sendonly`, ONVIF's mark of a back channel (go2rtc#771)
      ignoresDirections = value.startsWith("CV-RTSPHandler ")
    } else if (type === "a") {
      const colon = value.indexOf(":")
      const attribute = (colon === -1 ? value : value.slice(0, colon)).trim().toLowerCase()
      const content = colon === -1 ? "" : value.slice(colon + 1).trim()
      if (media !== undefined) readAttribute(media, attribute, content)
      else if (attribute === "control") control ??= content
    }
  }
  if (medias.length === 0) {
    return Result.fail(new Malformed({ detail: "no media in the description" }))
  }
  return Result.succeed({
    name,
    control: control === "" ? undefined : control,
    medias: medias.map((media) => ({
      kind: media.kind,
      protocol: media.protocol,
      formats: toFormats(media, medias),
      control: media.control === "" ? undefined : media.control,
      direction: ignoresDirections ? undefined : media.direction
    }))
  })
}

const renderFormat = (format: Format): ReadonlyArray<string> => {
  const lines: Array<string> = []
  if (format.encoding !== undefined) {
    const clock = format.clockRate === undefined ? "" : `/${format.clockRate}`
    const parameters = format.parameters === undefined ? "" : `/${format.parameters}`
    lines.push(`a=rtpmap:${format.payloadType} ${format.encoding}${clock}${parameters}`)
  }
  const { fmtp } = format
  if (fmtp.size > 0) {
    const parts = [...fmtp].map(([name, value]) => (value === "" ? name : `${name}=${value}`))
    lines.push(`a=fmtp:${format.payloadType} ${parts.join("; ")}`)
  }
  return lines
}

/** Renders a description, including the lines that strict parsers require. */
export const render = (session: SessionDescription): string => {
  const lines = [
    "v=0",
    "o=- 0 0 IN IP4 127.0.0.1",
    `s=${session.name === "" ? "-" : session.name}`,
    "c=IN IP4 0.0.0.0",
    "t=0 0"
  ]
  if (session.control !== undefined) lines.push(`a=control:${session.control}`)
  for (const media of session.medias) {
    const types = media.formats.map((format) => format.payloadType)
    lines.push(`m=${media.kind} 0 ${media.protocol} ${types.join(" ")}`)
    lines.push(...media.formats.flatMap(renderFormat))
    if (media.direction !== undefined) lines.push(`a=${media.direction}`)
    if (media.control !== undefined) lines.push(`a=control:${media.control}`)
  }
  return `${lines.join("\r\n")}\r\n`
}
