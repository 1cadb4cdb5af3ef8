/**
 * Loads the settings: defaults, then the file, then flags, then the environment.
 *
 * A later source overrides an earlier one, so the environment overrides a flag. Only the effective value is parsed.
 * Pure: the caller reads the file and the environment.
 */
import * as Result from "effect/Result"
import type * as Dsn from "./Dsn.ts"
import { oneLine } from "./Redaction.ts"
import { hasNamedServers, isOfOneServer } from "./ServersOf.ts"
import { valueAt, withValueAt } from "./Setting.ts"
import { defaultSettings, type Settings, settingGroups, settings } from "./Settings.ts"
import { displayConfigValue } from "./SettingType.ts"
import { SettingsError, type SettingsProblem } from "./SettingsError.ts"
import { collect, type Origin, originText, type Sources } from "./Sources.ts"

/** The settings with their origins. They print without secrets. */
export interface LoadedSettings {
  readonly settings: Settings
  /** The origin of each value, by the key of the setting. */
  readonly origins: ReadonlyMap<string, Origin>
}

/** The result of loading, with or without problems. */
export interface LoadAttempt extends LoadedSettings {
  readonly problems: ReadonlyArray<SettingsProblem>
  /**
   * Where a setting was set: `restream.yaml:12`, `--pg-dsn`. The path may go deeper than a setting:
   * `["cameraTypes", "acme"]`.
   */
  readonly originOf: (path: ReadonlyArray<string>) => string
  /** Whether the file could be read and parsed. If not, a setting without a value may be set in the file. */
  readonly isComplete: boolean
}

/**
 * Loads the settings and collects all problems, for a caller with further checks. An invalid setting has its
 * default. Never throws.
 */
export const attempt = (sources: Sources = {}): LoadAttempt => {
  const { isComplete, placeOf, problems, values } = collect(sources)
  const origins = new Map<string, Origin>(
    settings.map(({ key }) => [key, values.get(key)?.origin ?? { _tag: "Default" }])
  )
  const originOf = (path: ReadonlyArray<string>): string => {
    const setting = settings.find((one) => one.path.every((name, index) => name === path[index]))
    const origin = origins.get(setting?.key ?? "") ?? { _tag: "Default" }
    return origin._tag === "File" ? placeOf(path) : originText(origin)
  }
  const found: Array<SettingsProblem> = []
  const invalid = new Set<string>()
  const report = (path: ReadonlyArray<string>, message: string) =>
    found.push({ key: path.join("."), origin: originOf(path), message })

  let loaded = defaultSettings
  for (const { key, path, type } of settings) {
    const raw = values.get(key)
    if (raw === undefined) continue
    const parsed = type.parse(raw.value)
    if (Result.isSuccess(parsed)) loaded = withValueAt(loaded, path, parsed.success) as Settings
    else {
      invalid.add(key)
      report(path, parsed.failure)
    }
  }
  for (const { key, rules } of settingGroups) {
    for (const { at, isViolated, message, other } of rules) {
      const isKnown = !invalid.has(`${key}.${at}`) && !invalid.has(`${key}.${other}`)
      if (isKnown && isViolated(valueAt(loaded, [key]))) report([key, at], message)
    }
  }
  if (hasNamedServers(loaded)) {
    const set = [...values].filter(([key]) => isOfOneServer(key))
    if (set.length > 0) {
      const which = set.map(([key, { origin }]) => `${key} (${originText(origin)})`).join(", ")
      report(["mediaServers"], `conflicts with ${which}; set it for each server in mediaServers`)
    }
  } else if (loaded.failover.after !== undefined && !invalid.has("mediaServers")) {
    report(["failover", "after"], "requires mediaServers; cameras have no other server to move to")
  }
  return { settings: loaded, origins, problems: [...problems, ...found], originOf, isComplete }
}

/** Loads the settings, or fails with all problems. Never throws. */
export const load = (sources: Sources = {}): Result.Result<LoadedSettings, SettingsError> => {
  const { origins, problems, settings } = attempt(sources)
  return problems.length === 0
    ? Result.succeed({ settings, origins })
    : Result.fail(new SettingsError({ problems }))
}

/** The DSN, or an error if it is not set. */
export const requireDsn = (settings: Settings): Result.Result<Dsn.Dsn, SettingsError> =>
  settings.database.dsn === undefined
    ? fail(
        "database.dsn",
        "not set; set PG_DSN, --pg-dsn, or database.dsn in the settings file to postgres://user:password@host:5432/database"
      )
    : Result.succeed(settings.database.dsn)

/** Where the cameras are listed. */
export type CameraList =
  | { readonly _tag: "Database"; readonly dsn: Dsn.Dsn }
  | { readonly _tag: "File"; readonly file: string }

/** The database or the file, or an error if neither or both of them are set. */
export const requireCameraList = ({
  database: { dsn },
  source: { file }
}: Settings): Result.Result<CameraList, SettingsError> => {
  if (file !== undefined && dsn !== undefined) {
    return fail(
      "source.file",
      "conflicts with database.dsn (PG_DSN), because both list the cameras; remove one of them"
    )
  }
  if (file !== undefined) return Result.succeed({ _tag: "File", file })
  return dsn === undefined
    ? fail(
        "database.dsn",
        "not set, and neither is source.file; run restream init, or set PG_DSN (postgres://user:password@host:5432/database) or source.file (a YAML or CSV file)"
      )
    : Result.succeed({ _tag: "Database", dsn })
}

const fail = (origin: string, message: string): Result.Result<never, SettingsError> =>
  Result.fail(new SettingsError({ problems: [{ key: undefined, origin, message }] }))

/** Whether the settings file sets a password: a value whose display differs from the text in the file. */
export const holdsPassword = (loaded: LoadedSettings): boolean =>
  settings.some(({ key, path, type }) => {
    if (!type.isSecret || loaded.origins.get(key)?._tag !== "File") return false
    const value = valueAt(loaded.settings, path)
    return type.display(value) !== displayConfigValue(type.format(value))
  })

/** A setting for people. All texts are on one line. */
export interface SettingRow {
  readonly key: string
  /** Empty if not set; a secret is `***`, and a DSN has no password. */
  readonly value: string
  /** `default`, `restream.yaml:12`, `--pg-dsn` or `PG_DSN`. */
  readonly origin: string
}

/** One row per setting, in the order of the documentation. */
export const settingRows = (loaded: LoadedSettings): ReadonlyArray<SettingRow> =>
  settings.map(({ key, path, type }) => {
    const value = valueAt(loaded.settings, path)
    return {
      key,
      value: value === undefined ? "" : oneLine(type.display(value)),
      origin: originText(loaded.origins.get(key) ?? { _tag: "Default" })
    }
  })
