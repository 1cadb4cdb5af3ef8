/** Codec names: RTP payload types and encodings, and ffmpeg's names (RFC 3551 §6). */
import { oneLine, redact } from "@restream/config"
import type { Format } from "../sdp/Sdp.ts"

/** The static payload types (RFC 3551, tables 4 and 5). */
const staticTypes: Readonly<
  Record<number, readonly [encoding: string, clockRate: number, channels?: number]>
> = {
  0: ["PCMU", 8_000],
  3: ["GSM", 8_000],
  4: ["G723", 8_000],
  5: ["DVI4", 8_000],
  6: ["DVI4", 16_000],
  7: ["LPC", 8_000],
  8: ["PCMA", 8_000],
  9: ["G722", 8_000],
  10: ["L16", 44_100, 2],
  11: ["L16", 44_100, 1],
  12: ["QCELP", 8_000],
  13: ["CN", 8_000],
  14: ["MPA", 90_000],
  15: ["G728", 8_000],
  16: ["DVI4", 11_025],
  17: ["DVI4", 22_050],
  18: ["G729", 8_000],
  25: ["CelB", 90_000],
  26: ["JPEG", 90_000],
  28: ["nv", 90_000],
  31: ["H261", 90_000],
  32: ["MPV", 90_000],
  33: ["MP2T", 90_000],
  34: ["H263", 90_000]
}

/** The format with the `rtpmap` of its static payload type, unless it has its own. */
export const withStaticType = (format: Format): Format => {
  const known = staticTypes[format.payloadType]
  if (known === undefined) return format
  const [encoding, clockRate, channels] = known
  if (format.encoding === undefined) {
    return {
      ...format,
      encoding,
      clockRate,
      parameters: channels === undefined ? undefined : String(channels)
    }
  }
  return format.clockRate === undefined ? { ...format, clockRate } : format
}

/** The encodings whose static payload types imply a clock rate and a number of channels. */
const withFixedClock: ReadonlySet<string> = new Set(["pcmu", "pcma", "l16", "dvi4"])

/** Whether a static payload type denotes a format. */
const standsFor = (payloadType: number, format: Format): boolean => {
  const known = staticTypes[payloadType]
  if (known === undefined) return false
  const [encoding, clockRate, channels = 1] = known
  if (encoding.toLowerCase() !== format.encoding?.toLowerCase()) return false
  return (
    !withFixedClock.has(encoding.toLowerCase()) ||
    (clockRate === format.clockRate && String(channels) === (format.parameters ?? "1"))
  )
}

/** The payload types for formats that have none of their own (RFC 3551 §6: 96 to 127). */
const dynamicType = { video: 126, audio: 127 } as const

/**
 * The payload type with which every receiver decodes the format: receivers interpret a type below 96 by its static
 * assignment, even if its `rtpmap` differs.
 */
export const receivableType = (format: Format, kind: "video" | "audio"): number => {
  const { payloadType } = format
  if (payloadType >= 96 || standsFor(payloadType, format)) return payloadType
  const other = Object.keys(staticTypes).find((type) => standsFor(Number(type), format))
  return other === undefined ? dynamicType[kind] : Number(other)
}

/** ffmpeg's names by encoding in lower case. */
const ffmpegNames: Readonly<Record<string, string>> = {
  h264: "h264",
  h265: "hevc",
  hevc: "hevc",
  jpeg: "mjpeg",
  "mp4v-es": "mpeg4",
  mpv: "mpeg2video",
  mp2t: "mpegts",
  h261: "h261",
  h263: "h263",
  "h263-1998": "h263",
  "h263-2000": "h263",
  vp8: "vp8",
  vp9: "vp9",
  av1: "av1",
  "mpeg4-generic": "aac",
  "mp4a-latm": "aac",
  pcmu: "pcm_mulaw",
  pcma: "pcm_alaw",
  g722: "adpcm_g722",
  "g726-16": "adpcm_g726le",
  "g726-24": "adpcm_g726le",
  "g726-32": "adpcm_g726le",
  "g726-40": "adpcm_g726le",
  "aal2-g726-16": "adpcm_g726",
  "aal2-g726-24": "adpcm_g726",
  "aal2-g726-32": "adpcm_g726",
  "aal2-g726-40": "adpcm_g726",
  l8: "pcm_u8",
  l16: "pcm_s16be",
  l24: "pcm_s24be",
  opus: "opus",
  multiopus: "opus",
  vorbis: "vorbis",
  ac3: "ac3",
  speex: "speex",
  mpa: "mp2",
  gsm: "gsm",
  g723: "g723_1",
  g728: "g728",
  g729: "g729"
}

/**
 * The codec by ffmpeg's name, or else the encoding in lower case; `unknown` without an encoding.
 *
 * @param secrets masked in an encoding that is not known.
 */
export const nameOf = (format: Format, secrets: ReadonlyArray<string> = []): string => {
  const encoding = format.encoding?.toLowerCase() ?? "unknown"
  return ffmpegNames[encoding] ?? oneLine(redact(encoding, secrets))
}
