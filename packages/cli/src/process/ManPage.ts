/** The manual page (man-pages(7)), made of the help of all commands. */
import { settings } from "@restream/config"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type { FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { version } from "../version.ts"
import { examplesOf } from "./Examples.ts"
import { isOwn } from "./Help.ts"

/** The help of a command and of those below it, as `--help` shows it. */
const helpsOf = Effect.fnUntraced(function* (root: Command.Command.Any) {
  const helps: Array<HelpDoc> = []
  const capture = CliOutput.layerPresenter({
    present: (event) =>
      Effect.sync(() => {
        if (event._tag === "Help") helps.push(event.helpDoc)
      })
  })
  const run = Command.runWith(root as Command.Command<string, object, object, unknown, never>, {
    version
  })
  const visit: (path: ReadonlyArray<string>) => Effect.Effect<void, never, Command.Environment> =
    Effect.fnUntraced(function* (path) {
      yield* Effect.ignore(run([...path, "--help"]))
      for (const group of helps.at(-1)?.subcommands ?? []) {
        for (const { name } of group.commands) yield* visit([...path, name])
      }
    })
  yield* visit([]).pipe(
    Effect.provide(
      Layer.merge(capture, CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version] }))
    )
  )
  return helps
})

/** A text for roff: a hyphen that can be copied, and no request at the start of a line. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1")

const paragraph = (text: string): ReadonlyArray<string> => [".PP", roff(text)]

const item = (term: string, text: string): ReadonlyArray<string> => [
  ".TP",
  `.B ${roff(term)}`,
  roff(text)
]

const flagItem = ({ aliases, description, name, type }: FlagDoc): ReadonlyArray<string> => {
  const value = type === "boolean" ? "" : ` ${type}`
  const term = [`--${name}`, ...aliases].join(", ") + value
  return item(
    term,
    Option.getOrElse(description, () => "")
  )
}

const commandSection = (help: HelpDoc): ReadonlyArray<string> => {
  const { args = [], commandPath = [], description, flags, usage } = help
  const examples = help.examples ?? examplesOf(commandPath)
  return [
    `.SS ${roff(commandPath.join(" "))}`,
    ...paragraph(description),
    ...paragraph(`Usage: ${usage}`),
    ...args.flatMap((arg) =>
      item(
        arg.name,
        Option.getOrElse(arg.description, () => "")
      )
    ),
    ...flags.filter(isOwn).flatMap(flagItem),
    ...(examples.length === 0 ? [] : [".PP", "Examples:", ".PP", ".RS 4", ".nf"]),
    ...examples.flatMap(({ command, description }) => [
      ...(description === undefined ? [] : [roff(`# ${description}`)]),
      roff(command)
    ]),
    ...(examples.length === 0 ? [] : [".fi", ".RE"])
  ]
}

const settingItem = (setting: (typeof settings)[number]): ReadonlyArray<string> => {
  const { description, env, flags, key } = setting
  const names = [...flags.slice(0, 1).map((flag) => `--${flag}`), env ?? "only in the file"]
  return item(key, `${description} (${names.join(", ")})`)
}

/** The page as roff. */
export const manPage = Effect.fnUntraced(function* (root: Command.Command.Any) {
  const helps = yield* helpsOf(root)
  const [first, ...others] = helps
  return [
    `.TH RESTREAM 1 "" "restream ${version}" "User Commands"`,
    ".SH NAME",
    `restream \\- ${roff((first?.description ?? "").replace(/^./, (letter) => letter.toLowerCase()))}`,
    ".SH SYNOPSIS",
    ".B restream",
    "<command> [flags]",
    ".SH DESCRIPTION",
    roff(
      "restream reads the list of IP cameras from a table of PostgreSQL or from a file, and publishes each camera to a media server such as MediaMTX."
    ),
    ...(first?.flags.filter(isOwn) ?? []).flatMap(flagItem),
    ".SH COMMANDS",
    ...others.flatMap(commandSection),
    ".SH EXIT STATUS",
    ...item("0", "The command did what it was asked for, and found no problem."),
    ...item("1", "The command ran and found problems, or failed with an internal error."),
    ...item(
      "2",
      "Invalid settings or arguments, no list of cameras, no daemon, or standard output cannot be written."
    ),
    ...item("128+N", "A signal with the number N ended a command other than run."),
    ".SH SETTINGS",
    ...paragraph(
      "Every command accepts a flag for each setting. The environment overrides flags, and flags override the settings file."
    ),
    ...settings.flatMap(settingItem),
    ".SH FILES",
    ...item("restream.yaml", "The settings, in the working directory, or the file of --config."),
    ".SH ENVIRONMENT",
    ...item("RESTREAM_CONFIG", "The settings file."),
    ...item("NO_COLOR", "If set and not empty, no colors are printed."),
    ...item(
      "LC_ALL, LC_MESSAGES, LANG",
      "The first that is set is the language of explain: Russian if it begins with ru, otherwise English."
    ),
    ""
  ].join("\n")
})
