/** Says what a schema found wrong, in words for an operator. */
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Schema from "effect/Schema"

/** One thing that is wrong, and where. */
export interface SchemaFault {
  /** The keys from the root to the value: `["options", "engine"]`. Empty for the value itself. */
  readonly path: ReadonlyArray<string>
  /** What was expected. It never repeats the value, which may be a secret. */
  readonly message: string
}

const words: SchemaIssue.LeafHook = (issue) => {
  switch (issue._tag) {
    case "MissingKey":
      return "is missing"
    case "UnexpectedKey":
      return "is not known"
    default:
      return SchemaIssue.defaultLeafHook(issue)
  }
}

const format = SchemaIssue.makeFormatterStandardSchemaV1({ leafHook: words })

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): string =>
  String(typeof segment === "object" ? segment.key : segment)

/** All faults of a schema error, in the order of the schema's keys. */
export const schemaFaults = (error: Schema.SchemaError): ReadonlyArray<SchemaFault> =>
  format(error.issue).issues.map((issue) => ({
    path: (issue.path ?? []).map(keyOf),
    message: issue.message.replace(/^Expected /, "expected ")
  }))

/** The candidate that a misspelt word was meant to be, if one is close. */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(normal(word), normal(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

const normal = (word: string): string => word.toLowerCase().replaceAll(/[-_]/g, "")

/** Levenshtein's distance, a swap of two neighbours counted once (optimal string alignment). */
const editDistance = (a: string, b: string): number => {
  let beforePrevious: ReadonlyArray<number> = []
  let previous: ReadonlyArray<number> = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforePrevious[j - 2] ?? 0) + 1)
      }
      current.push(cost)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length] ?? a.length
}
