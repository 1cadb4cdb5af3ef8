/**
 * What one setting is: a field of the schema that knows its default, its words for people, and the
 * names under which it is set.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import type { Kind, Written } from "./Kind.ts"
import { shownGiven } from "./Shown.ts"

/**
 * How a change of a setting comes into force in a daemon that runs: by `reload` (SIGHUP), or by a `restart`
 * only.
 */
export type AppliedBy = "reload" | "restart"

/** What the schema's author says of a setting. */
export interface SettingOptions<A> {
  /** One or two plain sentences for the documentation, the example file and `--help`. */
  readonly description: string
  /** Each author decides it, so that no setting is forgotten. */
  readonly appliedBy: AppliedBy
  /** What the number counts, where the kind does not say it: `cameras`, `bytes`. */
  readonly unit?: string
  /** Whether the value must never show. */
  readonly secret?: boolean
  /** How the value is shown to people, where that is neither `***` nor the value itself. */
  readonly show?: (value: A) => string
  /** How the value looks, for a setting without a default. */
  readonly example?: Written
  /** The environment variable, where it is not `RESTREAM_` and the key. */
  readonly env?: string
  /** The flags, where they are not the key's; the first is the one to name. Without dashes. */
  readonly flags?: readonly [string, ...Array<string>]
  /** Whether only the file can hold it, because it has no form as one text. */
  readonly fileOnly?: boolean
}

interface Leaf extends SettingOptions<any> {
  readonly _tag: "Leaf"
  readonly values: string
  readonly default: Written | undefined
  readonly print: (value: any) => Written
}

interface Branch {
  readonly _tag: "Branch"
  readonly description: string
  readonly fields: Schema.Struct.Fields
  readonly rules: ReadonlyArray<Rule<any>>
}

/** What two settings of a group demand of each other. */
export interface Rule<Values> {
  /** The setting at which it is told. */
  readonly at: keyof Values & string
  /** The other one. While that can't be understood, nobody can say whether the rule holds. */
  readonly beside: keyof Values & string
  readonly isBroken: (values: Values) => boolean
  /** `needs mediaServer.username, too` */
  readonly says: string
}

/** One setting with all its names. */
export interface Setting {
  /** The keys from the root: `["database", "pollInterval"]`. */
  readonly path: ReadonlyArray<string>
  /** The same as one text: `database.pollInterval`. */
  readonly key: string
  readonly description: string
  readonly appliedBy: AppliedBy
  /** What may be given: `duration`, `auto | native | ffmpeg`. */
  readonly values: string
  readonly unit: string | undefined
  /** As it stands in a file; `undefined` where nothing is set by default. */
  readonly default: Written | undefined
  readonly example: Written | undefined
  readonly secret: boolean
  /** The environment variable, or `undefined` where only the file can hold the setting. */
  readonly env: string | undefined
  /** The flags without dashes, the one to name first. */
  readonly flags: ReadonlyArray<string>
  /** The environment variable and the flag that the key alone would give. */
  readonly ownEnv: string
  readonly ownFlag: string
  /** The value for people: a secret as `***`, nothing for what is not set. */
  readonly show: (value: unknown) => string
}

/** A group of settings. */
export interface SettingGroup {
  readonly key: string
  readonly description: string
  readonly settings: ReadonlyArray<Setting>
  readonly rules: ReadonlyArray<Rule<any>>
}

const annotation = "~@restream/config/Setting"

/** A field with a default, in the kind's form for files. */
export const setting = <A>(
  kind: Kind<A>,
  options: SettingOptions<A> & { readonly default: Written }
) => field(kind.type, kind, options)

/** A field that may be left out; the program then gets `undefined`. */
export const optionalSetting = <A>(kind: Kind<A>, options: SettingOptions<A>) =>
  field<A, A | undefined>(Schema.UndefinedOr(kind.type), kind, { ...options, default: undefined })

const field = <A, B extends A | undefined>(
  type: Schema.Codec<B>,
  kind: Kind<A>,
  options: SettingOptions<A> & { readonly default: Written | undefined }
) => {
  const hidden = options.secret === true || options.show !== undefined
  const leaf: Leaf = { ...options, _tag: "Leaf", values: kind.values, print: kind.print }
  return Schema.Unknown.pipe(
    Schema.decodeTo(type, {
      decode: SchemaGetter.transformEffect((given: unknown) => {
        if (given === undefined && options.default === undefined) {
          return Effect.succeed(undefined as B)
        }
        const value = kind.parse(given)
        if (Result.isSuccess(value)) return Effect.succeed(value.success as unknown as B)
        const shown = hidden ? undefined : shownGiven(given)
        const message = shown === undefined ? value.failure : `${value.failure}, not ${shown}`
        return Effect.fail(new SchemaIssue.InvalidValue({ message }))
      }),
      encode: SchemaGetter.transform((value: B): unknown =>
        value === undefined ? undefined : kind.print(value)
      )
    }),
    Schema.withDecodingDefaultKey(Effect.succeed(options.default as unknown))
  ).annotate({ [annotation]: leaf })
}

/** A group of fields. It may be left out, and everything in it too. */
export const group = <const F extends Schema.Struct.Fields>(
  description: string,
  fields: F,
  rules: ReadonlyArray<Rule<Schema.Struct<F>["Type"]>> = []
) => {
  const branch: Branch = { _tag: "Branch", description, fields, rules }
  const broken = (values: Schema.Struct<F>["Type"]) =>
    rules.flatMap(({ at, isBroken, says }) =>
      isBroken(values) ? [{ path: [at], issue: says }] : []
    )
  return Schema.Struct(fields)
    .check(Schema.makeFilter(broken))
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed({} as Schema.Struct<F>["Encoded"])))
    .annotate({ [annotation]: branch })
}

const constantCase = (path: ReadonlyArray<string>): string =>
  path.map((name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join("_")

const kebabCase = (path: ReadonlyArray<string>): string =>
  constantCase(path).toLowerCase().replaceAll("_", "-")

const make = (path: ReadonlyArray<string>, leaf: Leaf): Setting => {
  const ownEnv = `RESTREAM_${constantCase(path)}`
  const ownFlag = kebabCase(path)
  const fileOnly = leaf.fileOnly === true
  const secret = leaf.secret === true
  return {
    path,
    key: path.join("."),
    description: leaf.description,
    appliedBy: leaf.appliedBy,
    values: leaf.values,
    unit: leaf.unit,
    default: leaf.default,
    example: leaf.example,
    secret,
    env: fileOnly ? undefined : (leaf.env ?? ownEnv),
    flags: fileOnly ? [] : (leaf.flags ?? [ownFlag]),
    ownEnv,
    ownFlag,
    show: (value) => {
      if (value === undefined) return ""
      if (leaf.show !== undefined) return leaf.show(value)
      return secret ? "***" : inWords(leaf.print(value))
    }
  }
}

/** A value from a file as one text for people. */
export const inWords = (written: Written): string => {
  if (Array.isArray(written)) return written.map(inWords).join(", ")
  if (typeof written !== "object") return String(written)
  return Object.entries(written)
    .map(([name, value]) => `${name}: ${inWords(value)}`)
    .join(", ")
}

/** All groups of a schema made of {@link group} and {@link setting}; those at its root come last, under the key "". */
export const groupsOf = (schema: {
  readonly fields: Schema.Struct.Fields
}): ReadonlyArray<SettingGroup> => {
  const groups: Array<SettingGroup> = []
  const root: Array<Setting> = []
  for (const [name, field] of Object.entries(schema.fields)) {
    const node = nodeOf(field)
    if (node._tag === "Leaf") root.push(make([name], node))
    else {
      const settings = Object.entries(node.fields).flatMap(([inner, innerField]) => {
        const leaf = nodeOf(innerField)
        return leaf._tag === "Leaf" ? [make([name, inner], leaf)] : []
      })
      groups.push({ key: name, description: node.description, settings, rules: node.rules })
    }
  }
  return [
    ...groups,
    { key: "", description: "These stand in no group.", settings: root, rules: [] }
  ]
}

const nodeOf = (field: Schema.Constraint): Leaf | Branch =>
  Schema.resolveAnnotations(field)?.[annotation] as Leaf | Branch
