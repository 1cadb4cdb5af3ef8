/** Loads the settings of this process from the settings file, the flags and the environment. */
import {
  attempt,
  type CameraList,
  type Dsn,
  holdsPassword,
  type LoadAttempt,
  type LoadedSettings,
  requireCameraList,
  requireDsn,
  type Settings,
  SettingsError,
  type SettingsProblem
} from "@restream/config"
import { type CameraType, RegularFile, UrlTemplate } from "@restream/core"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { dirname, resolve } from "node:path"
import { dsnProblems } from "../database/Database.ts"
import { loadPlugins } from "./LoadPlugins.ts"
import type { SettingFlags } from "./SettingFlags.ts"

/** Read if it exists and no other file is named. */
export const defaultFile = "restream.yaml"

/** Variables with the prefix of the settings that are not settings. */
export const otherVariables = ["RESTREAM_CONFIG"]

/** The requirements of a command besides valid settings. Default: none. */
export interface Requirements {
  /** A DSN that this machine can use. */
  readonly database?: boolean
  /** A database or a file that lists the cameras. */
  readonly cameras?: boolean
  /** Settings that are complete for a daemon. Other commands also accept settings that need a flag of the daemon. */
  readonly daemon?: boolean
  /** Valid URL templates. */
  readonly templates?: boolean
  /** The modules that add camera types; they are loaded. */
  readonly plugins?: boolean
}

/** Settings that meet the requirements of a command. */
export interface ResolvedSettings extends LoadedSettings {
  /** The file that was read. */
  readonly file: string | undefined
  /** A warning that the file contains passwords and is readable by all users; one line. */
  readonly warning: string | undefined
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
  const { attempt, file, info } = yield* read(flags)
  const foreign = file === undefined ? [] : foreignPrograms(attempt, file, ownerOf(flags, info))
  const plugins =
    requirements.plugins === true && foreign.length === 0
      ? yield* loadPlugins(attempt, file)
      : { types: [], problems: [] }
  const problems = [
    ...attempt.problems,
    ...foreign,
    ...(requirements.database === true
      ? yield* databaseProblems(attempt, requireDsn(attempt.settings))
      : []),
    ...(requirements.cameras === true
      ? yield* databaseProblems(attempt, requireCameraList(attempt.settings))
      : []),
    ...(requirements.daemon === true ? daemonProblems(attempt) : []),
    ...(requirements.templates === true ? templateProblems(attempt) : []),
    ...plugins.problems
  ]
  if (problems.length > 0) return yield* new SettingsError({ problems })
  const settings = withCameraFile(attempt, file)
  const isPublic = info !== undefined && RegularFile.isReadableByAll(info)
  const warning =
    file !== undefined && isPublic && holdsPassword(attempt)
      ? `settings file: ${RegularFile.publicWarning(file)}`
      : undefined
  return { settings, origins: attempt.origins, file, warning, types: plugins.types }
})

const nameOf = ({ config }: SettingFlags): string | undefined =>
  (process.env["RESTREAM_CONFIG"] || undefined) ?? Option.getOrUndefined(config)

/** The owner of a file that was not named explicitly. A named file is trusted. */
const ownerOf = (flags: SettingFlags, info: FileSystem.File.Info | undefined) =>
  nameOf(flags) === undefined && info !== undefined ? Option.getOrUndefined(info.uid) : undefined

const read = Effect.fnUntraced(function* (given: SettingFlags) {
  const fs = yield* FileSystem.FileSystem
  const env = process.env
  const named = nameOf(given)
  const name = named ?? defaultFile
  const text = yield* Effect.result(RegularFile.readText(name))
  const others = { flags: given.flags, env, otherVariables }
  if (Result.isSuccess(text)) {
    return {
      attempt: attempt({ ...others, file: { name, text: text.success } }),
      file: name,
      info: Option.getOrUndefined(yield* Effect.option(fs.stat(name)))
    }
  }
  const rest = attempt(others)
  if (named === undefined && text.failure.reason._tag === "NotFound") {
    return { attempt: rest, file: undefined }
  }
  const unreadable: SettingsProblem = {
    key: undefined,
    origin: name,
    message: `cannot read the settings file: ${RegularFile.problemOf(text.failure)}`
  }
  const problems = [unreadable, ...rest.problems]
  return { attempt: { ...rest, problems, isComplete: false }, file: undefined }
})

/** The settings that name programs. */
const programKeys = ["plugins", "ffmpeg.path", "ffmpeg.ffprobePath"]

/**
 * The programs named by `restream.yaml` in the working directory, if the file belongs to another user than this one
 * and root: in a directory that others can write to, any command of restream would run these programs.
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

/** The file of cameras is relative to the settings file that names it. */
const withCameraFile = ({ origins, settings }: LoadAttempt, file: string | undefined): Settings => {
  const isFromFile = origins.get("source.file")?._tag === "File"
  const directory = isFromFile && file !== undefined ? dirname(file) : "."
  return settings.source.file === undefined
    ? settings
    : { ...settings, source: { file: resolve(directory, settings.source.file) } }
}

/** The problems that prevent a connection, as far as they are known in advance. */
const databaseProblems = Effect.fnUntraced(function* (
  attempt: LoadAttempt,
  required: Result.Result<unknown, SettingsError>
) {
  if (Result.isFailure(required)) {
    // an invalid setting, or a setting in an unreadable file, is not missing
    const isMissing =
      attempt.isComplete &&
      !attempt.problems.some(({ key }) => key === "database.dsn" || key === "source.file")
    return isMissing ? required.failure.problems : []
  }
  const { dsn } = attempt.settings.database
  const messages = dsn === undefined ? [] : yield* dsnProblems(dsn)
  return messages.map((message) => ({
    key: "database.dsn",
    origin: attempt.originOf(["database", "dsn"]),
    message
  }))
})

/** Checked for the daemon only: other commands do not see its flag `--cluster`. */
const daemonProblems = ({
  originOf,
  problems,
  settings: { cluster }
}: LoadAttempt): ReadonlyArray<SettingsProblem> =>
  cluster.enabled || cluster.workers === 1 || problems.some(({ key }) => key === "cluster.enabled")
    ? []
    : [
        {
          key: "cluster.workers",
          origin: originOf(["cluster", "workers"]),
          message: "requires cluster.enabled (--cluster)"
        }
      ]

const templateProblems = ({ originOf, settings }: LoadAttempt): ReadonlyArray<SettingsProblem> =>
  Object.entries(settings.cameraTypes).flatMap(([name, template]) => {
    const message = UrlTemplate.fault(template)
    const origin = originOf(["cameraTypes", name])
    return message === undefined ? [] : [{ key: `cameraTypes.${name}`, origin, message }]
  })

/** The DSN, for a command that requires the database. */
export const databaseOf = (settings: Settings): Effect.Effect<Dsn.Dsn, SettingsError> =>
  Effect.fromResult(requireDsn(settings))

/** Where the cameras are listed, for a command that requires them. */
export const cameraListOf = (settings: Settings): Effect.Effect<CameraList, SettingsError> =>
  Effect.fromResult(requireCameraList(settings))
