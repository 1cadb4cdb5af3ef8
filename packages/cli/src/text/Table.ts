/** Tables of text, aligned by what a terminal shows of each cell. */
import { displayWidth } from "effect/cli/CliOutput"

/** Rows with their columns aligned; the first row is the heading. A cell is cut at `widest`. */
export const table = (
  rows: ReadonlyArray<ReadonlyArray<string>>,
  widest = Number.POSITIVE_INFINITY
): string => {
  const cells = rows.map((row) => row.map((cell, column) => cut(cell, column, row.length, widest)))
  const widths: Array<number> = []
  for (const row of cells) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell))
    }
  }
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - displayWidth(cell)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

/** The last column may be as long as it is: nothing stands behind it. */
const cut = (cell: string, column: number, columns: number, widest: number): string =>
  column === columns - 1 ? cell : fitted(cell, widest)

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
