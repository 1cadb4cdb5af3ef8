/**
 * Reads what ffmpeg and ffprobe say on their standard error.
 *
 * They have no other way to tell what went wrong. The texts here are those of ffmpeg 4 to 8; they
 * changed over the years, and the suites hold each as it was seen.
 */

/** Which end of the relay a message is about. */
export type Side = "input" | "output"

/** What a program's words tell about its end. */
export interface Words {
  /** Whose fault ended it, and what the system or the library called it. */
  readonly fault: { readonly side: Side; readonly text: string } | undefined
  /** The status that a server answered. */
  readonly status: { readonly code: number; readonly text: string } | undefined
  /** The host name that has no address. */
  readonly unknownHost: string | undefined
  /** Why reading RTSP failed; only ffmpeg 8 and later tell. */
  readonly readFailure: string | undefined
  /** What was wrong with a certificate. */
  readonly certificate: string | undefined
  /** An option or an encoder that this build does not have. */
  readonly lacks: string | undefined
  /** How far it came with the camera. Only ffprobe is asked to tell, and only ffmpeg 5 and later do. */
  readonly isConnecting: boolean
  readonly isConnected: boolean
  readonly isDescribed: boolean
  /** The connection itself could not be made. */
  readonly isUnconnected: boolean
  /** An answer was no answer to what was asked. */
  readonly isGarbled: boolean
  /** No video among the camera's tracks. */
  readonly hasNoVideo: boolean
  /** The tracks are there, but no media came by which to know them. */
  readonly hasNoMedia: boolean
}

/** A line in its parts: `[rtsp @ 0x23eafa00] [error] method DESCRIBE failed: 404 Not Found`. */
const line = /^(?:\[([^\]@]+?) @ (?:0x)?[0-9a-f]+\] )?(?:\[([a-z]+)\] )?(.*)$/

const outputFaults = [
  /^Could not write header\b.*?: ([^:]+)$/,
  /^av_interleaved_write_frame\(\): (.+)$/,
  /^Error submitting a packet to the muxer: (.+)$/,
  /^Error writing trailer(?: of .*)?: ([^:]+)$/,
  /^Error opening output files?: (.+)$/
]

const inputFaults = [
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

const faultIn = (
  text: string,
  addresses: { readonly camera: string; readonly destination?: string | undefined }
): Words["fault"] => {
  const output =
    firstGroup(outputFaults, text) ??
    (addresses.destination === undefined ? undefined : afterAddress(text, addresses.destination))
  if (output !== undefined) return { side: "output", text: output }
  const input = firstGroup(inputFaults, text) ?? afterAddress(text, addresses.camera)
  return input === undefined ? undefined : { side: "input", text: input }
}

const statusIn = (match: RegExpExecArray) => ({
  code: Number(match[1]),
  text: (match[2] ?? "").trim()
})

/** Gathers what the lines tell. The addresses are those that stood among the arguments. */
export const read = (
  lines: ReadonlyArray<string>,
  addresses: { readonly camera: string; readonly destination?: string | undefined }
): Words => {
  const words: { -readonly [K in keyof Words]: Words[K] } = {
    fault: undefined,
    status: undefined,
    unknownHost: undefined,
    readFailure: undefined,
    certificate: undefined,
    lacks: undefined,
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
    const unknownHost = /^Failed to resolve hostname (\S+?): /.exec(text)?.[1]

    // the first fault is the cause, and what stands right before it explains it; others follow from it
    if (words.fault === undefined) {
      if (status !== null) words.status = statusIn(status)
      words.unknownHost = unknownHost ?? words.unknownHost
      words.fault = faultIn(text, addresses)
    }

    words.readFailure = /^Failed reading RTSP data: (.+)$/.exec(text)?.[1] ?? words.readFailure
    words.lacks ??= /^Unrecognized option '([^']*)'/.exec(text)?.[1]
    words.lacks ??= /^Option (\S+) not found/.exec(text)?.[1]
    words.lacks ??= /^(?:Unknown encoder|Encoder not found) ?'?([^']*)/.exec(text)?.[1]
    if (context.startsWith("tls") && level === "error") words.certificate ??= text

    words.isUnconnected ||= /^Connection to \S+ failed: /.test(text)
    words.isConnecting ||= text.startsWith("Starting connection attempt to ")
    words.isConnected ||= text.startsWith("Successfully connected to ")
    words.isDescribed ||= text === "SDP:"
    words.isGarbled ||= /^CSeq \d+ expected, \d+ received/.test(text)
    words.hasNoVideo ||= text.startsWith("Stream map ") && text.includes("matches no streams")
    words.hasNoMedia ||= text === "dimensions not set"
  }
  // a status that was no matter at the end is none of its reasons
  const end = words.fault?.text ?? ""
  const told = /^Server returned (\d{3}) ?(.*)$/.exec(end)
  if (!/^Server returned|^Protocol not supported/.test(end)) words.status = undefined
  else if (words.status === undefined && told !== null) words.status = statusIn(told)
  return words
}

/** The last words of a process in one line: its errors, or else the last thing that it said. */
export const lastWords = (lines: ReadonlyArray<string>): string => {
  const parts = lines.map((whole) => {
    const [, , level = "", text = ""] = line.exec(whole) ?? []
    return { isError: level === "error" || level === "fatal", text: text.trim() }
  })
  const errors = parts.filter(({ isError, text }) => isError && text !== "")
  const chosen = errors.length > 0 ? errors.slice(-3) : parts.slice(-1)
  return chosen.map(({ text }) => text).join("; ")
}
