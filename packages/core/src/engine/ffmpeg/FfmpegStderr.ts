/**
 * Parses the standard error of ffmpeg and ffprobe.
 *
 * They report failures in no other way. The texts are those of ffmpeg 4 to 8; they changed over the years, and
 * the tests keep each as a real program printed it.
 */

import type { DnsError } from "../../camera/Reason.ts"

/** The side of the relay that a message is about. */
export type Side = "input" | "output"

/** The facts about the end of a program in its standard error. */
export interface Parsed {
  /** The side whose failure ended it, and the text of the system or the library. */
  readonly failure: { readonly side: Side; readonly text: string } | undefined
  /** The status of a response. */
  readonly status: { readonly code: number; readonly text: string } | undefined
  /** Why the host name cannot be resolved. */
  readonly unknownHost: DnsError["why"] | undefined
  /** Why reading RTSP failed; only ffmpeg 8 and later report it. */
  readonly readFailure: string | undefined
  /** The problem with a certificate. */
  readonly certificate: string | undefined
  /** An option or an encoder that this build lacks. */
  readonly missingFeature: string | undefined
  /** The progress with the camera. Only ffprobe logs it, from version 5 on. */
  readonly isConnecting: boolean
  readonly isConnected: boolean
  readonly isDescribed: boolean
  /** The connection failed. */
  readonly isUnconnected: boolean
  /** A response did not match its request. */
  readonly isGarbled: boolean
  /** The camera has no video track. */
  readonly hasNoVideo: boolean
  /** The camera has tracks, but sent no media to analyse. */
  readonly hasNoMedia: boolean
}

/** The parts of a line: `[rtsp @ 0x23eafa00] [error] method DESCRIBE failed: 404 Not Found`. */
const line = /^(?:\[([^\]@]+?) @ (?:0x)?[0-9a-f]+\] )?(?:\[([a-z]+)\] )?(.*)$/

const outputFailures = [
  /^Could not write header\b.*?: ([^:]+)$/,
  /^av_interleaved_write_frame\(\): (.+)$/,
  /^Error submitting a packet to the muxer: (.+)$/,
  /^Error writing trailer(?: of .*)?: ([^:]+)$/,
  /^Error opening output files?: (.+)$/
]

const inputFailures = [
  /^Error opening input(?: files)?: (.+)$/,
  /^Error during demuxing: (.+)$/,
  /^Error while reading\b.*?: ([^:]+)$/
]

const firstGroup = (patterns: ReadonlyArray<RegExp>, text: string): string | undefined => {
  for (const pattern of patterns) {
    const match = pattern.exec(text)
    if (match !== null) return match[1]
  }
  return undefined
}

/** `rtsp://user:password@10.0.0.5/live: Connection refused`: what follows the address. */
const afterAddress = (text: string, address: string): string | undefined =>
  text.startsWith(`${address}: `) ? text.slice(address.length + 2) : undefined

const failureIn = (
  text: string,
  addresses: { readonly camera: string; readonly destination?: string | undefined }
): Parsed["failure"] => {
  const output =
    firstGroup(outputFailures, text) ??
    (addresses.destination === undefined ? undefined : afterAddress(text, addresses.destination))
  if (output !== undefined) return { side: "output", text: output }
  const input = firstGroup(inputFailures, text) ?? afterAddress(text, addresses.camera)
  return input === undefined ? undefined : { side: "input", text: input }
}

const statusIn = (match: RegExpExecArray) => ({
  code: Number(match[1]),
  text: (match[2] ?? "").trim()
})

/** Parses the lines. The addresses are those in the arguments. */
export const parse = (
  lines: ReadonlyArray<string>,
  addresses: { readonly camera: string; readonly destination?: string | undefined }
): Parsed => {
  const parsed: { -readonly [K in keyof Parsed]: Parsed[K] } = {
    failure: undefined,
    status: undefined,
    unknownHost: undefined,
    readFailure: undefined,
    certificate: undefined,
    missingFeature: undefined,
    isConnecting: false,
    isConnected: false,
    isDescribed: false,
    isUnconnected: false,
    isGarbled: false,
    hasNoVideo: false,
    hasNoMedia: false
  }
  for (const whole of lines) {
    const [, context = "", level = "", text = ""] = line.exec(whole) ?? []

    // ffmpeg 8 leaves out the blank: "401Unauthorized"
    const status =
      /^method [A-Z_]+ failed: (\d{3}) ?(.*)$/.exec(text) ?? /^HTTP error (\d{3}) ?(.*)$/.exec(text)
    const unresolved = /^Failed to resolve hostname \S+?: (.*)$/.exec(text)?.[1]

    // the first failure is the cause, the lines before it explain it, and later failures follow from it
    if (parsed.failure === undefined) {
      if (status !== null) parsed.status = statusIn(status)
      if (unresolved !== undefined) {
        // EAI_AGAIN, by glibc and by musl
        const isTemporary = /^(?:Temporary failure|Try again)/i.test(unresolved)
        parsed.unknownHost = isTemporary ? "NoAnswer" : "NoSuchHost"
      }
      parsed.failure = failureIn(text, addresses)
    }

    parsed.readFailure = /^Failed reading RTSP data: (.+)$/.exec(text)?.[1] ?? parsed.readFailure
    parsed.missingFeature ??= /^Unrecognized option '([^']*)'/.exec(text)?.[1]
    parsed.missingFeature ??= /^Option (\S+) not found/.exec(text)?.[1]
    parsed.missingFeature ??= /^(?:Unknown encoder|Encoder not found) ?'?([^']*)/.exec(text)?.[1]
    if (context.startsWith("tls") && level === "error") parsed.certificate ??= text

    parsed.isUnconnected ||= /^Connection to \S+ failed: /.test(text)
    parsed.isConnecting ||= text.startsWith("Starting connection attempt to ")
    parsed.isConnected ||= text.startsWith("Successfully connected to ")
    parsed.isDescribed ||= text === "SDP:"
    parsed.isGarbled ||= /^CSeq \d+ expected, \d+ received/.test(text)
    parsed.hasNoVideo ||= text.startsWith("Stream map ") && text.includes("matches no streams")
    parsed.hasNoMedia ||= text === "dimensions not set"
  }
  // a status that did not end the program is not its reason
  const end = parsed.failure?.text ?? ""
  const reported = /^Server returned (\d{3}) ?(.*)$/.exec(end)
  if (!/^Server returned|^Protocol not supported/.test(end)) parsed.status = undefined
  else if (parsed.status === undefined && reported !== null) parsed.status = statusIn(reported)
  return parsed
}

/** The last error messages of a process in one line, or else its last message. */
export const lastWords = (lines: ReadonlyArray<string>): string => {
  const parts = lines.map((whole) => {
    const [, , level = "", text = ""] = line.exec(whole) ?? []
    return { isError: level === "error" || level === "fatal", text: text.trim() }
  })
  const errors = parts.filter(({ isError, text }) => isError && text !== "")
  const chosen = errors.length > 0 ? errors.slice(-3) : parts.slice(-1)
  return chosen.map(({ text }) => text).join("; ")
}
