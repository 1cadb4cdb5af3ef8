/**
 * The URLs of a session and of its tracks, from the headers and attributes of a camera (RFC 2326 §C.1.1).
 *
 * Host and port always stay those of the connection: cameras behind NAT announce addresses that are not
 * reachable. These URLs contain no user-info.
 */
import { unquoted } from "../sdp/Sdp.ts"

interface Parts {
  /** `rtsp://host:port` of the connection. */
  readonly origin: string
  /** The path and the query, from the slash; may be empty. */
  readonly target: string
}

const split = (url: string): Parts => {
  const match = /^([a-z]+:\/\/[^/?]*)(.*)$/is.exec(url)
  return { origin: match?.[1] ?? "", target: match?.[2] ?? url }
}

/** `rtsp://`, possibly repeated: some cameras write it twice (go2rtc#830). */
const schemes = /^(?:rtsps?u?:\/\/)+/i

const looksLikeHost = (segment: string): boolean =>
  /^\[[0-9a-f:.%]+\](?::\d*)?$/i.test(segment) ||
  /^[^/?]*:\d{1,5}$/.test(segment) ||
  /^\d{1,3}(?:\.\d{1,3}){3}$/.test(segment) ||
  // an IPv6 address without brackets (`rtsp://::ffff:192.168.1.123/…`)
  /^[0-9a-f]*:[0-9a-f:.]*$/i.test(segment)

/**
 * The part after the host of a URL in the forms that cameras send: complete, doubled, without scheme, or without
 * host. `undefined` if nothing remains.
 */
const targetOf = (written: string): string | undefined => {
  const trimmed = unquoted(written)
  const scheme = schemes.exec(trimmed)
  const rest = scheme === null ? trimmed : trimmed.slice(scheme[0].length)
  const end = rest.search(/[/?]/)
  const authority = end === -1 ? rest : rest.slice(0, end)
  const target = end === -1 ? "" : rest.slice(end)
  if (scheme !== null || looksLikeHost(authority.slice(authority.lastIndexOf("@") + 1))) {
    return target
  }
  if (trimmed === "" || trimmed === "*") return undefined
  return trimmed.startsWith("/") || trimmed.startsWith("?") ? trimmed : `/${trimmed}`
}

/** The text without trailing slashes. */
export const withoutSlashes = (text: string): string => {
  let end = text.length
  while (text[end - 1] === "/") end--
  return text.slice(0, end)
}

const isAbsolute = (control: string): boolean => /^rtsps?u?:\/\//i.test(control)

export interface BaseUrlInput {
  /** The requested URL, without user-info; its host and port are those of the connection. */
  readonly requestUrl: string
  /** The `Content-Base` of the response. */
  readonly contentBase?: string | undefined
  /** The `Content-Location`, which some cameras send instead. */
  readonly contentLocation?: string | undefined
  /** The session-level `control` of the description. */
  readonly sessionControl?: string | undefined
}

/**
 * The URL of the session for `PLAY`, `TEARDOWN` and keep-alives: the session's `control`, else
 * `Content-Base`, else `Content-Location`, else the requested URL.
 */
export const baseUrl = (input: BaseUrlInput): string => {
  const { origin } = split(input.requestUrl)
  const control = input.sessionControl?.trim()
  if (control !== undefined && isAbsolute(control)) {
    return `${origin}${targetOf(control) ?? ""}`
  }
  const stated = [input.contentBase, input.contentLocation]
    .map((written) => (written === undefined ? undefined : targetOf(written)))
    .find((target) => target !== undefined)
  const base = stated === undefined ? input.requestUrl : `${origin}${stated}`
  return control === undefined || control === "" || control === "*"
    ? base
    : controlUrl(base, control)
}

/**
 * The URL of a track for `SETUP`.
 *
 * A relative control is appended after a slash, even after a query string, as cameras expect (gortsplib,
 * `pkg/description/media.go`). A control that repeats the whole path is absolute.
 */
export const controlUrl = (base: string, control: string | undefined): string => {
  const trimmed = control?.trim() ?? ""
  if (trimmed === "" || trimmed === "*") return base
  const { origin, target } = split(base)
  if (isAbsolute(trimmed)) return `${origin}${targetOf(trimmed) ?? ""}`
  const path = withoutSlashes(target.replace(/\?.*$/s, ""))
  if (path !== "" && (trimmed === path || trimmed.startsWith(`${path}/`))) {
    return `${origin}${trimmed}`
  }
  if (trimmed.startsWith("?")) return `${base}${trimmed}`
  if (base.endsWith("/")) return `${base}${trimmed.replace(/^\/+/, "")}`
  return trimmed.startsWith("/") ? `${base}${trimmed}` : `${base}/${trimmed}`
}
