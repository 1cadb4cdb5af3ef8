/**
 * RTSP requests and responses: their heads read and written (RFC 2326 §4–§7, §12).
 *
 * Text on the wire is held as one character per byte (Latin-1), so that a realm or a reason in any
 * encoding survives unchanged; {@link text} reads it for people. What can't be read is a
 * {@link Malformed}, never a throw.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The longest start line or header line, in bytes. Digest answers with long URLs stay below 2 KiB. */
export const maxLineBytes = 8_192

/** The most header lines in one message. */
export const maxHeaders = 128

/** The longest head: start line and headers together, in bytes. */
export const maxHeadBytes = 32_768

/** The longest body that a `Content-Length` may announce, in bytes. Descriptions stay below 16 KiB. */
export const maxBodyBytes = 262_144

/** Bytes that are no RTSP message. */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", {
  /** For people; it never repeats what was received. */
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Header lines in the order of the wire; a name may stand there more than once. */
export type Headers = ReadonlyArray<readonly [name: string, value: string]>

/** The head of a request: all but its body. */
export interface RequestHead {
  readonly _tag: "Request"
  readonly method: string
  readonly uri: string
  readonly headers: Headers
}

/** The head of a response: all but its body. */
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

/** The body of a message that has none. */
export const noBody: Uint8Array = new Uint8Array(0)

const isNamed = (key: string, lowerCase: string): boolean =>
  key.length === lowerCase.length && key.toLowerCase() === lowerCase

/** The first value of a header, its name in any case. */
export const header = (message: Head, name: string): string | undefined => {
  const wanted = name.toLowerCase()
  return message.headers.find((entry) => isNamed(entry[0], wanted))?.[1]
}

/** All values of a header in their order, its name in any case. */
export const headerValues = (message: Head, name: string): ReadonlyArray<string> => {
  const wanted = name.toLowerCase()
  return message.headers.filter((entry) => isNamed(entry[0], wanted)).map((entry) => entry[1])
}

/** The number of the exchange, from `CSeq` in any case; cameras leave it out of answers. */
export const cseq = (message: Head): number | undefined => {
  const number = Number.parseInt(header(message, "cseq") ?? "", 10)
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

const malformed = (detail: string) => Result.fail(new Malformed({ detail }))

const noLength = Result.succeed(0)

/**
 * The length of the body that a head announces, 0 where it announces none.
 *
 * Several different lengths, a length that is no number, and one above {@link maxBodyBytes} are faults.
 */
export const contentLength = (head: Head): Result.Result<number, Malformed> => {
  const [first, ...others] = headerValues(head, "content-length")
  if (first === undefined) return noLength
  if (!/^\d{1,9}$/.test(first)) return malformed("the Content-Length is no number")
  const length = Number(first)
  if (others.some((other) => other !== first)) {
    return malformed("two headers give different lengths of the body")
  }
  if (length > maxBodyBytes) return malformed(`the body is longer than ${maxBodyBytes} bytes`)
  return Result.succeed(length)
}

const statusLine = /^RTSP\/\d{1,2}\.\d{1,2} +(\d{3})(?: +(.*)|)$/i
/** What a request ends with. It begins with one blank, so that a line of blanks costs no time. */
const requestVersion = /\sRTSP\/\d{1,2}\.\d{1,2}$/i
const methodName = /^[A-Za-z][A-Za-z_]{1,31}$/

/** @param headers those of the head, which need not be known yet. */
const parseStartLine = (line: string, headers: Headers): Result.Result<Head, Malformed> => {
  const response = statusLine.exec(line)
  if (response !== null) {
    const status = Number(response[1])
    if (status < 100) return malformed("the status is below 100")
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
  return malformed(
    /^HTTP\//i.test(line)
      ? "it speaks HTTP, not RTSP"
      : "the first line is neither a request nor a response"
  )
}

/**
 * Reads a head: the start line and the headers, with or without the empty line after them.
 *
 * Lines end with CR LF or LF. A line that begins with white space continues the one before it
 * (RFC 2616 §4.2, which RFC 2326 refers to).
 */
export const parseHead = (head: string): Result.Result<Head, Malformed> => {
  if (head.length > maxHeadBytes) {
    return malformed(`the head is longer than ${maxHeadBytes} bytes`)
  }
  // the CR before a LF goes with the white space around what stands in the line
  const lines = head.split("\n")
  const startLine = lines[0] ?? ""
  if (startLine.length > maxLineBytes) return malformed("the first line is too long")
  const headers: Array<readonly [string, string]> = []
  const start = parseStartLine(startLine.trimEnd(), headers)
  if (Result.isFailure(start)) return start
  for (const line of lines.slice(1)) {
    if (line === "" || line === "\r") break
    if (line.length > maxLineBytes) return malformed("a header is too long")
    const last = headers.at(-1)
    if ((line.startsWith(" ") || line.startsWith("\t")) && last !== undefined) {
      headers[headers.length - 1] = [last[0], `${last[1]} ${line.trim()}`]
      continue
    }
    const colon = line.indexOf(":")
    const name = line.slice(0, Math.max(0, colon)).trimEnd()
    // what can't be read is not needed: a line of a proxy's, or a name with a blank in it
    if (name === "" || name.includes(" ")) continue
    if (headers.length === maxHeaders) {
      return malformed(`there are more than ${maxHeaders} headers`)
    }
    headers.push([name, line.slice(colon + 1).trim()])
  }
  return start
}

/** A line of a head: without line breaks in it, which would begin another header. */
const oneLine = (line: string): string => (/^[\t -~]*$/.test(line) ? line : escaped(line))

const escaped = (line: string): string =>
  // beyond Latin-1 there is no byte to a character: such text goes as UTF-8
  (/[^\0-\xff]/.test(line) ? Buffer.from(line, "utf8").toString("latin1") : line).replaceAll(
    /[\r\n\0]+/g,
    " "
  )

/** Text of the wire for people: as UTF-8 where it is, else letter by letter. */
export const text = (value: string): string => {
  const decoded = Buffer.from(value, "latin1").toString("utf8")
  return decoded.includes("\ufffd") ? value : decoded
}

const startLine = (head: Head): string =>
  head._tag === "Request"
    ? `${head.method} ${head.uri} RTSP/1.0`
    : `RTSP/1.0 ${head.status} ${head.reason}`

/** The message as bytes. `Content-Length` is added for a body, unless a header gives it. */
export const render = (message: Message): Buffer => {
  const lines = [oneLine(startLine(message))]
  for (const [name, value] of message.headers) lines.push(oneLine(`${name}: ${value}`))
  if (message.body.length > 0 && header(message, "content-length") === undefined) {
    lines.push(`Content-Length: ${message.body.length}`)
  }
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1")
  return message.body.length === 0 ? head : Buffer.concat([head, message.body])
}

/** The usual phrases to a status (RFC 2326 §7.1.1). */
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

/** The usual phrase to a status, empty for one without. */
export const phrase = (status: number): string => phrases[status] ?? ""
