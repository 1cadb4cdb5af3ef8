/**
 * A camera type: how the columns of a row become the address of a stream.
 *
 * A type is data: its name, the columns that it needs, and a pure `toUrl`. Built-in types, templates from the
 * settings, modules named in the settings and types of an embedding program all have this form, so a new camera
 * needs no change of this package.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidUrl } from "../camera/Reason.ts"
import { StreamUrl } from "../camera/StreamUrl.ts"

/** The columns of one row that have a value, by name. */
export type Columns = Readonly<Record<string, unknown>>

/** Makes addresses from the rows of one type of camera. */
export interface CameraType {
  /** The value of the table's `type` column. Case-insensitive. */
  readonly name: string
  /** One sentence for people: the cameras and the form of the address. */
  readonly description: string
  /** The columns that it reads. `undefined`: not known, so all columns of the table are fetched. */
  readonly columns?:
    | ReadonlyArray<{ readonly name: string; readonly isRequired: boolean }>
    | undefined
  /** The address of the row's stream, or the problem of the row. Pure. */
  readonly toUrl: (columns: Columns) => Result.Result<StreamUrl, InvalidUrl>
}

const missing = "is missing"

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "MissingKey" ? missing : SchemaIssue.defaultLeafHook(issue))
})

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): string =>
  String(typeof segment === "object" ? segment.key : segment)

const columnProblem = (message: string, path: ReadonlyArray<string>): string => {
  const column = `column ${path.join(".")}`
  if (message === missing) return `${column} ${missing}`
  // `null` and `undefined` are not useful alternatives for a value that is present
  return `${column}: ${message.replace(/^E/, "e").replace(/(?: \| (?:null|undefined))+$/, "")}`
}

/**
 * Makes a camera type from the columns that it needs and a pure function of them.
 *
 * `toUrl` returns a {@link StreamUrl}, a `Result` of one, or a text. A text is parsed as people write addresses,
 * with a raw `@` or `/` in a password. A thrown error makes only the row's camera invalid.
 *
 * @example
 * ```ts
 * import { CameraType, Column } from "@restream/core"
 * import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
 *
 * export const acme = CameraType.make({
 *   name: "acme",
 *   description: "Acme domes, firmware 3 and later",
 *   columns: { host: Column.host, channel: Schema.optional(Column.ordinal) },
 *   toUrl: ({ host, channel }) => `rtsp://${host}/live/${channel ?? 1}`
 * })
 * ```
 */
export const make = <
  const Fields extends Readonly<Record<string, Schema.ConstraintCodec<any, any>>>
>(type: {
  readonly name: string
  readonly description?: string
  readonly columns: Fields
  readonly toUrl: (
    columns: Schema.Struct<Fields>["Type"]
  ) => StreamUrl | string | Result.Result<StreamUrl, InvalidUrl>
}): CameraType => {
  const decode = Schema.decodeUnknownResult(
    Schema.Struct(type.columns) as unknown as Schema.Codec<any, any>
  )
  const columns = Object.entries(type.columns).map(([name, schema]) => ({
    name,
    isRequired: !SchemaAST.isOptional(schema.ast)
  }))
  return of({
    name: type.name,
    description: type.description,
    columns,
    toUrl: (columns) => {
      const decoded = decode(columns, { errors: "all" })
      if (Result.isSuccess(decoded)) return type.toUrl(decoded.success)
      const problems = format(decoded.failure.issue).issues.map(({ message, path = [] }) =>
        columnProblem(message, path.map(keyOf))
      )
      return Result.fail(new InvalidUrl({ detail: problems.join("; ") }))
    }
  })
}

/**
 * Makes a camera type from a function of a row's raw columns, without a schema: the minimum that a module named in
 * the settings can export.
 */
export const of = (type: {
  readonly name: string
  readonly description?: string | undefined
  readonly columns?: CameraType["columns"]
  readonly toUrl: (columns: Columns) => StreamUrl | string | Result.Result<StreamUrl, InvalidUrl>
}): CameraType => ({
  name: type.name,
  description: type.description ?? "",
  // a module is not type-checked
  columns: Array.isArray(type.columns) ? type.columns : undefined,
  toUrl: (columns) => {
    try {
      const url = type.toUrl(columns)
      if (typeof url === "string") return StreamUrl.parse(url)
      if (url instanceof StreamUrl) return Result.succeed(url)
      if (Result.isResult(url) && (Result.isFailure(url) || url.success instanceof StreamUrl)) {
        return url
      }
    } catch {
      // the message of a thrown error may contain the row's secrets
      return Result.fail(
        new InvalidUrl({ detail: `toUrl of the camera type ${type.name} threw an error` })
      )
    }
    return Result.fail(
      new InvalidUrl({ detail: `toUrl of the camera type ${type.name} gave no address` })
    )
  }
})
