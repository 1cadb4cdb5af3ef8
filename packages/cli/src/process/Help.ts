/** The help: what a command does first, and the settings' flags last, by their names alone. */
import { settingFlags } from "@restream/config"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"

const settingNames = new Set(settingFlags.flatMap(({ aliases, name }) => [name, ...aliases]))

const isOwn = ({ name }: { readonly name: string }): boolean => !settingNames.has(name)

/** The help as text. */
export const helpText = (doc: HelpDoc): Effect.Effect<string> =>
  Effect.map(TerminalCapabilities, ({ canColor }) => {
    const formatter = CliOutput.defaultFormatter({ colors: canColor })
    const sections = formatter
      .formatHelpDoc({
        ...doc,
        flags: doc.flags.filter(isOwn),
        inheritedFlags: doc.inheritedFlags?.filter(isOwn) ?? []
      })
      .split("\n\n")
    // the description and the usage, then what there is to do
    const [intro, rest] = [sections.slice(0, 2), sections.slice(2)]
    const commands = rest.filter(isCommands)
    const others = rest.filter((section) => !isCommands(section))
    const isRoot = doc.commandPath === undefined || doc.commandPath.length === 1
    const names = inLines(settingFlags.map(({ name }) => `--${name}`)).join("\n")
    return [
      ...intro,
      ...commands,
      ...others.map((text) => text.trimEnd()),
      settings(canColor),
      ...(isRoot ? [names] : [])
    ].join("\n\n")
  })

const isCommands = (section: string): boolean => section.split("\n", 1).join().includes("SUBCOMM")

const settings = (canColor: boolean): string => {
  const heading = canColor ? "\u001b[1mSETTINGS\u001b[0m" : "SETTINGS"
  return [
    heading,
    "  Each setting has a flag, which holds for every command, and a variable that beats it.",
    "  docs/settings.md says what they do; restream config shows what is in force."
  ].join("\n")
}

const inLines = (words: ReadonlyArray<string>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > 88) lines.push(`  ${word}`)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}
