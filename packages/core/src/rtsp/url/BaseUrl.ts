/**
 * The URLs of a session and of its tracks, made from what a camera says about them (RFC 2326 §C.1.1).
 *
 * Whatever a camera writes, host and port stay those that were dialled: cameras behind a translation of
 * addresses name themselves by one that nobody can reach. URLs here carry no user-info.
 */
import { unquoted } from "../sdp/Sdp.ts"

interface Parts {
  /** `rtsp://host:port` as it was dialled. */
  readonly origin: string
  /** The path with its query, from the slash on; may be empty. */
  readonly target: string
}

const split = (url: string): Parts => {
  const match = /^([a-z]+:\/\/[^/?]*)(.*)$/is.exec(url)
  return { origin: match?.[1] ?? "", target: match?.[2] ?? url }
}

/** `rtsp://`, once or more often: some cameras write it twice (go2rtc#830). */
const schemes = /^(?:rtsps?u?:\/\/)+/i

const looksLikeHost = (segment: string): boolean =>
  /^\[[0-9a-f:.%]+\](?::\d*)?$/i.test(segment) ||
  /^[^/?]*:\d{1,5}$/.test(segment) ||
  /^\d{1,3}(?:\.\d{1,3}){3}$/.test(segment) ||
  // an IPv6 address without brackets (`rtsp://::ffff:192.168.1.123/…`)
  /^[0-9a-f]*:[0-9a-f:.]*$/i.test(segment)

/**
 * What stands behind the host in a URL as cameras write them: whole, doubled, without its scheme, without
 * its host. `undefined` where nothing is left.
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

/** The text without the slashes at its end. */
export const withoutSlashes = (text: string): string => {
  let end = text.length
  while (text[end - 1] === "/") end--
  return text.slice(0, end)
}

const isAbsolute = (control: string): boolean => /^rtsps?u?:\/\//i.test(control)

export interface BaseUrlInput {
  /** The URL that was asked for, without user-info; its host and port are the dialled ones. */
  readonly requestUrl: string
  /** The `Content-Base` of the answer. */
  readonly contentBase?: string | undefined
  /** The `Content-Location`, which some cameras send in its place. */
  readonly contentLocation?: string | undefined
  /** The `control` of the whole session in the description. */
  readonly sessionControl?: string | undefined
}

/**
 * The URL of the session, which `PLAY`, `TEARDOWN` and keep-alives name: the session's `control` before
 * `Content-Base` before `Content-Location` before the URL that was asked for.
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
 * The URL of a track, which its `SETUP` names.
 *
 * A relative control is appended, with a slash between, even behind a query string: that is how cameras
 * have it (gortsplib, `pkg/description/media.go`). One that repeats the whole path stands for itself.
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
