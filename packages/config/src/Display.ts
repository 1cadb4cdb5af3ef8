/** How values and names from outside appear in messages: on one line, cut, without credentials. */
import { oneLine, redact } from "./Redaction.ts"

/** In characters. */
const maxLength = 40

const cut = (text: string): string => {
  const characters = [...oneLine(text.slice(0, 2 * maxLength))]
  return characters.length > maxLength
    ? `${characters.slice(0, maxLength).join("")}…`
    : characters.join("")
}

/** A secret may be in the wrong setting: a DSN, `user:password@host` or `password=…`. */
const mayHoldSecret = (text: string): boolean =>
  /@|pass|pwd|secret|token/i.test(text) || redact(text) !== text

/**
 * A raw value as the subject of a message: `"99999x"`, or `the value` where it may hold a secret. Lists
 * and mappings are not printed: what the aliases of YAML repeat can be huge.
 */
export const displayValue = (raw: unknown): string => {
  switch (typeof raw) {
    case "string":
      return mayHoldSecret(raw) ? "the value" : `"${cut(raw)}"`
    case "number":
    case "bigint":
    case "boolean":
      return String(raw)
    default:
      return "the value"
  }
}

/** A key or a name from outside; `***` where it is more than a name. */
export const displayName = (name: string): string => (/:\/\/|=/.test(name) ? "***" : cut(name))
