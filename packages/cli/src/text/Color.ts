/** Colors of the terminal for words that carry their meaning without them. */

const codes = { red: 31, green: 32, yellow: 33, cyan: 36 } as const

/** The colors of the states of cameras, in `check` and `status`. */
const colors: Readonly<Record<string, keyof typeof codes>> = {
  ok: "green",
  live: "green",
  starting: "cyan",
  waiting: "yellow",
  invalid: "yellow",
  unreachable: "red",
  down: "red"
}

/** The state in its color. */
export const colored = (state: string, hasColor: boolean): string => {
  const color = colors[state]
  return hasColor && color !== undefined ? `\u001b[${codes[color]}m${state}\u001b[0m` : state
}
