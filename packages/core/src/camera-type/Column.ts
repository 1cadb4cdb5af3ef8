/**
 * Schemas for the columns of a row, for authors of camera types.
 *
 * A table may store a port as a number or as text; these schemas accept both. A column that is NULL or an empty
 * text counts as missing, so `Schema.optional(Column.port)` is an optional port.
 */
import { isAddress, SettingType } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"

/** The values that a column may have. */
const Scalar = Schema.Union([Schema.String, Schema.Finite, Schema.BigInt, Schema.Boolean]).annotate(
  {
    expected: "a text, a number or a boolean"
  }
)

/** A column with the syntax and the messages of a setting type. */
const parsed = <A>(
  schema: Schema.Codec<A>,
  parse: (value: typeof Scalar.Type) => Result.Result<A, string>
) =>
  Scalar.pipe(
    Schema.decodeTo(schema, {
      decode: SchemaGetter.transformEffect((value, options) => {
        const result = parse(value)
        return Result.isSuccess(result)
          ? Effect.succeed(result.success)
          : Effect.fail(new SchemaIssue.InvalidValue({ message: result.failure }, value, options))
      }),
      encode: SchemaGetter.transform((value: A) =>
        typeof value === "number" || typeof value === "boolean" ? value : String(value)
      )
    })
  )

/** A text, or a number as text. */
export const text = parsed(Schema.String, (value) => Result.succeed(String(value)))

/** An address without the mask that the type `inet` of PostgreSQL may carry: `10.0.0.5/24`. */
export const withoutMask = (host: string): string => {
  const [, address, bits] = /^(.*)\/(\d{1,3})$/s.exec(host.trim()) ?? []
  return address !== undefined && isAddress(address) && Number(bits) <= 128 ? address : host
}

/** A host name or address; an IPv6 address with or without brackets; an `inet` with or without its mask. */
export const host = parsed(Schema.String, (value) =>
  SettingType.host.parse(withoutMask(String(value)))
)

/** A whole number; the type `numeric(8,2)` of PostgreSQL shows it as `554.00`. */
const wholeNumber = (least: number, most: number) => {
  const { parse } = SettingType.integer(least, most)
  return (value: typeof Scalar.Type): Result.Result<number, string> =>
    parse(typeof value === "string" ? value.replace(/^(\s*\d+)\.0+(\s*)$/, "$1$2") : value)
}

export const parsePort = wholeNumber(1, 65_535)

/** A port from 1 to 65535. */
export const port = parsed(Schema.Finite, parsePort)

/** A positive whole number, such as the number of a channel. */
export const ordinal = parsed(Schema.Finite, wholeNumber(1, Number.MAX_SAFE_INTEGER))

/** A boolean, or a word or number that means one. */
export const flag = parsed(Schema.Boolean, SettingType.boolean.parse)

/** A text that is never displayed. */
export const secret = parsed(Schema.Redacted(Schema.String), (value) =>
  Result.succeed(Redacted.make(String(value)))
)
