/**
 * Camera types from the settings: `acme: "rtsp://{username}:{password}@{host}:{port|554}/live/{channel}"`.
 *
 * `{column}` requires a value; `{column|text}` falls back to the text, which may be empty. A value is plain text
 * and is percent-encoded, so it cannot change the structure of the URL. A host is inserted unchanged, an IPv6
 * address with or without brackets.
 */
import { encode } from "../camera/PercentEncoding.ts"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { InvalidUrl } from "../camera/Reason.ts"
import { bracketed, isHost, withoutBrackets } from "@restream/config"
import { StreamUrl } from "../camera/StreamUrl.ts"
import type { CameraType, Columns } from "./CameraType.ts"
import { parsePort, withoutMask } from "./Column.ts"

type Piece =
  | { readonly _tag: "Text"; readonly text: string }
  | {
      readonly _tag: "Column"
      readonly name: string
      readonly fallback: string | undefined
      readonly place: "host" | "port" | "elsewhere"
    }

const placeholder = /\{([A-Za-z_][A-Za-z0-9_]*)(?:\|([^{}]*))?\}/g

/** The columns that a template names. */
export const columnsOf = (template: string): ReadonlyArray<string> =>
  [...template.matchAll(/\{([^{}|]+)(?:\|[^{}]*)?\}/g)].map(([, name]) => name ?? "")

/** A valid value for a port in a sample. */
const samplePort = "1"

/** Whether a placeholder is the port, by the text on both sides; the column may have any name. */
const isPort = (template: string, start: number, end: number): boolean =>
  template[start - 1] === ":" && /^(?:[/?#]|$)/.test(template.slice(end))

/** The template with a value for each placeholder. */
const sampleOf = (template: string, valueOf: (fallback: string | undefined) => string): string =>
  template.replaceAll(
    placeholder,
    (match: string, name: string, fallback: string | undefined, start: number) => {
      const value = valueOf(fallback)
      const isNumber = name === "port" || isPort(template, start, start + match.length)
      return isNumber && value !== fallback ? samplePort : value
    }
  )

/** The placeholders in the host, by parsing a sample address. */
const inHost = (template: string): ReadonlySet<number> => {
  let count = 0
  const sample = sampleOf(template, (fallback) => {
    const mark = `placeholder-${count++}-`
    return fallback !== undefined && /^\d+$/.test(fallback) ? fallback : `${mark}x`
  })
  const url = StreamUrl.parse(sample)
  // an invalid template is an error that was reported at the start
  const host = Result.isSuccess(url) ? url.success.host : ""
  return new Set(
    Array.from({ length: count }, (_, index) => index).filter((index) =>
      host.includes(`placeholder-${index}-`)
    )
  )
}

const pieces = (template: string): ReadonlyArray<Piece> => {
  const hosts = inHost(template)
  const found: Array<Piece> = []
  let end = 0
  for (const [index, match] of [...template.matchAll(placeholder)].entries()) {
    if (match.index > end) found.push({ _tag: "Text", text: template.slice(end, match.index) })
    found.push({
      _tag: "Column",
      name: match[1] ?? "",
      fallback: match[2],
      place: hosts.has(index)
        ? "host"
        : isPort(template, match.index, match.index + match[0].length)
          ? "port"
          : "elsewhere"
    })
    end = match.index + match[0].length
  }
  if (end < template.length) found.push({ _tag: "Text", text: template.slice(end) })
  return found
}

const shown = (value: unknown): string =>
  String(Redacted.isRedacted(value) ? Redacted.value(value) : value)

/** A host in the form of an address; `undefined` if the value is not a host. A part of a host name is valid, too. */
const asHost = (value: string): string | undefined => {
  const bare = withoutMask(withoutBrackets(value))
  if (!isHost(bare)) return undefined
  return bracketed(bare)
}

/** Fills a template with the columns of a row. */
const fill = (
  template: ReadonlyArray<Piece>,
  columns: Columns
): Result.Result<string, InvalidUrl> => {
  const wrong: Array<string> = []
  const text = template
    .map((piece) => {
      if (piece._tag === "Text") return piece.text
      const value = columns[piece.name]
      if (value === undefined) {
        if (piece.fallback === undefined) wrong.push(`column ${piece.name} is missing`)
        return piece.fallback ?? ""
      }
      if (piece.place === "elsewhere") return encode(shown(value))
      if (piece.place === "port") {
        const port = parsePort(shown(value))
        if (Result.isFailure(port)) wrong.push(`column ${piece.name}: ${port.failure}`)
        return Result.isSuccess(port) ? String(port.success) : ""
      }
      const host = asHost(shown(value))
      if (host === undefined)
        wrong.push(`column ${piece.name}: the value is not a host name or an IP address`)
      return host ?? ""
    })
    .join("")
  return wrong.length === 0
    ? Result.succeed(text)
    : Result.fail(new InvalidUrl({ detail: wrong.join("; ") }))
}

/** The problem of a template, or `undefined`. Checked at the start, before any row is read. */
export const fault = (template: string): string | undefined => {
  const rest = template.replaceAll(placeholder, "x")
  if (/[{}]/.test(rest)) return "a brace that belongs to no {column} or {column|default}"
  const sample = sampleOf(template, (fallback) => fallback ?? "x")
  const url = StreamUrl.parse(sample)
  return Result.isFailure(url) ? url.failure.message : undefined
}

/** Makes the camera type of a template. */
export const cameraType = (name: string, template: string): CameraType => {
  const parts = pieces(template)
  return {
    name,
    // without the template itself, which may contain a password that all cameras share
    description: "a template from the settings",
    columns: [
      ...new Map(
        parts.flatMap((part) =>
          part._tag === "Column"
            ? [[part.name, { name: part.name, isRequired: part.fallback === undefined }] as const]
            : []
        )
      ).values()
    ],
    toUrl: (columns) => Result.flatMap(fill(parts, columns), StreamUrl.parse)
  }
}
