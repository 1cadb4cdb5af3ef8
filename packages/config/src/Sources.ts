/** Collects the raw values from the file, the flags and the environment. */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { displayName } from "./Display.ts"
import type { Setting } from "./Setting.ts"
import { settingGroups, settings } from "./Settings.ts"
import type { SettingsProblem } from "./SettingsError.ts"
import { type FileContent, readFile, type SettingsFile } from "./SettingsFile.ts"
import { nearest } from "./Suggestion.ts"

/** The sources of the settings. */
export interface Sources {
  /** `undefined`: no file. */
  readonly file?: SettingsFile | undefined
  /** By the name of the flag without dashes: `{ "pg_dsn": "postgres://…" }`. */
  readonly flags?: Readonly<Record<string, string | boolean | undefined>> | undefined
  /** The whole environment. An empty variable counts as not set. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Variables that begin with `RESTREAM_`, are not settings, and are read by the caller. */
  readonly otherVariables?: ReadonlyArray<string> | undefined
}

/** Where the value of a setting was set. */
export type Origin =
  | { readonly _tag: "Default" }
  /** `place` is the name of the file and the line: `restream.yaml:12`. */
  | { readonly _tag: "File"; readonly place: string }
  /** Without dashes. */
  | { readonly _tag: "Flag"; readonly name: string }
  | { readonly _tag: "Env"; readonly name: string }

/** The origin for people: `default`, `restream.yaml:12`, `--pg-dsn`, `PG_DSN`. */
export const originText = (origin: Origin): string => {
  switch (origin._tag) {
    case "Default":
      return "default"
    case "File":
      return origin.place
    case "Flag":
      return `--${origin.name}`
    case "Env":
      return origin.name
  }
}

/** A value before it is parsed, with its origin. */
interface RawValue {
  readonly value: unknown
  readonly origin: Origin
}

/** The raw values by the key of the setting, and the names that belong to no setting. */
interface Collected {
  readonly values: ReadonlyMap<string, RawValue>
  readonly problems: ReadonlyArray<SettingsProblem>
}

/** The raw values of all sources. */
export interface Collection extends Collected {
  /** The position of a key in the file. */
  readonly placeOf: FileContent["placeOf"]
  /** Whether the file could be parsed. */
  readonly isComplete: boolean
}

/** Collects the raw values of all sources; flags replace the file, the environment replaces flags. */
export const collect = ({
  env = {},
  file,
  flags = {},
  otherVariables = []
}: Sources): Collection => {
  const content = file === undefined ? Result.succeed(undefined) : readFile(file)
  const parsed = Result.getOrUndefined(content)
  const parts = [
    parsed === undefined ? { values: new Map(), problems: [] } : fromFile(parsed),
    fromNames(flagNames, flags, []),
    fromNames(variableNames, env, otherVariables)
  ]
  return {
    values: new Map(parts.flatMap(({ values }) => [...values])),
    problems: [
      ...(Result.isFailure(content) ? [content.failure] : []),
      ...parts.flatMap(({ problems }) => problems)
    ],
    placeOf: parsed?.placeOf ?? (() => file?.name ?? "default"),
    isComplete: Result.isSuccess(content)
  }
}

const leafKeys = new Set(settings.map(({ key }) => key))
const groupKeys = settingGroups.flatMap(({ key }) => (key === "" ? [] : [key]))

/** A key without a value, such as a group whose settings are all commented out, sets nothing. */
const fromFile = ({ placeOf, root }: FileContent): Collected => {
  const values = new Map<string, RawValue>()
  const problems: Array<SettingsProblem> = []
  const visit = (path: ReadonlyArray<string>, value: unknown) => {
    const key = path.join(".")
    const origin = placeOf(path)
    // the one key "database.table" is not the two keys of the setting
    if (path.length === key.split(".").length && leafKeys.has(key)) {
      if (value !== null) values.set(key, { value, origin: { _tag: "File", place: origin } })
    } else if (path.length > 1 || !groupKeys.includes(key)) {
      const message = `unknown setting${suggestKey(path)}`
      problems.push({ key: path.map(displayName).join("."), origin, message })
    } else if (Predicate.isObject(value)) {
      for (const [name, inner] of Object.entries(value)) visit([key, name], inner)
    } else if (value !== null) {
      problems.push({ key, origin, message: "expected the settings of the group, indented below" })
    }
  }
  for (const [name, value] of Object.entries(root)) visit([name], value)
  return { values, problems }
}

/** Looks for a similar key in the same group, then for the same name anywhere. */
const suggestKey = (path: ReadonlyArray<string>): string => {
  const word = path.at(-1) ?? ""
  const [group] = path.length > 1 ? path : [undefined]
  const siblings = settings.filter(
    (one) => one.path.length === path.length && (group === undefined || one.path[0] === group)
  )
  const near = leafKeys.has(word)
    ? undefined
    : nearest(word, [
        ...siblings.map((one) => one.path.at(-1) ?? ""),
        ...(group === undefined ? groupKeys : [])
      ])
  if (near !== undefined) return `; did you mean ${group === undefined ? "" : `${group}.`}${near}?`
  const meant = settings.find(
    (one) =>
      one.path.at(-1)?.toLowerCase() === word.toLowerCase() ||
      [one.key, one.env, ...one.flags].includes(word)
  )
  if (meant === undefined) return ""
  const [outer, inner] = meant.path
  const where = inner === undefined ? "" : ` Write "${inner}:" indented below "${outer}:".`
  return `; did you mean ${meant.key}?${where}`
}

/** How the flags or the variables name the settings. */
interface Names {
  /** For messages: `flag`. */
  readonly noun: string
  readonly of: (setting: Setting) => ReadonlyArray<string>
  /** The name that the key gives, even if it is not accepted. */
  readonly derived: (setting: Setting) => string
  readonly origin: (name: string) => Origin
  readonly isSet: (value: unknown, name: string) => boolean
  /** Whether a name that belongs to no setting is a problem. */
  readonly isOurs: (name: string) => boolean
  readonly nearest: (name: string, known: ReadonlySet<string>) => string | undefined
}

const flagNames: Names = {
  noun: "flag",
  of: ({ flags }) => flags,
  derived: ({ derivedFlag }) => derivedFlag,
  origin: (name) => ({ _tag: "Flag", name }),
  isSet: (value) => value !== undefined,
  isOurs: () => true,
  nearest
}

const prefix = /^RESTREAM_/

const variableNames: Names = {
  noun: "variable",
  of: ({ env }) => (env === undefined ? [] : [env]),
  derived: ({ derivedEnv }) => derivedEnv,
  origin: (name) => ({ _tag: "Env", name }),
  // a service named media-server sets MEDIA_SERVER_PORT=tcp://…
  isSet: (value, name) =>
    value !== undefined && value !== "" && !isServiceLink(name, String(value)),
  isOurs: (name) => prefix.test(name),
  // PG_DSN and others have no prefix, so names are compared without it
  nearest: (name, known) => {
    const byBareName = new Map([...known].map((one) => [one.replace(prefix, ""), one]))
    return byBareName.get(nearest(name.replace(prefix, ""), byBareName.keys()) ?? "")
  }
}

/**
 * Kubernetes passes the address of each service to every container: for a service `restream-metrics` as
 * RESTREAM_METRICS_SERVICE_HOST, RESTREAM_METRICS_PORT=tcp://…, RESTREAM_METRICS_PORT_9090_TCP and others.
 */
const isServiceLink = (name: string, value: string): boolean =>
  /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(
    name
  ) ||
  (name.endsWith("_PORT") && /^(?:tcp|udp|sctp):\/\//.test(value))

const fromNames = (
  names: Names,
  given: Readonly<Record<string, string | boolean | undefined>>,
  others: ReadonlyArray<string>
): Collected => {
  const values = new Map<string, RawValue>()
  const problems: Array<SettingsProblem> = []
  const known = new Set(others)
  for (const setting of settings) {
    for (const name of names.of(setting)) {
      known.add(name)
      const value = Object.hasOwn(given, name) ? given[name] : undefined
      if (names.isSet(value, name) && !values.has(setting.key)) {
        values.set(setting.key, { value, origin: names.origin(name) })
      }
    }
  }
  for (const [name, value] of Object.entries(given)) {
    if (known.has(name) || !names.isSet(value, name) || !names.isOurs(name)) continue
    problems.push({
      key: undefined,
      origin: originText(names.origin(displayName(name))),
      message: `unknown ${names.noun}${suggestName(names, name, known)}`
    })
  }
  return { values, problems }
}

const suggestName = (names: Names, name: string, known: ReadonlySet<string>): string => {
  const setting = settings.find((one) => names.derived(one) === name)
  const accepted = setting && names.of(setting)[0]
  if (setting !== undefined && accepted === undefined) {
    return `; ${setting.key} can be set only in the file`
  }
  const meant = accepted ?? names.nearest(name, known)
  return meant === undefined ? "" : `; did you mean ${originText(names.origin(meant))}?`
}
