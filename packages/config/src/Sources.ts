/** Collects what the file, the flags and the environment give, before anything is decoded. */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { nearest } from "./SchemaFault.ts"
import { settingGroups, settings } from "./Settings.ts"
import type { SettingsFault } from "./SettingsError.ts"
import { type FileContent, readFile, type SettingsFile } from "./SettingsFile.ts"
import { shownName } from "./Shown.ts"

/** Where settings come from. */
export interface Sources {
  /** `undefined`: there is no file. */
  readonly file?: SettingsFile | undefined
  /** By the flag's name without dashes, either of its names: `{ "pg_dsn": "postgres://…" }`. */
  readonly flags?: Readonly<Record<string, string | boolean | undefined>> | undefined
  /** The whole environment. An empty variable counts as missing. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Variables that begin with `RESTREAM_` and are no settings, but something to the caller. */
  readonly otherVariables?: ReadonlyArray<string> | undefined
}

/** Where the value of a setting came from. */
export type Origin =
  | { readonly _tag: "Default" }
  /** `place` is the file's name and the line, such as `restream.yaml:12`. */
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

/** A value as it was given, and where. */
export interface Given {
  readonly value: unknown
  readonly origin: Origin
}

/** What was given for each key, and everything that belongs to no setting. */
interface Part {
  readonly given: ReadonlyMap<string, Given>
  readonly faults: ReadonlyArray<SettingsFault>
}

/** What all sources give. */
export interface Collection extends Part {
  /** Where a value of the file stands, and all that is below it. */
  readonly placeOf: FileContent["placeOf"]
  /** Whether the file could be read, so that what is missing is missing indeed. */
  readonly isWhole: boolean
}

/** Collects all sources; the later wins: the file, then flags, then the environment. */
export const collect = (sources: Sources): Collection => {
  const { file } = sources
  const content = file === undefined ? undefined : readFile(file)
  const parts = [
    fromFile(content),
    fromFlags(sources.flags ?? {}),
    fromEnv(sources.env ?? {}, sources.otherVariables ?? [])
  ]
  return {
    given: new Map(parts.flatMap(({ given }) => [...given])),
    faults: parts.flatMap(({ faults }) => faults),
    placeOf:
      content !== undefined && Result.isSuccess(content)
        ? content.success.placeOf
        : () => file?.name ?? "default",
    isWhole: content === undefined || Result.isSuccess(content)
  }
}

const fromFile = (content: Result.Result<FileContent, SettingsFault> | undefined): Part => {
  if (content === undefined) return { given: new Map(), faults: [] }
  return Result.isFailure(content)
    ? { given: new Map(), faults: [content.failure] }
    : fromContent(content.success)
}

const leafKeys = new Set(settings.map(({ key }) => key))
const groupKeys = settingGroups.flatMap(({ key }) => (key === "" ? [] : [key]))

/** A key without a value, such as a group in which all is commented out, sets nothing. */
const fromContent = ({ placeOf, root }: FileContent): Part => {
  const given = new Map<string, Given>()
  const faults: Array<SettingsFault> = []
  const take = (path: ReadonlyArray<string>, value: unknown) => {
    const key = path.join(".")
    const place = placeOf(path)
    // a dotted key of one word is not the key of two words
    if (path.length === key.split(".").length && leafKeys.has(key)) {
      if (value !== null) given.set(key, { value, origin: { _tag: "File", place } })
    } else if (path.length > 1 || !groupKeys.includes(key)) {
      const shown = path.map(shownName).join(".")
      faults.push({ key: shown, origin: place, expectation: `is not known${hintForKey(path)}` })
    } else if (Predicate.isObject(value)) {
      for (const [name, inner] of Object.entries(value)) take([key, name], inner)
    } else if (value !== null) {
      faults.push({ key, origin: place, expectation: "expected its settings, indented below it" })
    }
  }
  for (const [name, value] of Object.entries(root)) take([name], value)
  return { given, faults }
}

const didYouMean = (candidate: string | undefined): string =>
  candidate === undefined ? "" : `; did you mean ${candidate}?`

const hintForKey = (path: ReadonlyArray<string>): string => {
  const word = path.at(-1) ?? ""
  const group = path.length > 1 ? path[0] : ""
  const siblings = settings.filter(
    (one) => one.path.length === path.length && (group === "" || one.path[0] === group)
  )
  const near = nearest(word, [
    ...siblings.map((one) => one.path.at(-1) ?? ""),
    ...(group === "" ? groupKeys : [])
  ])
  if (near !== undefined && !leafKeys.has(word)) {
    return didYouMean(group === "" ? near : `${group}.${near}`)
  }
  const meant = settings.find(
    (one) =>
      one.key === word ||
      one.path.at(-1)?.toLowerCase() === word.toLowerCase() ||
      [one.env, ...one.flags].includes(word)
  )
  if (meant === undefined) return ""
  const [outer, inner] = meant.path
  return inner === undefined
    ? didYouMean(meant.key)
    : `; did you mean ${meant.key}, which is "${inner}:" indented below "${outer}:"?`
}

const fromFlags = (flags: NonNullable<Sources["flags"]>): Part => {
  const given = new Map<string, Given>()
  const faults: Array<SettingsFault> = []
  const known = new Set<string>()
  for (const { flags: names, key } of settings) {
    for (const name of names) {
      known.add(name)
      const value = Object.hasOwn(flags, name) ? flags[name] : undefined
      if (value !== undefined && !given.has(key)) {
        given.set(key, { value, origin: { _tag: "Flag", name } })
      }
    }
  }
  for (const [name, value] of Object.entries(flags)) {
    if (known.has(name) || value === undefined) continue
    const own = settings.find(({ ownFlag }) => ownFlag === name)
    const meant = own?.flags[0] ?? nearest(name, known)
    faults.push({
      key: undefined,
      origin: `--${shownName(name)}`,
      expectation:
        own !== undefined && meant === undefined
          ? `is not known; only a file can set ${own.key}`
          : `is not known${didYouMean(meant && `--${meant}`)}`
    })
  }
  return { given, faults }
}

/**
 * Kubernetes tells every container the address of each service: for one named `restream-metrics` there
 * are RESTREAM_METRICS_SERVICE_HOST, RESTREAM_METRICS_PORT=tcp://…, RESTREAM_METRICS_PORT_9090_TCP and more.
 */
const isServiceLink = (name: string, value: string): boolean =>
  /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(
    name
  ) ||
  (name.endsWith("_PORT") && /^(?:tcp|udp|sctp):\/\//.test(value))

/** Not all names begin with RESTREAM_, so what comes after it is what tells them apart. */
const nearestVariable = (name: string, known: ReadonlySet<string>): string | undefined => {
  const bare = (text: string) => text.replace(/^RESTREAM_/, "")
  const byBare = new Map([...known].map((one) => [bare(one), one]))
  return byBare.get(nearest(bare(name), byBare.keys()) ?? "")
}

const fromEnv = (env: NonNullable<Sources["env"]>, otherVariables: ReadonlyArray<string>): Part => {
  const given = new Map<string, Given>()
  const faults: Array<SettingsFault> = []
  const known = new Set<string>(otherVariables)
  for (const { env: name, key } of settings) {
    if (name === undefined) continue
    known.add(name)
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (value !== undefined && value !== "") {
      given.set(key, { value, origin: { _tag: "Env", name } })
    }
  }
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith("RESTREAM_") || known.has(name)) continue
    if (value === undefined || value === "" || isServiceLink(name, value)) continue
    const own = settings.find(({ ownEnv }) => ownEnv === name)
    const meant = own === undefined ? nearestVariable(name, known) : own.env
    faults.push({
      key: undefined,
      origin: shownName(name),
      expectation:
        own !== undefined && meant === undefined
          ? `is not known; only a file can set ${own.key}`
          : `is not known${didYouMean(meant)}`
    })
  }
  return { given, faults }
}
