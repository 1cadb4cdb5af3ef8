/**
 * The flag `--completions`.
 *
 * Every command accepts the flag of every setting, which would make the script for fish 1.4 MB. Therefore only the
 * commands that use all settings complete their flags, and each description is cut after its first sentence.
 */
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isOwn } from "./Help.ts"

const withSettings = new Set(["run", "check"])

const shorten = (command: Completions.CommandDescriptor): Completions.CommandDescriptor => ({
  ...command,
  flags: command.flags
    .filter((flag) => isOwn(flag) || withSettings.has(command.name))
    .map((flag) => ({ ...flag, description: flag.description?.split(". ", 1).join() })),
  subcommands: command.subcommands.map(shorten)
})

export const completions = GlobalFlag.Action({
  flag: GlobalFlag.Completions.flag,
  run: (shell, { command }) =>
    Option.match(shell, {
      onNone: () => Effect.void,
      onSome: (shell) =>
        Console.log(
          Completions.generate(command.name, shell, shorten(Completions.fromCommand(command)))
        )
    })
})
