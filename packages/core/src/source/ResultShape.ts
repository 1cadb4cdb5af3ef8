/**
 * Protection from mass mistakes: checks that the result of a read has the shape of the last good result. Pure.
 *
 * A view that lost a column, or a joined table that was emptied, would break every camera at once. Such a read
 * counts as failed, so the relays are unaffected.
 */
import type { CameraRow } from "./CameraSource.ts"

/** The result of one read. */
export interface ReadResult {
  /** The names of all columns of the query, including columns that are not read. */
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<CameraRow>
}

/** A column with values in this many rows is not emptied row by row. */
const fewestRows = 10

/** The problem of a result without a column `id`, or `undefined`. */
export const missingId = ({ columns }: Pick<ReadResult, "columns">): string | undefined =>
  columns.includes("id")
    ? undefined
    : "the result has no column id; name the column that identifies a camera by an alias, such as SELECT number AS id"

export interface ShapeOptions {
  /** The columns that matter; `undefined`: all. */
  readonly known: ReadonlySet<string> | undefined
  /** How long a column may be empty in every row before that is accepted. */
  readonly delayMs: number
  /** By a monotonic clock. */
  readonly nowMs: number
}

export class ResultShape {
  #columns: ReadonlyArray<string> = []
  /** The columns with values in at least {@link fewestRows} rows. */
  #filled: ReadonlyArray<string> = []
  #emptySinceMs: number | undefined

  /** Accepts a result as the last good result, or returns how its shape differs. */
  accept(result: ReadResult, { delayMs, known, nowMs }: ShapeOptions): string | undefined {
    const isUsed = (name: string) => known === undefined || known.has(name)
    const lost = this.#columns.filter((name) => isUsed(name) && !result.columns.includes(name))
    if (lost.length > 0) {
      return `the result no longer has ${list(lost)}; if that is intended, restart restream`
    }
    const { rows } = result
    const isEmptied = isEmptyIn(rows)
    const emptied =
      rows.length < fewestRows
        ? []
        : // a column that is no longer used is not fetched
          this.#filled.filter((name) => isUsed(name) && isEmptied(name))
    this.#emptySinceMs = emptied.length === 0 ? undefined : (this.#emptySinceMs ?? nowMs)
    if (this.#emptySinceMs !== undefined && nowMs - this.#emptySinceMs < delayMs) {
      return `${list(emptied)} ${emptied.length === 1 ? "is" : "are"} empty in every row, which is accepted if it lasts (supervisor.massStopDelay)`
    }
    this.#emptySinceMs = undefined
    this.#columns = result.columns
    // an empty table has no shape to compare with
    if (rows.length > 0) {
      this.#filled = result.columns.filter((name) => isUsed(name) && isFilledIn(rows)(name))
    }
    return undefined
  }
}

const hasValue = (value: unknown): boolean => value !== null && value !== undefined && value !== ""

const isEmptyIn = (rows: ReadonlyArray<CameraRow>) => (name: string) =>
  rows.every((row) => !hasValue(row[name]))

const isFilledIn = (rows: ReadonlyArray<CameraRow>) => (name: string) => {
  let filled = 0
  return rows.some((row) => hasValue(row[name]) && ++filled === fewestRows)
}

const list = (names: ReadonlyArray<string>): string =>
  `column${names.length === 1 ? "" : "s"} ${names.join(", ")}`
