/** Loads the settings of this process: from its file, its flags and its environment. */
import {
  type Attempt,
  attempt,
  type Dsn,
  type Loaded,
  requireDsn,
  type Settings,
  SettingsError,
  type SettingsFault
} from "@restream/config"
import type { CameraType } from "@restream/core"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { dsnProblems } from "../database/Database.ts"
import { fileProblem } from "../text/FileProblem.ts"
import { loadPlugins } from "./LoadPlugins.ts"
import type { SettingFlags } from "./SettingFlags.ts"
import { templateFaults } from "./Templates.ts"

/** Taken where it stands and no file is named. */
export const defaultFile = "restream.yaml"

/** Variables that begin as ours do, and are no settings. */
export const otherVariables = ["RESTREAM_CONFIG"]

/** What a command needs besides settings that can be understood. Default: nothing. */
export interface Needs {
  /** An address of the database by which one can connect. */
  readonly database?: boolean
  /** Templates that make addresses. */
  readonly templates?: boolean
  /** The modules that bring camera types. They are loaded then. */
  readonly plugins?: boolean
}

/** Settings that a command can run by. */
export interface Usable extends Loaded {
  /** The file that was read, by the name under which it was found. */
  readonly file: string | undefined
  /** What the plugins bring, if they were asked for. */
  readonly types: ReadonlyArray<CameraType.CameraType>
}

/**
 * Loads the settings, or fails with everything that keeps the command from running by them.
 *
 * The file is `RESTREAM_CONFIG`, else `--config`, else `restream.yaml` where there is one.
 */
export const loadSettings = Effect.fnUntraced(function* (
  given: SettingFlags,
  needs: Needs = {}
): Effect.fn.Return<Usable, SettingsError, FileSystem.FileSystem> {
  const { attempt, file } = yield* read(given)
  const { loaded } = attempt
  const plugins =
    needs.plugins === true ? yield* loadPlugins(attempt, file) : { types: [], faults: [] }
  const faults = [
    ...attempt.faults,
    ...(needs.database === true ? yield* databaseFaults(attempt) : []),
    ...(needs.templates === true ? templateFaults(attempt) : []),
    ...plugins.faults
  ]
  if (faults.length > 0) return yield* new SettingsError({ faults })
  return { ...loaded, file, types: plugins.types }
})

const read = Effect.fnUntraced(function* (given: SettingFlags) {
  const fs = yield* FileSystem.FileSystem
  const env = process.env
  const named = (env["RESTREAM_CONFIG"] || undefined) ?? Option.getOrUndefined(given.config)
  const name = named ?? defaultFile
  const text = yield* Effect.result(fs.readFileString(name))
  const others = { flags: given.flags, env, otherVariables }
  if (Result.isSuccess(text)) {
    return { attempt: attempt({ ...others, file: { name, text: text.success } }), file: name }
  }
  const rest = attempt(others)
  if (named === undefined && text.failure.reason._tag === "NotFound") {
    return { attempt: rest, file: undefined }
  }
  const unread: SettingsFault = {
    key: undefined,
    origin: name,
    expectation: `can't be read: ${fileProblem(text.failure)}`
  }
  const partial: Attempt = { ...rest, faults: [unread, ...rest.faults], isWhole: false }
  return { attempt: partial, file: undefined }
})

/** What keeps one from connecting, as far as it can be said without a connection. */
const databaseFaults = Effect.fnUntraced(function* ({ faults, isWhole, loaded, placeOf }: Attempt) {
  const key = "database.dsn"
  const dsn = requireDsn(loaded.settings)
  if (Result.isFailure(dsn)) {
    // one that can't be understood, or stands in a file that can't be read, is not missing
    return isWhole && !faults.some((fault) => fault.key === key) ? dsn.failure.faults : []
  }
  const problems = yield* dsnProblems(dsn.success)
  return problems.map((expectation) => ({ key, origin: placeOf(["database", "dsn"]), expectation }))
})

/** The DSN, for a command that has asked for it. */
export const databaseOf = (settings: Settings): Effect.Effect<Dsn.Dsn, SettingsError> =>
  Effect.fromResult(requireDsn(settings))
