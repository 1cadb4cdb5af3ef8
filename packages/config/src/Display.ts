/** Formats values and names from outside for messages: on one line, truncated, without credentials. */
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
 * A raw value as the subject of a message: `"99999x"`, or `the value` if it may contain a secret. Lists and
 * mappings are not printed: YAML aliases can make them huge.
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

/** A key or a name from outside; `***` if it contains more than a name. */
export const displayName = (name: string): string => (/:\/\/|=/.test(name) ? "***" : cut(name))
