/** How a value that somebody gave is shown in a line for people. */

/** Control characters, line breaks and marks that turn the direction of writing could forge a line. */
const control =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** The text on one line: each control character becomes an escape such as `\u000a`. */
export const onOneLine = (text: string): string =>
  text.replaceAll(
    control,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`
  )

/** The longest text that is repeated to the one who wrote it. */
const longest = 40

/** The text on one line, cut after 40 characters. */
const shortened = (text: string): string => {
  const characters = [...onOneLine(text.slice(0, 2 * longest))]
  return characters.length > longest
    ? `${characters.slice(0, longest).join("")}…`
    : characters.join("")
}

/** A secret may have been put into the wrong setting: a DSN, or `password=…`. */
const credentials = /:\/\/[^\s]*@|pass|pwd|secret|token/i

/**
 * `"99999x"`, or nothing where the value might hold a secret. Lists and mappings are never looked into:
 * what an alias of YAML repeats can be huge.
 */
export const shownGiven = (given: unknown): string | undefined => {
  switch (typeof given) {
    case "string":
      return credentials.test(given) ? undefined : `"${shortened(given)}"`
    case "number":
    case "boolean":
      return String(given)
    default:
      return undefined
  }
}

/** A key or a name as somebody wrote it, on one line; `***` where it is more than a name. */
export const shownName = (name: string): string => (/:\/\/|=/.test(name) ? "***" : shortened(name))
