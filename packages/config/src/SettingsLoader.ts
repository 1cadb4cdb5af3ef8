/**
 * Layers the settings: defaults, then the file, then flags, then the environment.
 *
 * The later wins, so the environment beats the flag. Only what wins is decoded; a value that another
 * one covers is not judged. Pure: the caller reads the file and the environment.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Dsn from "./Dsn.ts"
import { schemaFaults } from "./SchemaFault.ts"
import { Settings, settings } from "./Settings.ts"
import { SettingsError } from "./SettingsError.ts"
import { collect, type Origin, originText, type Sources } from "./Sources.ts"

/** The settings in force. They print without secrets. */
export interface Loaded {
  readonly settings: Settings
  /** Where each value came from, by the setting's key. */
  readonly origins: ReadonlyMap<string, Origin>
}

const decode = Schema.decodeUnknownResult(Settings)

/** Loads the settings, or says everything that is wrong with them at once. Never throws. */
export const load = (sources: Sources = {}): Result.Result<Loaded, SettingsError> => {
  const { faults, given } = collect(sources)
  const tree: Record<string, unknown> = {}
  const origins = new Map<string, Origin>()
  for (const { key, path } of settings) {
    const one = given.get(key)
    origins.set(key, one?.origin ?? { _tag: "Default" })
    if (one !== undefined) put(tree, path, one.value)
  }
  const decoded = decode(tree, { errors: "all" })
  if (Result.isSuccess(decoded) && faults.length === 0) {
    return Result.succeed({ settings: decoded.success, origins })
  }
  const wrong = Result.isSuccess(decoded)
    ? []
    : schemaFaults(decoded.failure).map(({ message, path }) => {
        const key = path.join(".")
        const origin = originText(origins.get(key) ?? { _tag: "Default" })
        return { key, origin, expectation: message }
      })
  return Result.fail(new SettingsError({ faults: [...faults, ...wrong] }))
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
