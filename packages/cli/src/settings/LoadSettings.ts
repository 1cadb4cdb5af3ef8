/** Loads the settings of this process from the settings file, the flags and the environment. */
import {
  attempt,
  type Dsn,
  type LoadAttempt,
  type LoadedSettings,
  requireDsn,
  type Settings,
  SettingsError,
  type SettingsProblem
} from "@restream/config"
import { type CameraType, UrlTemplate } from "@restream/core"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { dsnProblems } from "../database/Database.ts"
import { fileProblem } from "../text/FileProblem.ts"
import { loadPlugins } from "./LoadPlugins.ts"
import type { SettingFlags } from "./SettingFlags.ts"

/** Read if it exists and no other file is named. */
export const defaultFile = "restream.yaml"

/** Variables with the prefix of the settings that are not settings. */
export const otherVariables = ["RESTREAM_CONFIG"]

/** What a command requires besides valid settings. Default: nothing. */
export interface Requirements {
  /** A DSN that this machine can use. */
  readonly database?: boolean
  /** Valid URL templates. */
  readonly templates?: boolean
  /** The modules that add camera types; they are loaded. */
  readonly plugins?: boolean
}

/** Settings that meet the requirements of a command. */
export interface ResolvedSettings extends LoadedSettings {
  /** The file that was read. */
  readonly file: string | undefined
  /** The camera types of the plugins, if they were required. */
  readonly types: ReadonlyArray<CameraType.CameraType>
}

/**
 * Loads the settings, or fails with everything that prevents the command from running.
 *
 * The file is `RESTREAM_CONFIG`, or else `--config`, or else `restream.yaml` if it exists.
 */
export const loadSettings = Effect.fnUntraced(function* (
  flags: SettingFlags,
  requirements: Requirements = {}
): Effect.fn.Return<ResolvedSettings, SettingsError, FileSystem.FileSystem> {
  const { attempt, file, owner } = yield* read(flags)
  const foreign = file === undefined ? [] : foreignPrograms(attempt, file, owner)
  const plugins =
    requirements.plugins === true && foreign.length === 0
      ? yield* loadPlugins(attempt, file)
      : { types: [], problems: [] }
  const problems = [
    ...attempt.problems,
    ...foreign,
    ...(requirements.database === true ? yield* databaseProblems(attempt) : []),
    ...(requirements.templates === true ? templateProblems(attempt) : []),
    ...plugins.problems
  ]
  if (problems.length > 0) return yield* new SettingsError({ problems })
  return { settings: attempt.settings, origins: attempt.origins, file, types: plugins.types }
})

const read = Effect.fnUntraced(function* ({ config, flags }: SettingFlags) {
  const fs = yield* FileSystem.FileSystem
  const env = process.env
  const named = (env["RESTREAM_CONFIG"] || undefined) ?? Option.getOrUndefined(config)
  const name = named ?? defaultFile
  const text = yield* Effect.result(fs.readFileString(name))
  const others = { flags, env, otherVariables }
  if (Result.isSuccess(text)) {
    // a file that is named is meant
    const info = named === undefined ? yield* Effect.option(fs.stat(name)) : Option.none()
    return {
      attempt: attempt({ ...others, file: { name, text: text.success } }),
      file: name,
      owner: Option.getOrUndefined(Option.flatMap(info, ({ uid }) => uid))
    }
  }
  const rest = attempt(others)
  if (named === undefined && text.failure.reason._tag === "NotFound") {
    return { attempt: rest, file: undefined }
  }
  const unreadable: SettingsProblem = {
    key: undefined,
    origin: name,
    message: `cannot read the settings file: ${fileProblem(text.failure)}`
  }
  const problems = [unreadable, ...rest.problems]
  return { attempt: { ...rest, problems, isComplete: false }, file: undefined }
})

/** The settings that name programs. */
const programKeys = ["plugins", "ffmpeg.path", "ffmpeg.ffprobePath"]

/**
 * The programs that `restream.yaml` of the working directory names, if the file belongs to somebody else than us
 * and root: in a folder that others may write, any command of restream would run them.
 */
const foreignPrograms = (
  { originOf, origins }: LoadAttempt,
  file: string,
  owner: number | undefined
): ReadonlyArray<SettingsProblem> =>
  owner === undefined || owner === 0 || owner === process.getuid?.()
    ? []
    : programKeys
        .filter((key) => origins.get(key)?._tag === "File")
        .map((key) => ({
          key,
          origin: originOf(key.split(".")),
          message: `${file} belongs to another user (uid ${owner}); to run the programs that it names, pass --config ${file}`
        }))

/** What prevents a connection, as far as it is known without one. */
const databaseProblems = Effect.fnUntraced(function* (attempt: LoadAttempt) {
  const key = "database.dsn"
  const dsn = requireDsn(attempt.settings)
  if (Result.isFailure(dsn)) {
    // an invalid DSN, or a DSN in an unreadable file, is not missing
    const isMissing = attempt.isComplete && !attempt.problems.some((problem) => problem.key === key)
    return isMissing ? dsn.failure.problems : []
  }
  const messages = yield* dsnProblems(dsn.success)
  return messages.map((message) => ({
    key,
    origin: attempt.originOf(["database", "dsn"]),
    message
  }))
})

const templateProblems = ({ originOf, settings }: LoadAttempt): ReadonlyArray<SettingsProblem> =>
  Object.entries(settings.cameraTypes).flatMap(([name, template]) => {
    const message = UrlTemplate.fault(template)
    const origin = originOf(["cameraTypes", name])
    return message === undefined ? [] : [{ key: `cameraTypes.${name}`, origin, message }]
  })

/** The DSN, for a command that requires the database. */
export const databaseOf = (settings: Settings): Effect.Effect<Dsn.Dsn, SettingsError> =>
  Effect.fromResult(requireDsn(settings))
