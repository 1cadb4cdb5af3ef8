/** What the other end of a stream can show. */

/** Whether text can be drawn over. A dumb terminal shows the escapes for it instead. */
export const canRedraw = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY === true && process.env["TERM"] !== "dumb"

/** Whether colours are welcome (https://no-color.org). */
export const hasColor = (stream: NodeJS.WriteStream): boolean =>
  canRedraw(stream) && (process.env["NO_COLOR"] ?? "") === ""
