/** Loads the settings of this process: from its file, its flags and its environment. */
import {
  type Loaded,
  load,
  requireDsn,
  type Settings,
  SettingsError,
  type Dsn
} from "@restream/config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { SettingFlags } from "./SettingFlags.ts"

/** Taken where it stands and no file is named. */
const defaultFile = "restream.yaml"

/** Variables that begin as ours do, and are no settings. */
export const otherVariables = ["RESTREAM_CONFIG"]

/**
 * Loads the settings, or fails with everything that is wrong with them.
 *
 * The file is `--config`, else `RESTREAM_CONFIG`, else `restream.yaml` where there is one.
 */
export const loadSettings = Effect.fnUntraced(function* (
  given: SettingFlags
): Effect.fn.Return<Loaded, SettingsError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const env = process.env
  const named = Option.getOrUndefined(given.config) ?? (env["RESTREAM_CONFIG"] || undefined)
  const name = named ?? defaultFile
  const text = yield* fs.readFileString(name).pipe(
    Effect.asSome,
    Effect.catch((error) =>
      named === undefined && error.reason._tag === "NotFound"
        ? Effect.succeedNone
        : Effect.fail(
            new SettingsError({
              faults: [
                { key: undefined, origin: name, expectation: `can't be read: ${error.reason._tag}` }
              ]
            })
          )
    )
  )
  const file = Option.getOrUndefined(Option.map(text, (content) => ({ name, text: content })))
  return yield* Effect.fromResult(load({ file, flags: given.flags, env, otherVariables }))
})

/** The DSN, or the one line that says that it is missing. */
export const databaseOf = (settings: Settings): Effect.Effect<Dsn.Dsn, SettingsError> =>
  Effect.fromResult(requireDsn(settings))
