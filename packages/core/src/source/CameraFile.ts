/**
 * The content of a file of cameras: YAML or CSV, with the columns of the table. Pure.
 *
 * An error names the file, the line and what is expected. It quotes no values, because they may be passwords.
 */
import { oneLine, readYaml, redact } from "@restream/config"
import { type CsvError, parse as parseCsv } from "csv-parse/sync"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import type { CameraRow } from "./CameraSource.ts"
import type { ReadResult } from "./ResultShape.ts"

/** A file that the caller has read. */
export interface CameraFile {
  /** For messages; the extension determines the format: `.csv`, or YAML (which includes JSON). */
  readonly name: string
  readonly bytes: Uint8Array
}

/** In bytes. */
const maxSize = 20_000_000

/** All rows of the file, each with an id, or the first error of the file. */
export const parse = (file: CameraFile): Result.Result<ReadResult, string> => {
  const fail = (message: string) => Result.fail(`${file.name}: ${message}`)
  if (file.bytes.length > maxSize) return fail("the file is larger than 20 MB")
  const text = decode(file.bytes)
  if (text === undefined) return fail("the file is not text in UTF-8")
  // an editor that writes in place empties the file first
  if (text.trim() === "") return fail(`the file is empty; expected ${expectedContent(file.name)}`)
  const parsed = isCsv(file.name) ? fromCsv(file.name, text) : fromYaml(file.name, text)
  return Result.map(parsed, ({ columns, rows }) => ({
    columns: [...new Set(["id", ...columns])],
    rows: rows.map(withId)
  }))
}

const isCsv = (name: string): boolean => /\.csv$/i.test(name)

const expectedContent = (name: string): string =>
  isCsv(name) ? "a header line with the names of the columns" : emptyList

const emptyList = "cameras: with a list of cameras, or cameras: [] for none"

const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const fromYaml = (name: string, text: string): Result.Result<ReadResult, string> => {
  const content = readYaml({ name, text }, { keepsNumbersAsText: true, maxLength: maxSize })
  if (Result.isFailure(content)) {
    return Result.fail(`${content.failure.origin}: ${content.failure.message}`)
  }
  const { placeOf, root } = content.success
  const unknown = Predicate.isObject(root)
    ? Object.keys(root).find((key) => key !== "cameras")
    : undefined
  if (unknown !== undefined) {
    return Result.fail(`${placeOf([unknown])}: unknown key ${oneLine(unknown)}; expected cameras`)
  }
  const list = Predicate.isObject(root) ? root["cameras"] : root
  if (!Array.isArray(list)) {
    return Result.fail(`${placeOf(["cameras"])}: expected ${emptyList}`)
  }
  const path = list === root ? [] : ["cameras"]
  const wrong = list.findIndex((item) => !Predicate.isObject(item))
  return wrong === -1
    ? Result.succeed({ columns: list.flatMap((row: CameraRow) => Object.keys(row)), rows: list })
    : Result.fail(
        `${placeOf([...path, wrong])}: expected a camera as columns and values, such as url: rtsp://10.0.0.5/live`
      )
}

/** A spreadsheet writes semicolons where the comma is the decimal sign. */
const delimiters = [",", ";", "\t"]

const fromCsv = (name: string, text: string): Result.Result<ReadResult, string> => {
  const [header = ""] = text.trimStart().split(/[\r\n]/, 1)
  const [delimiter] = delimiters.toSorted((a, b) => header.split(b).length - header.split(a).length)
  let records: ReadonlyArray<CsvRecord>
  try {
    records = parseCsv(text, {
      delimiter: delimiter ?? ",",
      info: true,
      // the number of fields is checked below, for a clearer message
      relax_column_count: true,
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      trim: true
    }) as unknown as ReadonlyArray<CsvRecord>
  } catch (error) {
    return Result.fail(csvProblem(name, error as CsvError))
  }
  const [first, ...others] = records
  const columns = first?.record ?? []
  const place = ({ info }: CsvRecord) => `${name}:${info.lines}`
  if (first === undefined || columns.includes("")) {
    return Result.fail(`${name}:1: expected the names of the columns, and one is empty`)
  }
  const twice = columns.find((column, index) => columns.indexOf(column) !== index)
  if (twice !== undefined) {
    return Result.fail(`${place(first)}: the column ${oneLine(twice)} is named twice`)
  }
  const odd = others.find(({ record }) => record.length !== columns.length)
  return odd === undefined
    ? Result.succeed({
        columns,
        rows: others.map(({ record }) =>
          Object.fromEntries(columns.map((column, index) => [column, record[index]]))
        )
      })
    : Result.fail(
        `${place(odd)}: expected ${columns.length} fields, as in the header, got ${odd.record.length}; a field that contains the delimiter must be in double quotes`
      )
}

interface CsvRecord {
  readonly record: ReadonlyArray<string>
  readonly info: { readonly lines: number }
}

const csvProblem = (name: string, { code, lines }: CsvError): string => {
  const place = typeof lines === "number" ? `${name}:${lines}` : name
  return code === "CSV_QUOTE_NOT_CLOSED"
    ? `${place}: the double quote is not closed`
    : `${place}: unexpected double quote; put the whole field in double quotes, and double those within it`
}

/** Adds an id to a row without one. The id stays the same when other rows and other columns change. */
const withId = (row: CameraRow): CameraRow =>
  hasValue(row["id"]) ? row : { ...row, id: idOf(row) }

const hasValue = (value: unknown): boolean => value !== undefined && value !== null && value !== ""

/** From the path, else from the name, else from the address columns, which distinguish the cameras of one device. */
const idOf = (row: CameraRow): string => {
  const name = [row["path"], row["name"]].find(hasValue)
  if (name === undefined) {
    return digest(addressColumns.map((column) => row[column] ?? null))
  }
  const text = String(name)
  const id = text.replaceAll(/[^\p{L}\p{N}_.-]+/gu, "-").replaceAll(/^-+|-+$/g, "")
  // only such an id fits into the path on the media server
  return /^[\w.-]+$/.test(id) ? id : digest([text])
}

const addressColumns = ["type", "url", "urls", "host", "port", "channel", "stream"]

const digest = (values: ReadonlyArray<unknown>): string =>
  createHash("sha256").update(JSON.stringify(values)).digest("hex").slice(0, 8)

/** Whether a row holds a password. */
export const hasPassword = (row: CameraRow): boolean =>
  hasValue(row["password"]) || ["url", "urls"].some((column) => isSecret(row[column]))

const isSecret = (value: unknown): boolean => {
  const text = hasValue(value) ? String(value) : ""
  return redact(text) !== text
}
