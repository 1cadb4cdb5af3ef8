/**
 * Session descriptions, read forgivingly (RFC 4566, RFC 2326 appendix C).
 *
 * Cameras break every rule of the format: several `s=` lines, broken `o=`, `c=` and `t=`, media of kinds
 * that don't exist, attributes of one media under another. What a relay needs stands in `m=` and in four
 * attributes; the rest is passed over unread.
 */
import * as Result from "effect/Result"
import { Malformed, maxLineBytes } from "../message/Message.ts"

/** More media than this make no camera. */
const maxMedias = 32

export interface Format {
  readonly payloadType: number
  /** From `rtpmap`, in the camera's spelling; `undefined` where there is none. */
  readonly encoding: string | undefined
  /** In Hz. */
  readonly clockRate: number | undefined
  /** The number of channels, or whatever else stands there. */
  readonly parameters: string | undefined
  /** From `fmtp`, the names in lower case. */
  readonly fmtp: ReadonlyMap<string, string>
}

export type Direction = "sendrecv" | "recvonly" | "sendonly" | "inactive"

export interface Media {
  /** `video`, `audio`, `application`, or whatever stands there, in lower case. */
  readonly kind: string
  /** `RTP/AVP`, … in upper case. */
  readonly protocol: string
  readonly formats: ReadonlyArray<Format>
  /** `undefined` where the camera forgot it: the base URL stands for the media then. */
  readonly control: string | undefined
  readonly direction: Direction | undefined
}

export interface SessionDescription {
  readonly name: string
  /** Of the whole session; `undefined` or `*` mean the base URL. */
  readonly control: string | undefined
  readonly medias: ReadonlyArray<Media>
}

/** A value without the quotation marks that some cameras put around it. */
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

/** What a line says of a payload type. */
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
  if (statement === undefined || about(rtpmaps, statement.payloadType) !== undefined) return
  rtpmaps.push(statement)
}

const readFmtp = ({ fmtps }: MediaLines, value: string): void => {
  const statement = readStatement(value)
  if (statement === undefined) return
  const before = about(fmtps, statement.payloadType)
  if (before === undefined) fmtps.push(statement)
  // in two lines it is one
  else before.text = `${before.text};${statement.text}`
}

const beginMedia = (value: string): MediaLines => {
  // m=<media> <port> <protocol> <payload types…>
  const words = value.split(" ").filter((word) => word !== "")
  return {
    kind: (words[0] ?? "").toLowerCase(),
    protocol: (words[2] ?? "").toUpperCase(),
    payloadTypes: words.slice(3),
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

/** `smart/1/90000` for a payload type, of cameras that mean "the one in the rtpmap" (gortsplib `format.go`). */
const smart = /^smart\/\d+\/\d+$/i

/** An encoding with its clock and what stands behind that. */
const rtpmapText = /^([\w!#$%&'*+.^`{|}~-]+)\s*(?:\/\s*(\d{1,9})\s*(?:\/\s*(\S+))?)?/

/**
 * Some cameras put the fmtp of H.264 under the audio (AlexxIT/WebRTC#419); a media that offers the payload
 * type itself means its own.
 */
const strayFmtp = (all: ReadonlyArray<MediaLines>, payloadType: number): string | undefined =>
  all
    .filter(({ payloadTypes }) => !payloadTypes.includes(String(payloadType)))
    .map(({ fmtps }) => about(fmtps, payloadType)?.text)
    .find((text) => text !== undefined)

const toFormat = (
  payloadType: number,
  media: MediaLines,
  all: ReadonlyArray<MediaLines>
): Format => {
  const match = rtpmapText.exec(about(media.rtpmaps, payloadType)?.text ?? "")
  const encoding = match?.[1]
  const clockRate = match?.[2]
  let fmtp = about(media.fmtps, payloadType)?.text
  if (fmtp === undefined && /^h26[45]$/i.test(encoding ?? "")) fmtp = strayFmtp(all, payloadType)
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

/** The lines, with white space around them: they may end in any way, in one text in several. */
const linesOf = (text: string): ReadonlyArray<string> => {
  const spaced = text.replaceAll("\t", " ")
  return (/\r(?!\n)/.test(spaced) ? spaced.replaceAll("\r", "\n") : spaced).split("\n")
}

/**
 * Reads a description. The one fault is that it offers no media, or far too many. Lines longer than any
 * camera writes are passed over.
 */
export const parse = (text: string): Result.Result<SessionDescription, Malformed> => {
  const medias: Array<MediaLines> = []
  let name = ""
  let control: string | undefined
  let ignoresDirections = false
  for (const line of linesOf(text)) {
    const equals = line.length <= maxLineBytes ? line.indexOf("=") : -1
    const type = line.slice(0, Math.max(0, equals)).trim()
    if (type === "") continue
    const value = line.slice(equals + 1).trim()
    const media = medias.at(-1)
    if (type === "m") {
      if (medias.length === maxMedias) {
        return Result.fail(new Malformed({ detail: `more than ${maxMedias} media are described` }))
      }
      medias.push(beginMedia(value))
    } else if (type === "s" && media === undefined) {
      // several names: the first counts (AlexxIT/WebRTC#417)
      name ||= value
    } else if (type === "o") {
      // a camera that marks what it sends as `sendonly`, ONVIF's mark of a loudspeaker (go2rtc#771)
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
    return Result.fail(new Malformed({ detail: "the description offers no media" }))
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

/** Writes a description, with the lines that strict readers miss otherwise. */
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
