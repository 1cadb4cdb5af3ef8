/**
 * The types of settings: how a value from the file, a flag or the environment is parsed and formatted.
 *
 * Flags and the environment give texts; YAML gives texts, numbers, booleans, lists and mappings. A type
 * accepts both, so `port: 8554` and `MEDIA_SERVER_PORT=8554` are the same.
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { parseFingerprint } from "./CameraOptions.ts"
import { displayName, displayValue } from "./Display.ts"
import * as Dsn from "./Dsn.ts"
import { isHost, withoutBrackets } from "./Host.ts"
import { parseDuration, parseSize, printDuration, printSize } from "./Quantity.ts"
import { oneLine, redact } from "./Redaction.ts"
import { didYouMean } from "./Suggestion.ts"

/** A value as the settings file holds it. */
export type ConfigValue =
  | string
  | number
  | boolean
  | ReadonlyArray<ConfigValue>
  | { readonly [name: string]: ConfigValue }

/**
 * The problem of a value in a mapping. A name such as `password` is quoted, because the log masks the text after
 * such a name and a colon.
 */
export const problemOfKey = (key: string, problem: string): string => {
  const text = `${key}: ${problem}`
  return redact(text) === text ? text : `"${key}": ${problem}`
}

export interface SettingType<A> {
  /** The allowed values in a few words: `duration`, `auto | native | ffmpeg`. */
  readonly values: string
  /** The value, or a message that quotes the raw value, unless it may be a secret. */
  readonly parse: (raw: unknown) => Result.Result<A, string>
  /** The value as the file holds it; {@link parse} reads it back. */
  readonly format: (value: A) => ConfigValue
  /** The value for people, without secrets. */
  readonly display: (value: A) => string
  /** Whether the value is a password or contains one. */
  readonly isSecret: boolean
}

const make = <A>(type: {
  readonly values: string
  readonly parse: (raw: unknown) => Result.Result<A, string>
  readonly format?: (value: A) => ConfigValue
  readonly display?: (value: A) => string
  readonly isSecret?: boolean
}): SettingType<A> => {
  const format = type.format ?? ((value: A) => value as ConfigValue)
  return {
    values: type.values,
    parse: type.parse,
    format,
    display: type.display ?? ((value) => displayConfigValue(format(value))),
    isSecret: type.isSecret ?? false
  }
}

/** A value from the file on one line: `1 second, 2 seconds`. */
export const displayConfigValue = (value: ConfigValue): string => {
  if (Array.isArray(value)) return value.map(displayConfigValue).join(", ")
  if (typeof value !== "object") return String(value)
  return Object.entries(value)
    .map(([name, inner]) => `${name}: ${displayConfigValue(inner)}`)
    .join(", ")
}

const invalid = (raw: unknown, problem: string): Result.Result<never, string> =>
  Result.fail(`${displayValue(raw)} ${problem}`)

const orInvalid = <A>(value: A | undefined, raw: unknown, problem: string) =>
  value === undefined ? invalid(raw, problem) : Result.succeed(value)

const outOfRange = (value: string | number, least: string | number, most: string | number) =>
  Result.fail(`${value} is out of range (${least} to ${most})`)

/** YAML reads 1e3 or 0x10 as a number; only quotes keep the text. */
const parseString = (raw: unknown, isSecret: boolean): Result.Result<string, string> => {
  if (typeof raw === "string") return Result.succeed(raw)
  return typeof raw === "number" || typeof raw === "boolean"
    ? invalid(isSecret ? undefined : raw, `must be quoted: YAML reads it as a ${typeof raw}`)
    : invalid(raw, "is not a text")
}

const parseLine = (text: string): string | undefined => {
  const trimmed = text.trim()
  return trimmed === "" || oneLine(trimmed) !== trimmed ? undefined : trimmed
}

/** A text. By default a single line that is not empty, without surrounding white space. */
export const text = (
  options: {
    /** Completes the message: `"x" is not a table name`. */
    readonly problem?: string
    /** The final form of the text, or `undefined` if it is invalid. */
    readonly parse?: (text: string) => string | undefined
    /** The value for people, for a text that may contain a secret. With this option no message quotes the text. */
    readonly display?: (text: string) => string
  } = {}
): SettingType<string> => {
  const { display, parse = parseLine, problem = "is not a single line of text" } = options
  const isSecret = display !== undefined
  return make({
    values: "text",
    parse: (raw) =>
      Result.flatMap(parseString(raw, isSecret), (text) =>
        orInvalid(parse(text), isSecret ? undefined : text, problem)
      ),
    ...(display === undefined ? {} : { display })
  })
}

/** A text that is never displayed. It may be empty. */
export const secret: SettingType<Redacted.Redacted> = make({
  values: "text",
  parse: (raw) => Result.map(parseString(raw, true), (text) => Redacted.make(text)),
  format: Redacted.value,
  display: () => "***",
  isSecret: true
})

export const dsn: SettingType<Dsn.Dsn> = make({
  values: "DSN",
  parse: (raw) => Dsn.parse(typeof raw === "string" ? raw : ""),
  format: Dsn.reveal,
  display: Dsn.show,
  isSecret: true
})

/** An http or https URL that may contain a user name and a password, without query and fragment. */
export const serviceUrl: SettingType<Redacted.Redacted> = make({
  values: "URL",
  parse: (raw) => {
    const text = typeof raw === "string" ? raw.trim() : ""
    return /^https?:\/\/[^\s?#\\]+$/i.test(text) && URL.canParse(text) && isDecodable(text)
      ? Result.succeed(Redacted.make(text.replace(/\/+$/, "")))
      : // it may contain a password
        invalid(
          undefined,
          "is not a URL with http or https, such as http://user:password@127.0.0.1:9997 (percent-encode the characters / # ? % @ in the user name and password)"
        )
  },
  format: Redacted.value,
  display: (url) => redact(Redacted.value(url)),
  isSecret: true
})

/** Whether each percent sign begins an encoded character. */
const isDecodable = (text: string): boolean => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** A host name or address; an IPv6 address with or without brackets. */
export const host = text({
  problem: "is not a host name or an IP address (without scheme and port)",
  parse: (text) => {
    const bare = withoutBrackets(text)
    return isHost(bare) ? bare : undefined
  }
})

/** The SHA-256 fingerprint of a certificate, normalized to upper case without colons. */
export const fingerprint = text({
  problem: "is not a SHA-256 fingerprint (32 bytes in hexadecimal, with or without colons)",
  parse: parseFingerprint
})

/** One of a few words, in any case. */
export const choice = <const L extends string>({
  literals
}: Schema.Literals<ReadonlyArray<L>>): SettingType<L> =>
  make<L>({
    values: literals.join(" | "),
    parse: (raw) => {
      const word = typeof raw === "string" ? raw.trim().toLowerCase() : ""
      const problem = `is not one of ${literals.join(", ")}${didYouMean(word, literals)}`
      return orInvalid(
        literals.find((literal) => literal === word),
        raw,
        problem
      )
    }
  })

/** The words for booleans, as in PostgreSQL. */
const booleans: ReadonlyMap<string, boolean> = new Map([
  ...["true", "t", "yes", "y", "on", "1"].map((word) => [word, true] as const),
  ...["false", "f", "no", "n", "off", "0"].map((word) => [word, false] as const)
])

export const boolean: SettingType<boolean> = make({
  values: "true | false",
  parse: (raw) =>
    orInvalid(booleans.get(String(raw).trim().toLowerCase()), raw, "is not true or false")
})

const number = (options: {
  readonly least: number
  readonly most: number
  readonly problem: string
  /** For a text; a number from YAML needs no check. */
  readonly pattern: RegExp
  readonly isValid: (value: number) => boolean
}): SettingType<number> => {
  const { isValid, least, most, pattern, problem } = options
  return make({
    values: `${least} to ${most}`,
    parse: (raw) => {
      const isNumber =
        typeof raw === "string" ? pattern.test(raw.trim()) : /number|bigint/.test(typeof raw)
      const value = isNumber ? Number(raw) : Number.NaN
      if (!isValid(value)) return invalid(raw, problem)
      return value >= least && value <= most
        ? Result.succeed(value)
        : outOfRange(value, least, most)
    }
  })
}

/** A whole number within inclusive bounds. */
export const integer = (least: number, most: number): SettingType<number> =>
  number({
    least,
    most,
    problem: "is not a whole number",
    pattern: /^-?\d{1,16}$/,
    isValid: Number.isInteger
  })

/** The word auto, or a value of a type. */
export const orAuto = <A>(type: SettingType<A>): SettingType<A | "auto"> =>
  make<A | "auto">({
    values: `auto | ${type.values}`,
    parse: (raw) =>
      typeof raw === "string" && raw.trim().toLowerCase() === "auto"
        ? Result.succeed("auto")
        : Result.mapError(type.parse(raw), (problem) =>
            problem.includes("out of range") ? problem : `${problem} or auto`
          )
  })

/** A number from 0 to 1. */
export const fraction: SettingType<number> = number({
  least: 0,
  most: 1,
  problem: "is not a number",
  pattern: /^-?\d{1,16}(?:\.\d{1,16})?$/,
  isValid: Number.isFinite
})

const hasNoUnit = (raw: unknown): boolean =>
  typeof raw === "number" || (typeof raw === "string" && /^\s*[\d.]+\s*$/.test(raw))

/** A number with its unit, within inclusive bounds. */
const quantity = <A>(options: {
  readonly values: string
  readonly examples: string
  readonly parse: (text: string) => A | undefined
  readonly print: (value: A) => string
  readonly least: A
  readonly most: A
  readonly isWithin: (value: A) => boolean
}): SettingType<A> => {
  const { examples, isWithin, least, most, parse, print, values } = options
  return make<A>({
    values,
    parse: (raw) => {
      const value = typeof raw === "string" ? parse(raw) : undefined
      if (value === undefined) {
        const problem = hasNoUnit(raw) ? "has no unit" : `is not a ${values}`
        return invalid(raw, `${problem}; examples: ${examples}`)
      }
      return isWithin(value)
        ? Result.succeed(value)
        : outOfRange(print(value), print(least), print(most))
    },
    format: print
  })
}

/** A duration in whole milliseconds. Default bounds: 1 ms to 24 days, because a timer takes 24.8 days at most. */
export const duration = (
  bounds: { readonly least?: Duration.Input; readonly most?: Duration.Input } = {}
): SettingType<Duration.Duration> => {
  const least = Duration.fromInputUnsafe(bounds.least ?? "1 millis")
  const most = Duration.fromInputUnsafe(bounds.most ?? "24 days")
  return quantity({
    values: "duration",
    examples: "10 seconds, 500ms, 2 min",
    parse: parseDuration,
    print: printDuration,
    least,
    most,
    isWithin: Duration.between({ minimum: least, maximum: most })
  })
}

/** A size in bytes, within inclusive bounds. */
export const size = (least: number, most: number): SettingType<number> =>
  quantity({
    values: "size",
    examples: "10 MB, 16MiB",
    parse: parseSize,
    print: printSize,
    least,
    most,
    isWithin: (bytes) => bytes >= least && bytes <= most
  })

/** A field of a {@link struct}. */
export interface Field<A> {
  readonly type: SettingType<any>
  /** The value of a field that is left out. Without it the field is required. */
  readonly default?: { readonly value: A }
  readonly Type?: A
}

export const field = <A>(type: SettingType<A>): Field<A> => ({ type })

export const fieldWithDefault = <A, const B extends A | undefined>(
  type: SettingType<A>,
  value: B
): Field<A | B> => ({ type, default: { value } })

type FieldsOf<Fields> = {
  readonly [Name in keyof Fields]: Fields[Name] extends Field<infer A> ? A : never
}

/**
 * A mapping with fixed fields. No message quotes a value of a secret field.
 *
 * @param display the value for people, without secrets.
 */
export const struct = <const Fields extends Readonly<Record<string, Field<any>>>>(
  name: string,
  fields: Fields,
  display: (value: FieldsOf<Fields>) => string
): SettingType<FieldsOf<Fields>> => {
  const names = Object.keys(fields)
  return make<FieldsOf<Fields>>({
    values: name,
    parse: (raw) => {
      if (!Predicate.isObject(raw))
        return invalid(undefined, `is not a mapping of ${names.join(", ")}`)
      const unknown = Object.keys(raw).find((key) => !names.includes(key))
      if (unknown !== undefined) {
        const hint = didYouMean(unknown, names) || `; expected ${names.join(", ")}`
        return Result.fail(`unknown key ${displayName(unknown)}${hint}`)
      }
      const parsed = Object.entries(fields).map(([key, { default: byDefault, type }]) => {
        const one = (raw as Readonly<Record<string, unknown>>)[key] ?? undefined
        if (one === undefined) {
          return byDefault === undefined
            ? Result.fail(`${key} is missing`)
            : Result.succeed([key, byDefault.value] as const)
        }
        return Result.mapBoth(type.parse(one), {
          onSuccess: (inner) => [key, inner] as const,
          onFailure: (problem) => problemOfKey(key, problem)
        })
      })
      return Result.map(
        Result.all(parsed),
        (pairs) => Object.fromEntries(pairs) as FieldsOf<Fields>
      )
    },
    format: (value) =>
      Object.fromEntries(
        Object.entries(fields)
          .map(([key, one]) => ({ key, ...one, inner: value[key as keyof Fields] }))
          .filter((one) => one.default === undefined || one.inner !== one.default.value)
          .map(({ inner, key, type }) => [key, type.format(inner)])
      ),
    display,
    isSecret: Object.values(fields).some(({ type }) => type.isSecret)
  })
}

/** The same type with a check of the whole value, which returns a message or `undefined`. */
export const refine = <A>(
  type: SettingType<A>,
  problemOf: (value: A) => string | undefined
): SettingType<A> => ({
  ...type,
  parse: (raw) =>
    Result.flatMap(type.parse(raw), (value) => {
      const problem = problemOf(value)
      return problem === undefined ? Result.succeed(value) : Result.fail(problem)
    })
})

/** The same type; a text, as in a flag and in the environment, is JSON. */
const orJson = <A>(type: SettingType<A>, problem: string): SettingType<A> => ({
  ...type,
  values: `${type.values}, as JSON outside the file`,
  parse: (raw) => {
    if (typeof raw !== "string") return type.parse(raw)
    try {
      const value: unknown = JSON.parse(raw)
      if (typeof value === "object") return type.parse(value)
    } catch {
      // the parser's message may quote a secret
    }
    return invalid(undefined, problem)
  }
})

/** A list of mappings; in a flag and in the environment it is JSON. */
export const listOfStructs = <A>(item: SettingType<A>): SettingType<ReadonlyArray<A>> => ({
  ...orJson(list(item, { minLength: 0 }), 'is not a JSON list such as [{"name": "…"}]'),
  display: (values) => values.map(item.display).join("; "),
  isSecret: item.isSecret
})

/** A mapping from names to mappings; in a flag and in the environment it is JSON. */
export const recordOfStructs = <A>(
  name: string,
  item: SettingType<A>
): SettingType<Readonly<Record<string, A>>> => ({
  ...orJson(record(name, item), `is not a JSON object such as {"${name}": {…}}`),
  display: (values) =>
    Object.entries(values)
      .map(([key, value]) => `${key} ${item.display(value)}`)
      .join("; "),
  isSecret: item.isSecret
})

/** A list; in a flag and in the environment its items are separated by commas. */
export const list = <A>(
  item: SettingType<A>,
  options: { readonly minLength: number }
): SettingType<ReadonlyArray<A>> =>
  make<ReadonlyArray<A>>({
    values: `list of ${item.values}s`,
    parse: (raw) => {
      const items = typeof raw === "string" ? splitAtCommas(raw) : raw
      if (!Array.isArray(items)) return invalid(raw, "is not a list")
      if (items.length < options.minLength) return Result.fail("the list is empty")
      return Result.all(
        items.map((one, index) =>
          Result.mapError(item.parse(one), (problem) => `item ${index + 1}: ${problem}`)
        )
      )
    },
    format: (values) => values.map(item.format)
  })

const splitAtCommas = (text: string): ReadonlyArray<string> =>
  text.trim() === "" ? [] : text.split(",").map((item) => item.trim())

/**
 * A mapping from names to values. Names that differ only in case are duplicates.
 *
 * @param names the allowed names. Default: all.
 */
export const record = <A>(
  name: string,
  value: SettingType<A>,
  options: {
    readonly names?: ReadonlyArray<string>
    /** The value for people. Default: names and values. */
    readonly display?: (values: Readonly<Record<string, A>>) => string
  } = {}
): SettingType<Readonly<Record<string, A>>> =>
  make({
    values: `mapping of ${name} to ${value.values}`,
    parse: (raw) => {
      if (!Predicate.isObject(raw)) {
        return invalid(undefined, `is not a mapping of ${name} to ${value.values}`)
      }
      const entries = Object.entries(raw)
      const seen = new Map<string, string>()
      for (const [key] of entries) {
        const shown = displayName(key)
        if (key.trim() === "") return Result.fail(`a ${name} is empty`)
        if (options.names?.includes(key) === false) {
          const hint = didYouMean(key, options.names) || `; expected ${options.names.join(", ")}`
          return Result.fail(`unknown ${name} ${shown}${hint}`)
        }
        const twin = seen.get(key.toLowerCase())
        if (twin !== undefined) {
          return Result.fail(`duplicate ${name}: ${displayName(twin)} and ${shown}`)
        }
        seen.set(key.toLowerCase(), key)
      }
      const parsed = entries.map(([key, one]) =>
        Result.mapBoth(value.parse(one), {
          onSuccess: (inner) => [key, inner] as const,
          onFailure: (problem) => problemOfKey(displayName(key), problem)
        })
      )
      return Result.map(Result.all(parsed), (pairs) => Object.fromEntries(pairs))
    },
    format: (values) =>
      Object.fromEntries(Object.entries(values).map(([key, one]) => [key, value.format(one)])),
    ...(options.display === undefined ? {} : { display: options.display })
  })
