/**
 * Session descriptions, read forgivingly (RFC 4566, RFC 2326 appendix C).
 *
 * Cameras break every rule of the format: several `s=` lines, broken `o=`, `c=` and `t=`, media of kinds
 * that don't exist, attributes of one media under another. What a relay needs stands in `m=` and in four
 * attributes; the rest is passed over unread.
 */
import * as Result from "effect/Result"
import { Malformed, maxLineBytes } from "./Message.ts"

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

const parseFmtp = (value: string): ReadonlyMap<string, string> => {
  const parameters = new Map<string, string>()
  for (const part of value.split(";")) {
    const equals = part.indexOf("=")
    const name = (equals === -1 ? part : part.slice(0, equals)).trim().toLowerCase()
    if (name === "" || parameters.has(name)) continue
    parameters.set(name, equals === -1 ? "" : part.slice(equals + 1).trim())
  }
  return parameters
}

/** `96 value`: a payload type and what is said of it. */
const forPayloadType = (value: string): readonly [number, string] | undefined => {
  const match = /^\s*(\d{1,3})(?:\s+(.*))?$/.exec(value)
  return match === null ? undefined : [Number(match[1]), (match[2] ?? "").trim()]
}

interface MediaLines {
  readonly kind: string
  readonly protocol: string
  readonly payloadTypes: ReadonlyArray<string>
  readonly rtpmaps: Map<number, string>
  readonly fmtps: Map<number, string>
  control: string | undefined
  direction: Direction | undefined
}

const beginMedia = (value: string): MediaLines => {
  // m=<media> <port> <protocol> <payload types…>
  const [kind = "", , protocol = "", ...payloadTypes] = value.trim().split(/\s+/)
  return {
    kind: kind.toLowerCase(),
    protocol: protocol.toUpperCase(),
    payloadTypes,
    rtpmaps: new Map(),
    fmtps: new Map(),
    control: undefined,
    direction: undefined
  }
}

const isDirection = (name: string): name is Direction =>
  name === "sendrecv" || name === "recvonly" || name === "sendonly" || name === "inactive"

const readAttribute = (media: MediaLines, name: string, value: string): void => {
  if (isDirection(name)) media.direction ??= name
  else if (name === "control") media.control ??= value
  else if (name === "rtpmap" || name === "fmtp") {
    const about = forPayloadType(value)
    if (about === undefined) return
    const [payloadType, text] = about
    const known = name === "rtpmap" ? media.rtpmaps : media.fmtps
    const before = known.get(payloadType)
    if (before === undefined) known.set(payloadType, text)
    // an fmtp in two lines is one
    else if (name === "fmtp") known.set(payloadType, `${before};${text}`)
  }
}

/** `smart/1/90000` for a payload type, of cameras that mean "the one in the rtpmap" (gortsplib `format.go`). */
const smart = /^smart\/\d+\/\d+$/i

const toFormats = (media: MediaLines, all: ReadonlyArray<MediaLines>): ReadonlyArray<Format> => {
  const types = media.payloadTypes
    .map((text) => {
      if (smart.test(text)) return [...media.rtpmaps.keys()][0] ?? -1
      return /^\d{1,3}$/.test(text) ? Number(text) : -1
    })
    .filter((type) => type >= 0 && type <= 127)
  return [...new Set(types)].map((payloadType) => {
    const rtpmap = /^([\w!#$%&'*+.^`{|}~-]+)\s*(?:\/\s*(\d{1,9})\s*(?:\/\s*(\S+))?)?/.exec(
      media.rtpmaps.get(payloadType) ?? ""
    )
    const encoding = rtpmap?.[1]
    let fmtp = media.fmtps.get(payloadType)
    if (fmtp === undefined && /^h26[45]$/i.test(encoding ?? "")) {
      // some cameras put the fmtp of H.264 under the audio (AlexxIT/WebRTC#419); a media that offers the
      // payload type itself means its own
      fmtp = all
        .filter((other) => !other.payloadTypes.includes(String(payloadType)))
        .map((other) => other.fmtps.get(payloadType))
        .find((text) => text !== undefined)
    }
    return {
      payloadType,
      encoding,
      clockRate: rtpmap?.[2] === undefined ? undefined : Number(rtpmap[2]),
      parameters: rtpmap?.[3],
      fmtp: parseFmtp(fmtp ?? "")
    }
  })
}

/** The lines, with white space around them: they may end in any way, in one text in several. */
const linesOf = (text: string): ReadonlyArray<string> =>
  (/\r(?!\n)/.test(text) ? text.replaceAll("\r", "\n") : text).split("\n")

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
