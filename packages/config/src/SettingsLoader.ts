/**
 * Layers the settings: defaults, then the file, then flags, then the environment.
 *
 * The later wins, so the environment beats the flag. Only what wins is decoded; a value that another
 * one covers is not judged. Pure: the caller reads the file and the environment.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Dsn from "./Dsn.ts"
import { type SchemaFault, schemaFaults } from "./SchemaFault.ts"
import { Settings, settingGroups, settings } from "./Settings.ts"
import { SettingsError, type SettingsFault } from "./SettingsError.ts"
import { collect, type Given, type Origin, originText, type Sources } from "./Sources.ts"

/** The settings in force. They print without secrets. */
export interface Loaded {
  readonly settings: Settings
  /** Where each value came from, by the setting's key. */
  readonly origins: ReadonlyMap<string, Origin>
}

/** What came of loading, whether a program may run by it or not. */
export interface Attempt {
  /** With everything left out that is wrong: there the default holds. */
  readonly loaded: Loaded
  readonly faults: ReadonlyArray<SettingsFault>
  /**
   * Where a setting was set, as one text: `restream.yaml:12`, `--pg-dsn`. Below a setting of the file, too:
   * `["cameraTypes", "acme"]`.
   */
  readonly placeOf: (path: ReadonlyArray<string>) => string
  /** Whether the file could be read, so that what is missing is missing indeed. */
  readonly isWhole: boolean
}

const decode = Schema.decodeUnknownResult(Settings)

/**
 * Loads the settings and goes on where something is wrong, for whoever has more to judge and wants to tell
 * all faults together. Never throws.
 */
export const attempt = (sources: Sources = {}): Attempt => {
  const { faults, given, isWhole, placeOf } = collect(sources)
  const origins = new Map<string, Origin>(
    settings.map(({ key }) => [key, given.get(key)?.origin ?? { _tag: "Default" }])
  )
  const { faults: wrong, values } = decodeWhatCanBe(given)
  const place = (path: ReadonlyArray<string>): string => {
    const setting = settings.find((one) => one.path.every((name, index) => name === path[index]))
    const origin = origins.get(setting?.key ?? "") ?? { _tag: "Default" }
    return origin._tag === "File" ? placeOf(path) : originText(origin)
  }
  const told = wrong.map(({ message, path }) => ({
    key: path.join("."),
    origin: place(path),
    expectation: message
  }))
  return {
    loaded: { settings: values, origins },
    faults: [...faults, ...told],
    placeOf: place,
    isWhole
  }
}

/** Values that are wrong hide the rules between the others, so those are judged once more without them. */
const decodeWhatCanBe = (
  given: ReadonlyMap<string, Given>
): { readonly values: Settings; readonly faults: ReadonlyArray<SchemaFault> } => {
  const faulty = new Set<string>()
  const faults: Array<SchemaFault> = []
  for (;;) {
    const tree: Record<string, unknown> = {}
    for (const { key, path } of settings) {
      const one = given.get(key)
      if (one !== undefined && !faulty.has(key)) put(tree, path, one.value)
    }
    const decoded = decode(tree, { errors: "all" })
    if (Result.isSuccess(decoded)) return { values: decoded.success, faults }
    const found = schemaFaults(decoded.failure)
    faults.push(...found.filter((fault) => !isUncertain(fault, faulty)))
    for (const { path } of found) faulty.add(path.join("."))
  }
}

/** Whether a rule was judged while the other setting that it is about could not be understood. */
const isUncertain = ({ message, path }: SchemaFault, faulty: ReadonlySet<string>): boolean =>
  settingGroups.some(
    ({ key, rules }) =>
      key === path[0] &&
      rules.some(
        ({ at, beside, says }) =>
          at === path[1] && says === message && faulty.has(`${key}.${beside}`)
      )
  )

/** Loads the settings, or says everything that is wrong with them at once. Never throws. */
export const load = (sources: Sources = {}): Result.Result<Loaded, SettingsError> => {
  const { faults, loaded } = attempt(sources)
  return faults.length === 0 ? Result.succeed(loaded) : Result.fail(new SettingsError({ faults }))
}

const put = (
  tree: Record<string, unknown>,
  [name = "", ...rest]: ReadonlyArray<string>,
  value: unknown
): void => {
  if (rest.length === 0) tree[name] = value
  else put((tree[name] ??= {}) as Record<string, unknown>, rest, value)
}

/** The DSN, for the commands that can do nothing without a database. */
export const requireDsn = (settings: Settings): Result.Result<Dsn.Dsn, SettingsError> =>
  settings.database.dsn === undefined
    ? Result.fail(
        new SettingsError({
          faults: [
            {
              key: undefined,
              origin: "database.dsn",
              expectation:
                "is not set; set PG_DSN, --pg-dsn or the file's database.dsn to postgres://user:password@host:5432/database"
            }
          ]
        })
      )
    : Result.succeed(settings.database.dsn)
