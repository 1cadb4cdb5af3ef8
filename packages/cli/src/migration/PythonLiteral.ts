/** The literals of Python that occur in `args` and `kwargs` of a logging configuration. Pure. */

/** A text or a number; `undefined` for anything else, such as `sys.stdout`. */
export type Literal = string | number | undefined

/** The comma-separated parts at the top level of `(a, 'b, c', (d,))`. */
const parts = (text: string): ReadonlyArray<string> => {
  const inner = /^\s*[([{]([\s\S]*)[)\]}]\s*$/.exec(text)?.[1] ?? text
  const found: Array<string> = []
  let part = ""
  let depth = 0
  for (const token of inner.match(/'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[\s\S]/g) ?? []) {
    if (token === "," && depth === 0) {
      found.push(part)
      part = ""
      continue
    }
    if ("([{".includes(token)) depth++
    if (")]}".includes(token)) depth--
    part += token
  }
  return [...found, part].filter((one) => one.trim() !== "")
}

/** A number, also as a product such as `10 * 1024 * 1024`; a quoted text. */
const literal = (text: string): Literal => {
  const quoted = /^\s*[rRuUbB]{0,2}(['"])([\s\S]*)\1\s*$/.exec(text)
  if (quoted !== null) return quoted[2]?.replaceAll(/\\(['"\\])/g, "$1")
  const factors = text.split("*").map((factor) => factor.trim().replaceAll("_", ""))
  return factors.every((factor) => /^\d+(?:e\d+)?$/.test(factor))
    ? factors.reduce((product, factor) => product * Number(factor), 1)
    : undefined
}

/** The items of a tuple. */
export const tuple = (text: string): ReadonlyArray<Literal> => parts(text).map(literal)

/** The values of a dictionary whose keys are texts. */
export const dictionary = (text: string): ReadonlyMap<string, Literal> =>
  new Map(
    parts(text).flatMap((part) => {
      const [, , key, value] = /^\s*(['"])(\w+)\1\s*:([\s\S]*)$/.exec(part) ?? []
      return key === undefined || value === undefined ? [] : [[key, literal(value)] as const]
    })
  )
