/** A part of the terminal that is drawn again and again, and never larger than the terminal. */
import { fitted } from "../text/Table.ts"

export interface ScreenSize {
  readonly rows: number
  readonly columns: number
}

/** How many of the last rows stay when the middle is left out: they are the ones with a story. */
const lastRows = 5

/**
 * The lines of a table and those below it, for a terminal of a size: no line is wider, and all together
 * leave a row for the cursor. What has no room is left out of the table's middle, or else from the top of
 * what is below. Pure.
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

/** Makes the text that draws lines over those that it drew before. */
export const makeScreen = (): ((lines: ReadonlyArray<string>) => string) => {
  let height = 0
  return (lines) => {
    const up = height === 0 ? "" : `\u001b[${height}A`
    height = lines.length
    return `${up}${lines.map((line) => `\u001b[2K${line}`).join("\n")}\n\u001b[J`
  }
}
