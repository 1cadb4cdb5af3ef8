/**
 * The kinds of value that a setting can have.
 *
 * A kind reads what stands in the file, in a flag or in the environment, and writes it back. Flags and
 * the environment give texts; YAML gives texts, numbers, booleans, lists and mappings. Each kind takes
 * both, so `port: 8554` and `MEDIA_SERVER_PORT=8554` mean the same.
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { nearest } from "./SchemaFault.ts"
import { parseDuration, parseSize, printDuration, printSize } from "./Quantity.ts"
import { onOneLine, shownName } from "./Shown.ts"

/** A value as it stands in the file. */
export type Written =
  | string
  | number
  | boolean
  | ReadonlyArray<Written>
  | { readonly [name: string]: Written }

export interface Kind<A> {
  /** What the program gets. */
  readonly type: Schema.Codec<A>
  /** What may be given, in a few words for the documentation: `auto | native | ffmpeg`. */
  readonly values: string
  /** The value, or what was expected instead. The message never repeats what was given. */
  readonly parse: (given: unknown) => Result.Result<A, string>
  readonly print: (value: A) => Written
}

const expected = (what: string): Result.Result<never, string> => Result.fail(`expected ${what}`)

const make = <A>(kind: {
  readonly type: Schema.Codec<A>
  readonly values: string
  readonly expected: string
  readonly parse: (given: unknown) => A | undefined
  readonly print: (value: A) => Written
}): Kind<A> => ({
  ...kind,
  parse: (given) => {
    const value = kind.parse(given)
    return value === undefined ? expected(kind.expected) : Result.succeed(value)
  }
})

const parseText = (what: string, given: unknown): Result.Result<string, string> => {
  if (typeof given === "string") return Result.succeed(given)
  // YAML makes 1e3 or 0x10 a number and `on` stays a text; only quotes keep what was written
  return typeof given === "number" || typeof given === "boolean"
    ? expected(`${what}, which needs quotes here`)
    : expected(what)
}

/** A text of one line that is not empty, without the white space around it. */
const line = (text: string): string | undefined => {
  const trimmed = text.trim()
  return trimmed === "" || onOneLine(trimmed) !== trimmed ? undefined : trimmed
}

/**
 * A text.
 *
 * @param read gives the text in its final form, or `undefined` if it breaks the rule. Default: one line,
 * not empty.
 */
export const text = (
  what = "a text of one line",
  read: (text: string) => string | undefined = line
): Kind<string> => ({
  type: Schema.String,
  values: "text",
  parse: (given) =>
    Result.flatMap(parseText(what, given), (text) => {
      const value = read(text)
      return value === undefined ? expected(what) : Result.succeed(value)
    }),
  print: (value) => value
})

/** A text that never shows. It may be empty. */
export const secret: Kind<Redacted.Redacted> = {
  type: Schema.Redacted(Schema.String),
  values: "text",
  parse: (given) => Result.map(parseText("a text", given), (text) => Redacted.make(text)),
  print: Redacted.value
}

const listed = (words: ReadonlyArray<string>): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`

/** One word of a few. */
export const choice = <const L extends string>(
  schema: Schema.Literals<ReadonlyArray<L>>
): Kind<L> =>
  make({
    type: schema as Schema.Codec<L>,
    values: schema.literals.join(" | "),
    expected: listed(schema.literals),
    parse: (given) =>
      typeof given === "string"
        ? schema.literals.find((literal) => literal === given.trim().toLowerCase())
        : undefined,
    print: (value) => value
  })

const words: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...[true, 1, "true", "1", "yes", "on"].map((word) => [word, true] as const),
  ...[false, 0, "false", "0", "no", "off"].map((word) => [word, false] as const)
])

/** Yes or no. */
export const flag: Kind<boolean> = make({
  type: Schema.Boolean,
  values: "true | false",
  expected: "true or false",
  parse: (given) => words.get(typeof given === "string" ? given.trim().toLowerCase() : given),
  print: (value) => value
})

const parseNumber = (given: unknown, pattern: RegExp): number => {
  if (typeof given === "number") return given
  return typeof given === "string" && pattern.test(given.trim()) ? Number(given) : Number.NaN
}

/** A whole number within bounds, which belong to it. */
export const wholeNumber = (least: number, most: number): Kind<number> =>
  make({
    type: Schema.Finite,
    values: `${least} to ${most}`,
    expected: `a whole number from ${least} to ${most}`,
    parse: (given) => {
      const number = parseNumber(given, /^\d{1,16}$/)
      return Number.isInteger(number) && number >= least && number <= most ? number : undefined
    },
    print: (value) => value
  })

/** A number from 0 to 1. */
export const fraction: Kind<number> = make({
  type: Schema.Finite,
  values: "0 to 1",
  expected: "a number from 0 to 1",
  parse: (given) => {
    const number = parseNumber(given, /^\d{1,16}(?:\.\d{1,16})?$/)
    return number >= 0 && number <= 1 ? number : undefined
  },
  print: (value) => value
})

const hasNoUnit = (given: unknown): boolean =>
  typeof given === "number" || (typeof given === "string" && /^\s*[\d.]+\s*$/.test(given))

/**
 * A span of time in whole milliseconds.
 *
 * @param bounds belong to it. Default: from 1 ms to 24 days, because a timer holds 24.8 days at most.
 */
export const duration = (
  bounds: { readonly least?: Duration.Input; readonly most?: Duration.Input } = {}
): Kind<Duration.Duration> => {
  const least = Duration.fromInputUnsafe(bounds.least ?? "1 millis")
  const most = Duration.fromInputUnsafe(bounds.most ?? "24 days")
  return {
    type: Schema.Duration,
    values: "duration",
    parse: (given) => {
      const value = typeof given === "string" ? parseDuration(given) : undefined
      if (value === undefined) {
        return expected(
          hasNoUnit(given)
            ? 'a duration with its unit, such as "10 seconds" or "500ms"'
            : 'a duration such as "10 seconds", "500ms" or "2 min"'
        )
      }
      return Duration.between(value, { minimum: least, maximum: most })
        ? Result.succeed(value)
        : expected(`a duration from ${printDuration(least)} to ${printDuration(most)}`)
    },
    print: printDuration
  }
}

/** A size in bytes. */
export const size = (least: number, most: number): Kind<number> => ({
  type: Schema.Finite,
  values: "size",
  parse: (given) => {
    const value = typeof given === "string" ? parseSize(given) : undefined
    if (value === undefined) return expected('a size with its unit, such as "10 MB" or "16MiB"')
    return value >= least && value <= most
      ? Result.succeed(value)
      : expected(`a size from ${printSize(least)} to ${printSize(most)}`)
  },
  print: printSize
})

/** A list; outside the file its items are separated by commas. */
export const list = <A>(
  item: Kind<A>,
  options: { readonly least: number }
): Kind<ReadonlyArray<A>> => ({
  type: Schema.Array(item.type),
  values: `list of ${item.values}s`,
  parse: (given) => {
    const items = typeof given === "string" ? splitAtCommas(given) : given
    if (!Array.isArray(items)) return expected("a list")
    if (items.length < options.least) return expected("a list that is not empty")
    const values: Array<A> = []
    for (const [index, one] of items.entries()) {
      const value = item.parse(one)
      if (Result.isFailure(value)) {
        return Result.fail(value.failure.replace("expected ", `expected item ${index + 1} to be `))
      }
      values.push(value.success)
    }
    return Result.succeed(values)
  },
  print: (values) => values.map(item.print)
})

const splitAtCommas = (text: string): ReadonlyArray<string> =>
  text.trim() === "" ? [] : text.split(",").map((item) => item.trim())

/**
 * A mapping of names. Two names that differ in case alone are one too many.
 *
 * @param names the names that there are. Default: whichever the operator chooses.
 */
export const record = <A>(
  name: string,
  value: Kind<A>,
  names?: ReadonlyArray<string>
): Kind<Readonly<Record<string, A>>> => ({
  type: Schema.Record(Schema.String, value.type),
  values: `mapping of ${name} to ${value.values}`,
  parse: (given) => {
    if (!Predicate.isObject(given)) return expected(`a mapping of ${name} to ${value.values}`)
    const entries: Array<readonly [string, A]> = []
    for (const [key, one] of Object.entries(given)) {
      if (key.trim() === "") return expected(`a ${name} before each colon`)
      if (names !== undefined && !names.includes(key)) {
        const near = nearest(key, names)
        const hint = near === undefined ? `there are ${listed(names)}` : `did you mean ${near}?`
        return Result.fail(`holds ${shownName(key)}, which is no ${name}; ${hint}`)
      }
      const twin = entries.find(([other]) => other.toLowerCase() === key.toLowerCase())
      if (twin !== undefined) {
        return Result.fail(`holds both ${shownName(twin[0])} and ${shownName(key)}`)
      }
      const parsed = value.parse(one)
      if (Result.isFailure(parsed)) {
        return Result.fail(parsed.failure.replace("expected ", `expected ${shownName(key)} to be `))
      }
      entries.push([key, parsed.success])
    }
    return Result.succeed(Object.fromEntries(entries))
  },
  print: (values) =>
    Object.fromEntries(Object.entries(values).map(([key, one]) => [key, value.print(one)]))
})
