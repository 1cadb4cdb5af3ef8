/** Tables of text, aligned by what a terminal shows of each cell. */
import { displayWidth } from "effect/cli/CliOutput"

export interface TableOptions {
  /** A cell is cut at so many columns, except in the last column. Default: never. */
  readonly widest?: number
  /** The terminal's columns: within them the last cell of a row goes on below itself. Default: no end. */
  readonly width?: number
}

const gap = "  "

/** The last column is never folded into less than this. */
const leastFolded = 20

/** Rows with their columns aligned; the first row is the heading. */
export const table = (
  rows: ReadonlyArray<ReadonlyArray<string>>,
  { widest = Number.POSITIVE_INFINITY, width = Number.POSITIVE_INFINITY }: TableOptions = {}
): string => {
  const cells = rows.map((row) =>
    // nothing stands behind the last one
    row.map((cell, column) => (column === row.length - 1 ? cell : fitted(cell, widest)))
  )
  const widths = widthsOf(cells)
  const lead = widths.slice(0, -1).reduce((sum, one) => sum + one + gap.length, 0)
  const room = Math.max(leastFolded, width - lead)
  return cells
    .flatMap((row) => {
      const aligned = row
        .slice(0, -1)
        .map((cell, column) => padded(cell, widths[column] ?? 0) + gap)
        .join("")
      const [first = "", ...rest] = folded(row.at(-1) ?? "", room)
      return [`${aligned}${first}`.trimEnd(), ...rest.map((line) => " ".repeat(lead) + line)]
    })
    .join("\n")
}

/** How wide each column is: as its widest cell. */
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

/** The text in lines no wider than so many columns, broken between words; a longer word keeps its length. */
const folded = (text: string, room: number): ReadonlyArray<string> => {
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

/** The text, no wider than so many columns of a terminal; what is cut off leaves an ellipsis. */
export const fitted = (text: string, widest: number): string => {
  if (displayWidth(text) <= widest) return text
  let shown = ""
  for (const character of text) {
    if (displayWidth(shown + character) > widest - 1) break
    shown += character
  }
  return `${shown}…`
}
