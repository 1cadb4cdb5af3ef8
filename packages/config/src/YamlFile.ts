/**
 * Parses a YAML 1.2 file, with a position for every error and every value.
 *
 * The parser's messages may quote a part of the file, such as a password that begins with `*` and was read as an
 * alias. Only its error codes and positions are used.
 */
import * as Result from "effect/Result"
import {
  type Document,
  type ErrorCode,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit
} from "yaml"
import { printSize } from "./Quantity.ts"
import type { SettingsProblem } from "./SettingsError.ts"

/** A file as the caller read it. */
export interface YamlFile {
  /** For messages: `restream.yaml`. */
  readonly name: string
  readonly text: string
}

export interface YamlOptions {
  /** In characters. Default 1,000,000. */
  readonly maxLength?: number
  /**
   * Whether numbers stay the text that they are in the file: a password of `0123` keeps its zero. Default
   * false.
   */
  readonly keepsNumbersAsText?: boolean
}

export interface YamlContent {
  /** `null` or `undefined` for a file without a value. */
  readonly root: unknown
  /** The position of a key or a list item, or of the closest one above it: `restream.yaml:12`. */
  readonly placeOf: (path: ReadonlyArray<string | number>) => string
}

/** Parses the file, or reports its first error with its position. */
export const readYaml = (
  file: YamlFile,
  { keepsNumbersAsText = false, maxLength = 1_000_000 }: YamlOptions = {}
): Result.Result<YamlContent, SettingsProblem> => {
  const fail = (message: string, origin = file.name) =>
    Result.fail({ key: undefined, origin, message })
  if (file.text.length > maxLength) return fail(`the file is larger than ${printSize(maxLength)}`)

  const lines = new LineCounter()
  // the parser does not accept \r alone as a line break
  const document = parseDocument(file.text.replaceAll(/\r\n?/g, "\n"), {
    lineCounter: lines,
    logLevel: "error",
    prettyErrors: false,
    stringKeys: true
  })
  const problem = syntaxProblem(document)
  if (problem !== undefined) {
    const { col, line } = lines.linePos(problem.offset)
    return fail(problem.message, `${file.name}:${line}:${col}`)
  }
  if (keepsNumbersAsText) numbersToText(document)
  const root = toValue(document)
  if (Result.isFailure(root)) return fail(root.failure)
  return Result.succeed({
    root: root.success,
    placeOf: (path) => {
      const offset = offsetOf(document.contents, path)
      return offset === undefined ? file.name : `${file.name}:${lines.linePos(offset).line}`
    }
  })
}

const toValue = (document: Document): Result.Result<unknown, string> => {
  try {
    return Result.succeed(document.toJS())
  } catch {
    return Result.fail("the aliases of the file expand to too many values")
  }
}

const numbersToText = (document: Document): void =>
  visit(document, {
    Scalar: (_, node) => {
      if (/number|bigint/.test(typeof node.value)) node.value = node.source
    }
  })

/** The offset of the deepest key or list item of the path that the file contains. */
const offsetOf = (contents: unknown, path: ReadonlyArray<string | number>): number | undefined => {
  let node = contents
  let offset: number | undefined
  for (const name of path) {
    if (isSeq<Node>(node) && typeof name === "number") {
      const item: Node | undefined = node.items[name]
      if (item === undefined) break
      offset = item.range?.[0] ?? offset
      node = item
      continue
    }
    const pair = isMap<Node>(node)
      ? node.items.find(({ key }) => isScalar(key) && key.value === name)
      : undefined
    if (pair === undefined) break
    offset = pair.key.range?.[0] ?? offset
    node = pair.value
  }
  return offset
}

interface SyntaxProblem {
  readonly message: string
  readonly offset: number
}

const needsQuotes = "a value that begins with * & ! @ ` | > % or , must be quoted"
const extraColon = 'a value that contains ": " must be quoted, or the next line is indented too far'

/** The messages for the codes of the parser. Other codes mean that a value with special characters is not quoted. */
const messages: Readonly<Partial<Record<ErrorCode, string>>> = {
  BAD_DQ_ESCAPE: "invalid escape after \\ in double quotes; single quotes keep a \\ as it is",
  BAD_INDENT: "the indentation does not match the lines above",
  BLOCK_AS_IMPLICIT_KEY: extraColon,
  BLOCK_IN_FLOW: "expected a comma, or the closing bracket or brace",
  DUPLICATE_KEY: "duplicate key",
  KEY_OVER_1024_CHARS: "the key is too long",
  MISSING_CHAR: "expected a key, a colon and a value",
  MULTILINE_IMPLICIT_KEY: extraColon,
  MULTIPLE_DOCS: "the file holds a second YAML document; only one is allowed",
  NON_STRING_KEY: "a key must be a plain text",
  RESOURCE_EXHAUSTION: "the file is nested too deeply",
  TAB_AS_INDENT: "tabs are not allowed as indentation; use spaces",
  UNEXPECTED_TOKEN: "unexpected text; a value with special characters must be quoted"
}

const syntaxProblem = (document: Document.Parsed): SyntaxProblem | undefined => {
  const [error] = [...document.errors, ...document.warnings]
  if (error === undefined) return unquotedValue(document)
  const [offset] = error.pos
  if (error.code === "MISSING_CHAR" || error.code === "BAD_INDENT") {
    const open = openNode(document, offset)
    if (open !== undefined) return open
  }
  return { message: messages[error.code] ?? needsQuotes, offset }
}

/** The unclosed quote or bracket before an offset. The parser reports only where it stopped. */
const openNode = (document: Document, offset: number): SyntaxProblem | undefined => {
  let found: SyntaxProblem | undefined
  const check = (node: Node, message: string) => {
    const [start, , end] = node.range ?? [0, 0, -1]
    if (start < offset && offset <= end) found = { message, offset: start }
  }
  visit(document, {
    Collection: (_, node) => {
      if (node.flow === true) check(node, "the bracket or brace is not closed")
    },
    Scalar: (_, node) => {
      if (node.type?.startsWith("QUOTE") === true) check(node, "the quote is not closed")
    }
  })
  return found
}

/** A value that YAML reads as an empty anchor or as an unknown alias. */
const unquotedValue = (document: Document): SyntaxProblem | undefined => {
  let offset: number | undefined
  visit(document, {
    Alias: (_, node) => {
      if (node.resolve(document) !== undefined) return undefined
      offset = node.range?.[0] ?? 0
      return visit.BREAK
    },
    Scalar: (_, node) => {
      if (node.anchor === undefined || node.source !== "") return undefined
      offset = node.range?.[0] ?? 0
      return visit.BREAK
    }
  })
  return offset === undefined ? undefined : { message: needsQuotes, offset }
}
