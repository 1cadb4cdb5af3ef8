/** The definition of a setting: its type, its default, its documentation and its names. */
import { type ConfigValue, displayConfigValue, type SettingType } from "./SettingType.ts"

/** How a running daemon applies a change: by `reload` (SIGHUP), or by a `restart` only. */
export type AppliedBy = "reload" | "restart"

/** The properties of a setting besides its type and default. */
export interface SettingOptions {
  /** One or two sentences for the documentation, the example file and `--help`. */
  readonly description: string
  readonly appliedBy: AppliedBy
  /** The unit of the number if the type does not imply it: `cameras`, `bytes`. */
  readonly unit?: string
  /** An example value, for a setting without a default. */
  readonly example?: ConfigValue
  /** The environment variable. Default: `RESTREAM_` and the key. */
  readonly env?: string
  /** The flags without dashes, the documented one first. Default: the key. */
  readonly flags?: readonly [string, ...Array<string>]
  /** Whether only the file can hold the value, because it cannot be written as one text. */
  readonly fileOnly?: boolean
}

export interface Definition<A> extends SettingOptions {
  readonly _tag: "Definition"
  readonly type: SettingType<any>
  readonly default: ConfigValue | undefined
  readonly Type?: A
}

export interface Group<Fields> {
  readonly _tag: "Group"
  readonly description: string
  readonly fields: Fields
  readonly rules: ReadonlyArray<Rule<any>>
}

/** The settings that a record of definitions and groups describes. */
export type ValuesOf<Fields> = {
  readonly [Name in keyof Fields]: Fields[Name] extends Definition<infer A>
    ? A
    : Fields[Name] extends Group<infer Inner>
      ? ValuesOf<Inner>
      : never
}

/** A constraint between two settings of a group. It is not checked while the other setting is invalid. */
export interface Rule<Values> {
  /** The setting that a violation is reported for. */
  readonly at: keyof Values & string
  readonly other: keyof Values & string
  readonly isViolated: (values: Values) => boolean
  readonly message: string
}

/** A setting that is always present. The default has the form of the file. */
export const setting = <A>(
  type: SettingType<A>,
  options: SettingOptions & { readonly default: ConfigValue }
): Definition<A> => ({ ...options, _tag: "Definition", type })

/** A setting that is `undefined` by default. */
export const optionalSetting = <A>(
  type: SettingType<A>,
  options: SettingOptions
): Definition<A | undefined> => ({ ...options, _tag: "Definition", type, default: undefined })

/** A group of settings: a mapping in the file, a prefix of the names elsewhere. */
export const group = <const Fields extends Readonly<Record<string, Definition<any>>>>(
  description: string,
  fields: Fields,
  rules: ReadonlyArray<Rule<ValuesOf<Fields>>> = []
): Group<Fields> => ({ _tag: "Group", description, fields, rules })

/** A setting with its key and its names. */
export interface Setting extends Omit<Definition<any>, "env" | "fileOnly" | "flags"> {
  /** The keys from the root: `["database", "pollInterval"]`. */
  readonly path: ReadonlyArray<string>
  /** The path as one text: `database.pollInterval`. */
  readonly key: string
  /** The environment variable; `undefined` where only the file can hold the setting. */
  readonly env: string | undefined
  /** The flags without dashes, the documented one first. */
  readonly flags: ReadonlyArray<string>
  /** The environment variable and the flag that the key alone gives. */
  readonly derivedEnv: string
  readonly derivedFlag: string
}

/** A group of settings with its key; the settings outside of groups have the key "". */
export interface SettingGroup {
  readonly key: string
  readonly description: string
  readonly settings: ReadonlyArray<Setting>
  readonly rules: ReadonlyArray<Rule<any>>
}

const constantCase = (path: ReadonlyArray<string>): string =>
  path.map((name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join("_")

const toSetting = (path: ReadonlyArray<string>, definition: Definition<any>): Setting => {
  const { env, fileOnly, flags, ...rest } = definition
  const derivedEnv = `RESTREAM_${constantCase(path)}`
  const derivedFlag = constantCase(path).toLowerCase().replaceAll("_", "-")
  return {
    ...rest,
    path,
    key: path.join("."),
    env: fileOnly === true ? undefined : (env ?? derivedEnv),
    flags: fileOnly === true ? [] : (flags ?? [derivedFlag]),
    derivedEnv,
    derivedFlag
  }
}

/** All groups; the settings outside of groups come last. */
export const groupsOf = (
  fields: Readonly<
    Record<string, Definition<any> | Group<Readonly<Record<string, Definition<any>>>>>
  >
): ReadonlyArray<SettingGroup> => {
  const groups: Array<SettingGroup> = []
  const ungrouped: Array<Setting> = []
  for (const [key, field] of Object.entries(fields)) {
    if (field._tag === "Definition") ungrouped.push(toSetting([key], field))
    else {
      const settings = Object.entries(field.fields).map(([name, definition]) =>
        toSetting([key, name], definition)
      )
      groups.push({ key, description: field.description, settings, rules: field.rules })
    }
  }
  return [
    ...groups,
    { key: "", description: "Settings outside of the groups.", settings: ungrouped, rules: [] }
  ]
}

type Tree = Readonly<Record<string, any>>

/** The value at a path. */
export const valueAt = (tree: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce((value, name) => (value as Tree)[name], tree)

/** A copy of the tree with another value at a path. */
export const withValueAt = (
  tree: object,
  [name = "", ...rest]: ReadonlyArray<string>,
  value: unknown
): Tree => ({
  ...tree,
  [name]: rest.length === 0 ? value : withValueAt((tree as Tree)[name] ?? {}, rest, value)
})

/** The default for people; empty without a default. */
export const displayDefault = (setting: Setting): string =>
  setting.default === undefined ? "" : displayConfigValue(setting.default)
