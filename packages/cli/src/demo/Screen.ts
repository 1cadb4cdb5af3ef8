/** A redrawn part of the terminal that is never larger than the terminal. */
import { fitted } from "../text/Table.ts"

export interface ScreenSize {
  readonly rows: number
  readonly columns: number
}

/** The number of last rows that stay when the middle is left out: the demo changes these cameras. */
const lastRows = 5

/**
 * Fits a table and the lines below it into a terminal: lines are truncated, and one row stays free for the cursor.
 * If rows must be left out, they are taken from the middle of the table, then from the first lines below it. Pure.
 */
export const fit = (
  table: ReadonlyArray<string>,
  below: ReadonlyArray<string>,
  { columns, rows }: ScreenSize
): ReadonlyArray<string> => {
  const room = Math.max(1, rows - 1)
  const shownBelow = below.slice(-Math.max(0, room - lastRows - 3))
  const roomForTable = room - shownBelow.length
  const lines = [...cutMiddle(table, roomForTable), ...shownBelow].slice(0, room)
  return lines.map((line) => fitted(line, Math.max(1, columns - 1)))
}

const cutMiddle = (table: ReadonlyArray<string>, room: number): ReadonlyArray<string> => {
  if (table.length <= room) return table
  const last = Math.min(lastRows, Math.max(0, room - 2))
  const first = Math.max(0, room - last - 1)
  return [
    ...table.slice(0, first),
    `… ${table.length - first - last} more`,
    ...(last === 0 ? [] : table.slice(-last))
  ]
}

/** Makes a function that renders lines over the lines of its previous call. */
export const makeScreen = (): ((lines: ReadonlyArray<string>) => string) => {
  let height = 0
  return (lines) => {
    const up = height === 0 ? "" : `\u001b[${height}A`
    height = lines.length
    return `${up}${lines.map((line) => `\u001b[2K${line}`).join("\n")}\n\u001b[J`
  }
}
