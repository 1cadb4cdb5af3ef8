/** The capabilities of the terminal behind a stream. */

/** Whether lines can be redrawn. A dumb terminal prints the escape sequences. */
export const canRedraw = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && process.env["TERM"] !== "dumb"

/** Whether to print colors (https://no-color.org). */
export const hasColor = (stream: NodeJS.WriteStream): boolean =>
  canRedraw(stream) && (process.env["NO_COLOR"] ?? "") === ""
