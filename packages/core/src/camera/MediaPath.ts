/**
 * The path of a camera on the media server.
 *
 * The rule is MediaMTX's (internal/conf/path.go, `isValidPathName`): letters, digits and `_ . / -`, no
 * slash at either end, no `.` or `..` segment. Some versions also allow `~` and `:`; others reject the
 * publisher, see {@link versionDependent}.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { oneLine } from "@restream/config"

/** In characters. MediaMTX reads 2,048 bytes of a URL, with the host, the query and the track. */
export const maxLength = 1024

/** A character that only some versions of MediaMTX allow; `undefined` if the path has none. */
export const versionDependent = (path: string): string | undefined => /[~:]/.exec(path)?.[0]

const problemOf = (path: string): string | undefined => {
  if (path === "") return "the path is empty"
  if (path.length > maxLength) {
    return `the path has ${path.length} characters; ${maxLength} are allowed`
  }
  const illegal = /^~|[^0-9a-zA-Z_.~:/-]/u.exec(path)
  if (illegal !== null) {
    return `the path "${oneLine(path)}" holds "${oneLine(illegal[0])}"; letters, digits and _ . / - ~ : are allowed, and no ~ at the start`
  }
  if (path.startsWith("/") || path.endsWith("/")) {
    return `the path "${path}" begins or ends with a slash`
  }
  if (path.split("/").some((segment) => segment === "." || segment === "..")) {
    return `the path "${path}" has "." or ".." for a segment`
  }
  return undefined
}

/** A valid path on the media server. */
export const MediaPath = Schema.String.pipe(
  Schema.check(Schema.makeFilter((path: string) => problemOf(path) ?? true)),
  Schema.brand("MediaPath")
)
export type MediaPath = typeof MediaPath.Type

/** Parses a path, or describes the problem. */
export const parse = (text: string): Result.Result<MediaPath, string> => {
  const problem = problemOf(text)
  return problem === undefined ? Result.succeed(text as MediaPath) : Result.fail(problem)
}

/** Fills a template with values; a name without a value becomes empty. */
export const fill = (template: string, values: Readonly<Record<string, string>>): string =>
  template.replaceAll(placeholder, (_, name: string) => values[name] ?? "")

const placeholder = /\{([^{}]*)\}/g

/** Fills a template such as `cam{id}` or `site-4/{name}` with values; fails for an unknown name. */
export const fromTemplate = (
  template: string,
  values: Readonly<Record<string, string>>
): Result.Result<MediaPath, string> => {
  const names = Array.from(template.matchAll(placeholder), ([, name]) => name ?? "")
  const unknown = names.find((name) => values[name] === undefined)
  return unknown === undefined
    ? parse(fill(template, values))
    : Result.fail(
        `the path template ${template} names {${unknown}}, and the row has no such column`
      )
}
