/** Asks for the most important settings, tests them, and writes the settings file. */
import {
  bracketed,
  type CameraList,
  requireCameraList,
  type Settings,
  settingsYaml
} from "@restream/config"
import { RegularFile, ServerCheck } from "@restream/core"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import { userInfo } from "node:os"
import { basename, dirname, resolve } from "node:path"
import * as TableSetup from "../database/TableSetup.ts"
import { exitStatus, Failure, failOnSettings, usageFailure } from "../process/Failure.ts"
import { print, printMessage } from "../process/Output.ts"
import * as CameraListing from "../source/CameraListing.ts"
import * as Questions from "./Questions.ts"
import { unitText } from "./Unit.ts"

export interface InitializeOptions {
  /** The settings file to write. */
  readonly file: string
  /** The settings of the flags and the environment. */
  readonly settings: Settings
  /** Whether a flag or the environment gives a setting. */
  readonly isGiven: (key: string) => boolean
  readonly isInteractive: boolean
  /** Whether existing files are overwritten. */
  readonly isForced: boolean
  readonly isTested: boolean
  /** The systemd unit to write. */
  readonly unit: string | undefined
}

/** The exit status after Ctrl+C, also if a prompt receives it as a key. */
const interrupted = 130

export const initialize = Effect.fnUntraced(
  function* (options: InitializeOptions) {
    const file = resolve(options.file)
    if (!options.isForced) yield* refuseExisting([file, options.unit])
    const asked = options.isInteractive
      ? yield* Questions.ask(options.settings, options.isGiven)
      : options.settings
    const settings = withPlacedFile(asked, file, options.isGiven("source.file"))
    const list = yield* Effect.fromResult(requireCameraList(settings))
    const isNew = list._tag === "File" && !(yield* exists(list.file))
    yield* refuseUnwritable([file, options.unit, ...(isNew ? [list.file] : [])])
    const problems = options.isTested ? yield* test(isNew ? undefined : list, settings) : []
    for (const problem of problems) yield* printMessage(problem)
    if (problems.length > 0) {
      const isWanted =
        options.isInteractive && (yield* Questions.confirm("Write the settings anyway?", false))
      if (!isWanted) {
        return yield* new Failure({
          status: exitStatus.problems,
          lines: ["no settings were written; --untested writes them without these tests"]
        })
      }
    }

    yield* write(file, settingsYaml(asWritten(settings, file)), 0o600)
    yield* print(`wrote ${file} (mode 0600)`)
    if (isNew) {
      const isCsv = list.file.toLowerCase().endsWith(".csv")
      yield* write(list.file, isCsv ? exampleCsv : exampleYaml, 0o600)
      yield* print(`wrote ${list.file} (mode 0600) with an example; enter your cameras there`)
    }
    if (list._tag === "Database" && options.isTested && problems.length === 0) {
      yield* prepareTable(list, settings, options.isInteractive)
    }
    const unit =
      options.unit ??
      (options.isInteractive &&
      (yield* Questions.confirm("Write a systemd unit for this installation?", false))
        ? resolve(dirname(file), "restream.service")
        : undefined)
    if (unit !== undefined) {
      yield* write(unit, unitText({ file, user: userInfo().username }), 0o644)
      yield* print(`wrote ${unit}; as root: systemctl enable --now ${resolve(unit)}`)
    }
    yield* printMessage(`next: restream check --config ${file}`)
    yield* printMessage(`then: restream run --config ${file}`)
  },
  failOnSettings,
  Effect.catchTag("QuitError", () => new Failure({ status: interrupted, lines: [] }))
)

/** The file of cameras, which a flag or the environment names relative to the working directory. */
const withPlacedFile = (settings: Settings, file: string, isGiven: boolean): Settings =>
  settings.source.file === undefined
    ? settings
    : {
        ...settings,
        source: { file: resolve(isGiven ? "." : dirname(file), settings.source.file) }
      }

/** The settings as written to the file: a file of cameras in the same directory is named without the directory. */
const asWritten = (settings: Settings, file: string): Settings =>
  settings.source.file !== undefined && dirname(settings.source.file) === dirname(file)
    ? { ...settings, source: { file: basename(settings.source.file) } }
    : settings

const exists = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.orElseSucceed(fs.exists(file), () => false))

const refuseExisting = Effect.fnUntraced(function* (files: ReadonlyArray<string | undefined>) {
  const existing: Array<string> = []
  for (const file of files) {
    if (file !== undefined && (yield* exists(file))) existing.push(file)
  }
  if (existing.length > 0) {
    return yield* usageFailure(existing.map((file) => `${file} exists; --force overwrites it`))
  }
})

/** Fails with all files that cannot be written, before anything is written. */
const refuseUnwritable = Effect.fnUntraced(function* (files: ReadonlyArray<string | undefined>) {
  const problems: Array<string> = []
  for (const file of files) {
    const problem = file === undefined ? undefined : yield* unwritable(file)
    if (problem !== undefined) problems.push(`cannot write ${file}: ${problem}`)
  }
  if (problems.length > 0) return yield* usageFailure(problems)
})

/** Why a file cannot be written; `undefined` if it can. A device or another special file must not be replaced. */
const unwritable = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* Effect.result(fs.access(dirname(resolve(file)), { writable: true }))
  if (Result.isFailure(folder)) return writeProblem(folder.failure)
  const info = yield* Effect.option(fs.stat(file))
  return Option.exists(info, ({ type }) => type !== "File") ? "not a file" : undefined
})

const writeProblem = (error: PlatformError): string =>
  error.reason._tag === "NotFound" ? "no such folder" : RegularFile.problemOf(error)

/** Writes a file atomically, with its mode from the start. */
const write = Effect.fnUntraced(function* (file: string, text: string, mode: number) {
  const fs = yield* FileSystem.FileSystem
  const draft = `${file}.${process.pid}.new`
  yield* fs.writeFileString(draft, text, { flag: "wx", mode }).pipe(
    Effect.andThen(fs.rename(draft, file)),
    Effect.mapError((error) => usageFailure([`cannot write ${file}: ${writeProblem(error)}`]))
  )
})

const exampleYaml = `# The columns of a camera: docs/camera-file.md
cameras:
  - name: Example
    enabled: false
    url: rtsp://user:password@192.0.2.5/live
`

const exampleCsv = "name,enabled,url\nExample,false,rtsp://user:password@192.0.2.5/live\n"

/** The problems of the list of cameras and of the media server; one line for each success. */
const test = Effect.fnUntraced(function* (list: CameraList | undefined, settings: Settings) {
  const { host, port } = settings.mediaServer
  const server = (yield* ServerCheck.run(settings, [])).map((line) => ({ isOk: false, line }))
  const reachable = { isOk: true, line: `media server ${bracketed(host)}:${port} is reachable` }
  const results = [
    ...(list === undefined ? [] : [yield* testList(list, settings)]),
    ...(server.length === 0 ? [reachable] : server)
  ]
  for (const { isOk, line } of results) if (isOk) yield* printMessage(line)
  return results.flatMap(({ isOk, line }) => (isOk ? [] : [line]))
})

const testList = Effect.fnUntraced(function* (list: CameraList, settings: Settings) {
  if (list._tag === "Database" && (yield* TableSetup.isMissing(list.dsn, settings))) {
    return { isOk: true, line: `${CameraListing.describe(list)} is reachable` }
  }
  return yield* CameraListing.fetch(list, settings, undefined).pipe(
    Effect.match({
      onSuccess: ({ rows }) => ({
        isOk: true,
        line: `${CameraListing.describe(list)} lists ${rows.length} camera${rows.length === 1 ? "" : "s"}`
      }),
      onFailure: ({ message }) => ({ isOk: false, line: message })
    })
  )
})

/** If the table does not exist: prints the SQL, and creates the table if the operator confirms. */
const prepareTable = Effect.fnUntraced(function* (
  { dsn }: Extract<CameraList, { readonly _tag: "Database" }>,
  settings: Settings,
  isInteractive: boolean
) {
  if (!(yield* TableSetup.isMissing(dsn, settings))) return
  yield* printMessage(`there is no table ${settings.database.table}; this SQL creates it:`)
  yield* TableSetup.printStatements(yield* TableSetup.statementsOf(settings, false))
  if (isInteractive && (yield* Questions.confirm("Create the table now?", true))) {
    yield* TableSetup.inDatabase(dsn, settings)(TableSetup.initCameras(settings))
  } else yield* printMessage("restream db init runs it")
})
