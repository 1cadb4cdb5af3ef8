/**
 * Schemas for the columns of a row, for those who write a camera type.
 *
 * A table may keep a port as a number or as text; these take both. NULL and empty texts never reach
 * them: such a column counts as missing, so `Schema.optional(Column.port)` is an optional port.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import { isHost, withoutBrackets } from "../camera/Host.ts"

/** What a column may hold. */
const Scalar = Schema.Union([Schema.String, Schema.Finite, Schema.BigInt, Schema.Boolean])

/** A column that is read from its text; `undefined` means that it is not what was expected. */
const read = <A>(to: Schema.Codec<A>, expected: string, parse: (text: string) => A | undefined) =>
  Scalar.annotate({ expected }).pipe(
    Schema.decodeTo(to, {
      decode: SchemaGetter.transformEffect((value, options) => {
        const parsed = parse(String(value))
        return parsed === undefined
          ? Effect.fail(
              new SchemaIssue.InvalidValue({ message: `expected ${expected}` }, value, options)
            )
          : Effect.succeed(parsed)
      }),
      encode: SchemaGetter.transform((value: A) =>
        typeof value === "number" || typeof value === "boolean" ? value : String(value)
      )
    })
  )

const wholeNumber = (least: number, most: number) => (text: string) => {
  const number = /^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN
  return number >= least && number <= most ? number : undefined
}

/** A text, or a number shown as text. */
export const text = read(Schema.String, "a text", (value) => value)

/** A host name or address, an IPv6 address with or without brackets. */
export const host = read(Schema.String, "a host name or an IP address", (value) => {
  const bare = withoutBrackets(value)
  return isHost(bare) ? bare : undefined
})

/** A port from 1 to 65535. */
export const port = read(Schema.Finite, "a whole number from 1 to 65535", wholeNumber(1, 65_535))

/** A positive whole number, such as the number of a channel. */
export const ordinal = read(
  Schema.Finite,
  "a whole number from 1 on",
  wholeNumber(1, Number.MAX_SAFE_INTEGER)
)

const words: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  yes: true,
  y: true,
  on: true,
  1: true,
  false: false,
  f: false,
  no: false,
  n: false,
  off: false,
  0: false
}

/** A boolean, or a word or number that stands for one. */
export const flag = read(
  Schema.Boolean,
  "true or false",
  (value) => words[value.trim().toLowerCase()]
)

/** A text that never shows. */
export const secret = read(Schema.Redacted(Schema.String), "a text", (value) =>
  Redacted.make(value)
)
