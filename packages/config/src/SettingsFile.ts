/**
 * Reads the settings file, which is YAML.
 *
 * The parser is Effect's. It throws errors whose text may repeat a piece of the file, such as an alias
 * that was meant for a password beginning with `*`; so its words are replaced by ours, and only the
 * line is kept. It tells no lines for keys; {@link keyLines} finds them by indentation.
 */
import * as Yaml from "effect/encoding/Yaml"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type { SettingsFault } from "./SettingsError.ts"

/** The file that holds the settings, read by whoever may read files. */
export interface SettingsFile {
  /** For messages: `restream.yaml`. */
  readonly name: string
  readonly text: string
}

/** What a file says, before anything is decoded. */
export interface FileContent {
  readonly root: Readonly<Record<string, unknown>>
  /** Where a key stands: `restream.yaml:12`. */
  readonly placeOf: (path: ReadonlyArray<string>) => string
  /** Whether the key's value begins with `&`, which makes it the name of an anchor and no value. */
  readonly isAnchor: (path: ReadonlyArray<string>) => boolean
}

/** More is no settings file, and would only keep the parser busy. In characters. */
const longest = 1_000_000

/** Reads a file; an empty one sets nothing. */
export const readFile = (file: SettingsFile): Result.Result<FileContent, SettingsFault> => {
  const fail = (expectation: string, place = file.name) =>
    Result.fail({ key: undefined, origin: place, expectation })
  if (file.text.length > longest) return fail("is larger than 1 MB; no settings file is")

  const parsed = parse(file.text)
  if (Result.isFailure(parsed)) {
    const { line, words } = parsed.failure
    if (line === undefined) return fail(words)
    const column = (/^ */.exec(file.text.split(lineBreak)[line - 1] ?? "")?.[0].length ?? 0) + 1
    return fail(words, `${file.name}:${line}:${column}`)
  }
  const root = parsed.success ?? {}
  if (!Predicate.isObject(root)) {
    return fail('expected groups such as "database:", with their settings indented below')
  }

  const lines = keyLines(file.text)
  return Result.succeed({
    root,
    placeOf: (path) => {
      // a mapping in braces has its keys on the line of its own key
      for (let depth = path.length; depth > 0; depth--) {
        const line = lines.get(path.slice(0, depth).join("."))
        if (line !== undefined) return `${file.name}:${line.number}`
      }
      return file.name
    },
    isAnchor: (path) => lines.get(path.join("."))?.isAnchor === true
  })
}

const lineBreak = /\r\n?|\n/

interface SyntaxFault {
  readonly words: string
  readonly line: number | undefined
}

const parse = (text: string): Result.Result<unknown, SyntaxFault> => {
  const whole = attempt(text)
  if (Result.isSuccess(whole)) return Result.succeed(whole.success)
  const { message } = whole.failure
  const words = inOurWords(message)
  const stated = / at line (\d+)$/.exec(message)
  // a quote that stays open is noticed at some later line
  const isPlaced = stated !== null && words !== openQuote
  return Result.fail({ words, line: isPlaced ? Number(stated[1]) : brokenEntry(text) })
}

const attempt = (text: string): Result.Result<unknown, Error> => {
  try {
    return Result.succeed(Yaml.parse(text))
  } catch (error) {
    return Result.fail(error instanceof Error ? error : new Error())
  }
}

const openQuote = "begins a text in quotes that does not end"

/** What the parser says, by how it begins, and what that means for the one who wrote the file. */
const sayings: ReadonlyArray<readonly [begin: string, words: string]> = [
  ["Duplicate key", "a key stands twice"],
  ["Tabs cannot", "is indented by a tab; YAML takes spaces only"],
  ["Unexpected indentation", "is indented deeper than the lines around it, or lacks its colon"],
  ["Expected indentation", "is indented otherwise than the lines around it"],
  ["Expected block scalar", "is indented otherwise than the text that it belongs to"],
  ["Leading empty lines", "is indented deeper than the text that it belongs to"],
  ["Invalid quoted", openQuote],
  ["Invalid colon", 'a text that holds ": " needs quotes, or this key is indented too deep'],
  ["Unterminated", openQuote],
  ["Unexpected content after", "something stands after the closing quote"],
  ["Unexpected content", "expected a key, a colon and a space"],
  ["Unexpected flow", "something stands after the closing bracket or brace"],
  [
    "Expected '",
    "a list in brackets or a mapping in braces is not whole; a text that begins with [ or { needs quotes"
  ],
  ["Unknown", "a text that begins with * needs quotes"],
  ["Invalid anchor", "a text that begins with & needs quotes"],
  ["Multiple anchors", "a text that begins with & needs quotes"],
  ["Invalid YAML escape", "in double quotes \\ begins an escape; single quotes take it as it is"],
  ["Invalid unicode", "in double quotes \\ begins an escape; single quotes take it as it is"],
  ["Multiple YAML documents", "a second document begins; only one is read"],
  ["Maximum call stack", "is nested too deep"]
]

const inOurWords = (message: string): string =>
  sayings.find(([begin]) => message.startsWith(begin))?.[1] ?? "is not valid YAML"

/** Longer files are not searched for the line of a fault that the parser does not place. */
const mostLines = 2000

/**
 * The line on which the entry begins that the parser can't read: all before it can be read. For faults
 * without a line of their own.
 */
const brokenEntry = (text: string): number | undefined => {
  const lines = text.split(lineBreak)
  if (lines.length > mostLines) return undefined
  for (let good = lines.length - 1; good >= 0; good--) {
    if (Result.isSuccess(attempt(lines.slice(0, good).join("\n")))) {
      const rest = lines.slice(good).findIndex((line) => !/^\s*(?:#|$)/.test(line))
      return good + 1 + Math.max(0, rest)
    }
  }
  return undefined
}

const keyLine = /^( *)(["']?)([A-Za-z_][\w.-]*)\2\s*:(?:\s+(.*))?$/
const bareAnchor = /^&\S+$/

interface KeyLine {
  readonly number: number
  readonly isAnchor: boolean
}

/**
 * The first line of each key, by its path: `database.pollInterval`. Reads indentation alone; a line of a
 * longer text that looks like a key is deeper than that text's own key, so it takes no other's place.
 */
const keyLines = (text: string): ReadonlyMap<string, KeyLine> => {
  const found = new Map<string, KeyLine>()
  const open: Array<{ readonly indent: number; readonly path: string }> = []
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(lineBreak)
    .entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const indent = line.search(/[^ ]/)
    const match = keyLine.exec(line)
    if (match === null) continue
    while ((open.at(-1)?.indent ?? -1) >= indent) open.pop()
    const parent = open.at(-1)
    const path = parent === undefined ? (match[3] ?? "") : `${parent.path}.${match[3]}`
    const value = match[4] ?? ""
    if (!found.has(path)) found.set(path, { number: index + 1, isAnchor: bareAnchor.test(value) })
    open.push({ indent, path })
  }
  return found
}
