/** Tables of text, aligned by the display width of the cells. */
import { displayWidth } from "effect/cli/CliOutput"

export interface TableOptions {
  /** The maximum width of a cell, except in the last column. Default: no limit. */
  readonly maxCellWidth?: number
  /** The width of the terminal; the last column wraps within it. Default: no limit. */
  readonly width?: number
}

const gap = "  "

/** The minimum width of the wrapped last column. */
const minWrapWidth = 20

/** The rows with aligned columns; the first row is the heading. */
export const table = (
  rows: ReadonlyArray<ReadonlyArray<string>>,
  { maxCellWidth = Number.POSITIVE_INFINITY, width = Number.POSITIVE_INFINITY }: TableOptions = {}
): string => {
  const cells = rows.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : fitted(cell, maxCellWidth)))
  )
  const widths = widthsOf(cells)
  const lead = widths.slice(0, -1).reduce((sum, one) => sum + one + gap.length, 0)
  const room = Math.max(minWrapWidth, width - lead)
  return cells
    .flatMap((row) => {
      const aligned = row
        .slice(0, -1)
        .map((cell, column) => padded(cell, widths[column] ?? 0) + gap)
        .join("")
      const [first = "", ...rest] = wrapped(row.at(-1) ?? "", room)
      return [`${aligned}${first}`.trimEnd(), ...rest.map((line) => " ".repeat(lead) + line)]
    })
    .join("\n")
}

/** The width of each column: that of its widest cell. */
export const widthsOf = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<number> => {
  const widths: Array<number> = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell))
    }
  }
  return widths
}

const padded = (cell: string, width: number): string =>
  cell + " ".repeat(Math.max(0, width - displayWidth(cell)))

/** The text in lines of at most `room` columns, broken between words; a longer word is not broken. */
export const wrapped = (text: string, room: number): ReadonlyArray<string> => {
  if (displayWidth(text) <= room) return [text]
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && displayWidth(`${line} ${word}`) > room) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** The text cut to a display width, with an ellipsis where it is cut. */
export const fitted = (text: string, maxWidth: number): string => {
  if (displayWidth(text) <= maxWidth) return text
  let shown = ""
  for (const character of text) {
    if (displayWidth(shown + character) > maxWidth - 1) break
    shown += character
  }
  return `${shown}…`
}
