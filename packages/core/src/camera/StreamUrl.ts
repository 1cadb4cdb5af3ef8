/**
 * The address of a stream, whose credentials are never printed by accident.
 *
 * Every way of printing a `StreamUrl` omits the secrets; only {@link reveal} returns the whole text. User name and
 * password are stored as plain text and encoded by `reveal`, so that a password may contain any character.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import {
  bracketed,
  isHost,
  isPort,
  redact,
  secretsIn,
  withoutBrackets,
  withoutZone,
  withPlainZone
} from "@restream/config"
import * as ForeignAddress from "./ForeignAddress.ts"
import * as PercentEncoding from "./PercentEncoding.ts"
import { InvalidUrl } from "./Reason.ts"
import { readingOf } from "./UrlReading.ts"

/** The parts of a {@link StreamUrl}. */
export interface StreamUrlParts {
  /** `rtsp`, `rtsps`, `onvif`, `onvifs`, or any other that ffmpeg reads: `rtmp`, `http`, `https`, `srt`, … */
  readonly scheme: string
  /** A host name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string
  /** Default: the scheme's, 554 for `rtsp` and 322 for `rtsps`. */
  readonly port?: number | undefined
  /** As plain text or percent-encoded. */
  readonly username?: string | undefined
  /** As plain text or percent-encoded. */
  readonly password?: Redacted.Redacted | string | undefined
  /**
   * The path with its query, from the slash on. Default `/`. May contain secrets, too. A fragment is not sent by
   * clients (RFC 3986 §3.5), and is dropped.
   */
  readonly target?: string | undefined
}

const defaultPorts: Readonly<Record<string, number>> = {
  rtsp: 554,
  rtsps: 322,
  rtmp: 1935,
  rtmps: 443,
  http: 80,
  https: 443,
  onvif: 80,
  onvifs: 443
}

/** The maximum length of a revealed address, in characters; servers and programs have similar limits. */
export const longest = 4096

export class StreamUrl implements Equal.Equal {
  readonly scheme: string
  readonly host: string
  readonly port: number | undefined
  readonly #username: string | undefined
  readonly #password: string | undefined
  readonly #target: string
  /** The text without secrets, cached because it is used often. */
  #shown: string | undefined
  /** A notice about the address for the operator, in one line without secrets. */
  readonly notice: string | undefined

  constructor(parts: StreamUrlParts) {
    const password = Redacted.isRedacted(parts.password)
      ? Redacted.value(parts.password)
      : parts.password
    const [target = "/", ...fragment] = (parts.target ?? "/").split("#")
    this.scheme = parts.scheme.toLowerCase()
    this.host = withPlainZone(parts.host)
    this.port = parts.port
    this.#username = parts.username
    this.#password = password
    this.notice =
      fragment.length === 0 ? undefined : ForeignAddress.describeFragment(fragment.join("#"))
    this.#target = PercentEncoding.encodeTarget(
      target.startsWith("/") || target.startsWith("?") ? target : `/${target}`
    )
  }

  /** The port to connect to: the given port, or the default of the scheme. */
  get effectivePort(): number {
    return this.port ?? defaultPorts[this.scheme] ?? 554
  }

  /** `host:port`, an IPv6 host in brackets. For people and for limits by host; contains no secret. */
  get authority(): string {
    return `${bracketed(this.host)}:${this.effectivePort}`
  }

  get hasCredentials(): boolean {
    return this.#username !== undefined || this.#password !== undefined
  }

  /** Whether the credentials contain control characters, which could inject a line into a protocol. */
  get hasControlInCredentials(): boolean {
    // oxlint-disable-next-line no-control-regex
    return /[\u0000-\u001f\u007f]/.test(`${this.#username ?? ""}${this.#password ?? ""}`)
  }

  /** User name and password as plain text, for the response to a challenge. */
  get credentials():
    | { readonly username: string; readonly password: Redacted.Redacted }
    | undefined {
    return this.hasCredentials
      ? { username: this.#username ?? "", password: Redacted.make(this.#password ?? "") }
      : undefined
  }

  /**
   * Every text that must be masked: the password plain, percent-encoded and in `user:password` form, and each value
   * of the path or query that may be a secret.
   */
  get secrets(): ReadonlyArray<string> {
    const found: Array<string> = []
    const add = (secret: string) => {
      if (secret !== "")
        found.push(secret, PercentEncoding.encode(secret), encodeURI(secret.toWellFormed()))
    }
    if (this.#password !== undefined) {
      add(this.#password)
      found.push(Base64.encode(`${this.#username ?? ""}:${this.#password}`))
    } else if (this.#username !== undefined) {
      add(this.#username)
    }
    for (const secret of secretsIn(this.#target)) add(PercentEncoding.decodeOnce(secret))
    return [...new Set(found)]
  }

  /**
   * The URL without credentials and without the zone of an IPv6 address, as in a request line. Its path may contain
   * secrets.
   */
  get withoutUserInfo(): Redacted.Redacted {
    return Redacted.make(this.#render("", withoutZone(this.host)))
  }

  /** The path without the query and without the first slash. May contain secrets. */
  get path(): string {
    return this.#target.replace(/\?.*$/s, "").replace(/^\//, "")
  }

  /** The same address with another path. */
  withTarget(target: string): StreamUrl {
    return new StreamUrl({
      scheme: this.scheme,
      host: this.host,
      port: this.port,
      username: this.#username,
      password: this.#password,
      target
    })
  }

  /** The same address with another user name and password, as plain text. */
  withCredentials(
    username: StreamUrlParts["username"],
    password: StreamUrlParts["password"]
  ): StreamUrl {
    const { host, port, scheme } = this
    return new StreamUrl({ scheme, host, port, username, password, target: this.#target })
  }

  #render(userInfo: string, host = this.host, target = this.#target): string {
    const port = this.port === undefined ? "" : `:${this.port}`
    return `${this.scheme}://${userInfo}${bracketed(host)}${port}${target}`
  }

  /**
   * The whole URL, with percent-encoded credentials, as {@link parse} reads it. For the wire and for argv, never
   * for people.
   */
  static reveal(url: StreamUrl): string {
    // the colon precedes even an empty password: without it some clients send no credentials at all
    const username = PercentEncoding.encode(url.#username ?? "")
    const password = PercentEncoding.encode(url.#password ?? "")
    const userInfo = url.hasCredentials ? `${username}:${password}@` : ""
    const revealed = url.#render(userInfo)
    if (!url.#target.includes("@")) return revealed
    // an @ in the path may be mistaken for the @ before the host
    const reading = readingOf(revealed.slice(url.scheme.length + 3))
    return reading !== "ambiguous" && reading?.target === url.#target
      ? revealed
      : url.#render(userInfo, url.host, url.#target.replaceAll("@", "%40"))
  }

  /** The URL for people: `rtsp://***@10.0.0.5/Streaming/Channels/101`. */
  toString(): string {
    this.#shown ??= redact(this.#render(this.hasCredentials ? "***@" : ""), this.secrets)
    return this.#shown
  }

  toJSON(): string {
    return this.toString()
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `StreamUrl(${this.toString()})`
  }

  [Equal.symbol](that: unknown): boolean {
    return that instanceof StreamUrl && StreamUrl.reveal(this) === StreamUrl.reveal(that)
  }

  [Hash.symbol](): number {
    return Hash.string(StreamUrl.reveal(this))
  }

  /**
   * Parses an address as people write it.
   *
   * A raw `@`, `/`, `?`, `#` or `%` in the password is accepted if only one reading is possible:
   * `rtsp://admin:p/w@10.0.0.5/live` has the password `p/w`, because `p` is not a port. An ambiguous address is
   * rejected: `rtsp://admin:12/w@10.0.0.5/live` may be the path `/w@10.0.0.5/live` of a host `admin`.
   */
  static parse(text: string): Result.Result<StreamUrl, InvalidUrl> {
    const bad = (detail: string) => Result.fail(new InvalidUrl({ detail }))
    if (text.length > longest) return bad(`the address is longer than ${longest} characters`)
    const trimmed = text.trim()
    const advice = ForeignAddress.advice(trimmed)
    if (advice !== undefined) return bad(advice)
    const schemeEnd = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(trimmed)
    if (schemeEnd === null) {
      return bad("the address needs a scheme, such as rtsp://host/path")
    }
    const scheme = (schemeEnd[1] ?? "").toLowerCase()
    const rest = trimmed.slice(schemeEnd[0].length)
    const reading = readingOf(rest)
    if (reading === "ambiguous") {
      return bad(
        "the address can be read in two ways: in user name, password and path write @ as %40, and in user name and password / as %2F"
      )
    }
    if (reading?.hostAndPort === undefined) {
      return bad(
        rest === ""
          ? "the address has no host"
          : "the address has no valid host and port after the scheme"
      )
    }
    const { hostAndPort, target, userInfo } = reading
    const [username, password] = credentialsIn(userInfo)
    return Result.succeed(
      new StreamUrl({
        scheme,
        ...hostAndPort,
        username,
        password,
        target: target === "" ? "/" : target
      })
    )
  }

  /** Makes an address from its parts, or describes the problem. */
  static fromParts(parts: StreamUrlParts): Result.Result<StreamUrl, InvalidUrl> {
    const bad = (detail: string) => Result.fail(new InvalidUrl({ detail }))
    const host = withoutBrackets(parts.host)
    if (host === "") return bad("the address has no host")
    if (!isHost(host)) return bad("the host is not a valid name or address")
    if (parts.port !== undefined && !isPort(parts.port)) {
      return bad(`the port must be a whole number from 1 to 65535, not ${parts.port}`)
    }
    return Result.succeed(new StreamUrl({ ...parts, host }))
  }
}

/** The user name and the password of a user info, as plain text: raw characters are accepted, too. */
const credentialsIn = (
  userInfo: string | undefined
): readonly [username: string | undefined, password: string | undefined] => {
  if (userInfo === undefined) return [undefined, undefined]
  const colon = userInfo.indexOf(":")
  return colon === -1
    ? [PercentEncoding.decodeOnce(userInfo), undefined]
    : [
        PercentEncoding.decodeOnce(userInfo.slice(0, colon)),
        PercentEncoding.decodeOnce(userInfo.slice(colon + 1))
      ]
}
