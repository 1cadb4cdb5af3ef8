/**
 * Camera types from the settings: `acme: "rtsp://{username}:{password}@{host}:{port|554}/live/{channel}"`.
 *
 * `{column}` must hold something; `{column|text}` falls back to the text, which may be empty. A value
 * is percent-encoded unless it already is, so it can't break out of its place.
 */
import { encodeOnce } from "../camera/PercentEncoding.ts"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { BadUrl } from "../camera/Reason.ts"
import { isHost, StreamUrl } from "../camera/StreamUrl.ts"
import type { CameraType, Columns } from "./CameraType.ts"

type Piece =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Column"; readonly name: string; readonly fallback: string | undefined }

const placeholder = /\{([A-Za-z_][A-Za-z0-9_]*)(?:\|([^{}]*))?\}/g

const pieces = (template: string): ReadonlyArray<Piece> => {
  const found: Array<Piece> = []
  let end = 0
  for (const match of template.matchAll(placeholder)) {
    if (match.index > end) found.push({ _tag: "Text", text: template.slice(end, match.index) })
    found.push({ _tag: "Column", name: match[1] ?? "", fallback: match[2] })
    end = match.index + match[0].length
  }
  if (end < template.length) found.push({ _tag: "Text", text: template.slice(end) })
  return found
}

const shown = (value: unknown): string =>
  String(Redacted.isRedacted(value) ? Redacted.value(value) : value)

/** An IPv6 address keeps its colons, in brackets; all else is encoded. */
const inPlace = (value: string): string =>
  value.includes(":") && isHost(value) ? `[${value}]` : encodeOnce(value)

/** Fills a template with the columns of a row. */
const fill = (template: ReadonlyArray<Piece>, columns: Columns): Result.Result<string, BadUrl> => {
  const missing: Array<string> = []
  const text = template
    .map((piece) => {
      if (piece._tag === "Text") return piece.text
      const value = columns[piece.name]
      if (value !== undefined) return inPlace(shown(value))
      if (piece.fallback === undefined) missing.push(piece.name)
      return piece.fallback ?? ""
    })
    .join("")
  return missing.length === 0
    ? Result.succeed(text)
    : Result.fail(
        new BadUrl({ detail: missing.map((name) => `column ${name} is missing`).join("; ") })
      )
}

/** What is wrong with a template, or `undefined`. Found at the start, before any row is read. */
export const fault = (template: string): string | undefined => {
  const rest = template.replaceAll(placeholder, "x")
  if (/[{}]/.test(rest)) return "a brace that belongs to no {column} or {column|default}"
  const sample = template.replaceAll(
    placeholder,
    (_, name: string, fallback?: string) => fallback ?? (name === "port" ? "1" : "x")
  )
  const url = StreamUrl.parse(sample)
  return Result.isFailure(url) ? url.failure.message : undefined
}

/** Makes the camera type of a template. */
export const cameraType = (name: string, template: string): CameraType => {
  const parts = pieces(template)
  return {
    name,
    // without the template itself, which may hold a password that all cameras share
    description: "a template from the settings",
    toUrl: (columns) => Result.flatMap(fill(parts, columns), StreamUrl.parse)
  }
}
