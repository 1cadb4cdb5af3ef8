/**
 * Parses and renders RTSP requests and responses (RFC 2326 §4–§7, §12).
 *
 * Text on the wire is kept as one character per byte (Latin-1), so that a realm or a reason phrase in any encoding
 * stays unchanged; {@link text} decodes it for display. Invalid input is a {@link Malformed}, never an exception.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The longest start line or header line, in bytes. Digest answers with long URLs stay below 2 KiB. */
export const maxLineBytes = 8_192

/** The most header lines in one message. */
export const maxHeaders = 128

/** The longest head (start line and headers), in bytes. */
export const maxHeadBytes = 32_768

/** The longest body that `Content-Length` may announce, in bytes. Descriptions stay below 16 KiB. */
export const maxBodyBytes = 262_144

/** The bytes are not a valid RTSP message. */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", {
  /** For display; never repeats received data. */
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Headers in the order of the wire; a name may occur more than once. */
export type Headers = ReadonlyArray<readonly [name: string, value: string]>

/** A request without its body. */
export interface RequestHead {
  readonly _tag: "Request"
  readonly method: string
  readonly uri: string
  readonly headers: Headers
}

/** A response without its body. */
export interface ResponseHead {
  readonly _tag: "Response"
  readonly status: number
  readonly reason: string
  readonly headers: Headers
}

export type Head = RequestHead | ResponseHead

export interface Request extends RequestHead {
  readonly body: Uint8Array
}

export interface Response extends ResponseHead {
  readonly body: Uint8Array
}

export type Message = Request | Response

/** The body of a message without one. */
export const noBody: Uint8Array = new Uint8Array(0)

const isNamed = (key: string, lowerCase: string): boolean =>
  key.length === lowerCase.length && key.toLowerCase() === lowerCase

/** The first value of a header; names are case-insensitive. */
export const header = (message: Head, name: string): string | undefined => {
  const wanted = name.toLowerCase()
  return message.headers.find((entry) => isNamed(entry[0], wanted))?.[1]
}

/** All values of a header, in order; names are case-insensitive. */
export const headerValues = (message: Head, name: string): ReadonlyArray<string> => {
  const wanted = name.toLowerCase()
  return message.headers.filter((entry) => isNamed(entry[0], wanted)).map((entry) => entry[1])
}

/** The sequence number (`CSeq`); some cameras leave it out of responses. */
export const cseq = (message: Head): number | undefined => {
  const number = Number.parseInt(header(message, "cseq") ?? "", 10)
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

const malformed = (detail: string) => Result.fail(new Malformed({ detail }))

const noLength = Result.succeed(0)

/**
 * The length of the body by `Content-Length`, 0 without the header.
 *
 * Fails on different lengths, on a length that is not a number, and above {@link maxBodyBytes}.
 */
export const contentLength = (head: Head): Result.Result<number, Malformed> => {
  const [first, ...others] = headerValues(head, "content-length")
  if (first === undefined) return noLength
  if (!/^\d{1,9}$/.test(first)) return malformed("Content-Length is not a number")
  const length = Number(first)
  if (others.some((other) => other !== first)) {
    return malformed("different Content-Length headers")
  }
  if (length > maxBodyBytes) return malformed(`the body is longer than ${maxBodyBytes} bytes`)
  return Result.succeed(length)
}

const statusLine = /^RTSP\/\d{1,2}\.\d{1,2} +(\d{3})(?: +(.*)|)$/i
/** The end of a request line. Starts with a single space, so that a line of spaces causes no backtracking. */
const requestVersion = /\sRTSP\/\d{1,2}\.\d{1,2}$/i
const methodName = /^[A-Za-z][A-Za-z_]{1,31}$/

/** @param headers may be filled in later. */
const parseStartLine = (line: string, headers: Headers): Result.Result<Head, Malformed> => {
  const response = statusLine.exec(line)
  if (response !== null) {
    const status = Number(response[1])
    if (status < 100) return malformed("status below 100")
    return Result.succeed({
      _tag: "Response",
      status,
      reason: (response[2] ?? "").trim(),
      headers
    })
  }
  const request = line.slice(0, requestVersion.exec(line)?.index ?? 0).trim()
  const blank = request.indexOf(" ")
  const method = request.slice(0, Math.max(0, blank))
  if (methodName.test(method)) {
    return Result.succeed({
      _tag: "Request",
      method: method.toUpperCase(),
      uri: request.slice(blank).trim(),
      headers
    })
  }
  return malformed(/^HTTP\//i.test(line) ? "HTTP instead of RTSP" : "invalid start line")
}

/**
 * Parses a head: the start line and the headers, with or without the empty line after them.
 *
 * Lines end with CR LF or LF. A line that starts with white space continues the previous line (RFC 2616
 * §4.2, which RFC 2326 refers to).
 */
export const parseHead = (head: string): Result.Result<Head, Malformed> => {
  if (head.length > maxHeadBytes) {
    return malformed(`the head is longer than ${maxHeadBytes} bytes`)
  }
  // the CR before a LF is trimmed with other white space
  const lines = head.split("\n")
  const startLine = lines[0] ?? ""
  if (startLine.length > maxLineBytes) return malformed("start line too long")
  const headers: Array<readonly [string, string]> = []
  const start = parseStartLine(startLine.trimEnd(), headers)
  if (Result.isFailure(start)) return start
  for (const line of lines.slice(1)) {
    if (line === "" || line === "\r") break
    if (line.length > maxLineBytes) return malformed("header line too long")
    const last = headers.at(-1)
    if ((line.startsWith(" ") || line.startsWith("\t")) && last !== undefined) {
      headers[headers.length - 1] = [last[0], `${last[1]} ${line.trim()}`]
      continue
    }
    const colon = line.indexOf(":")
    const name = line.slice(0, Math.max(0, colon)).trimEnd()
    // ignore invalid lines, such as those that proxies insert
    if (name === "" || name.includes(" ")) continue
    if (headers.length === maxHeaders) {
      return malformed(`there are more than ${maxHeaders} headers`)
    }
    headers.push([name, line.slice(colon + 1).trim()])
  }
  return start
}

/** One line of a head. Line breaks are removed: they would start another header. */
const oneLine = (line: string): string => (/^[\t -~]*$/.test(line) ? line : escaped(line))

const escaped = (line: string): string =>
  // text beyond Latin-1 is sent as UTF-8
  (/[^\0-\xff]/.test(line) ? Buffer.from(line, "utf8").toString("latin1") : line).replaceAll(
    /[\r\n\0]+/g,
    " "
  )

/** Decodes text of the wire for display: as UTF-8 if valid, otherwise as Latin-1. */
export const text = (value: string): string => {
  const decoded = Buffer.from(value, "latin1").toString("utf8")
  return decoded.includes("\ufffd") ? value : decoded
}

const startLine = (head: Head): string =>
  head._tag === "Request"
    ? `${head.method} ${head.uri} RTSP/1.0`
    : `RTSP/1.0 ${head.status} ${head.reason}`

/** The message as bytes. `Content-Length` is added for a body, unless a header has it. */
export const render = (message: Message): Buffer => {
  const lines = [oneLine(startLine(message))]
  for (const [name, value] of message.headers) lines.push(oneLine(`${name}: ${value}`))
  if (message.body.length > 0 && header(message, "content-length") === undefined) {
    lines.push(`Content-Length: ${message.body.length}`)
  }
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1")
  return message.body.length === 0 ? head : Buffer.concat([head, message.body])
}

/** The standard reason phrases (RFC 2326 §7.1.1). */
const phrases: Readonly<Record<number, string>> = {
  200: "OK",
  301: "Moved Permanently",
  302: "Moved Temporarily",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  415: "Unsupported Media Type",
  453: "Not Enough Bandwidth",
  454: "Session Not Found",
  455: "Method Not Valid in This State",
  457: "Invalid Range",
  461: "Unsupported Transport",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "RTSP Version Not Supported"
}

/** The standard reason phrase of a status, empty if there is none. */
export const phrase = (status: number): string => phrases[status] ?? ""
