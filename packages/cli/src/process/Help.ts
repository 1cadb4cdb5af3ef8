/** The help of a command. The flags of the settings are listed last, by name only. */
import { settings } from "@restream/config"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import { examplesOf } from "./Examples.ts"

const settingFlags = new Set(settings.flatMap(({ flags }) => flags))

/** Whether a flag belongs to the command, and not to a setting. */
export const isOwn = ({ name }: { readonly name: string }): boolean => !settingFlags.has(name)

/** The help as text. */
export const helpText = (doc: HelpDoc): Effect.Effect<string> =>
  Effect.map(TerminalCapabilities, ({ canColor }) => {
    const formatter = CliOutput.defaultFormatter({ colors: canColor })
    const sections = formatter
      .formatHelpDoc({
        ...doc,
        examples: doc.examples ?? examplesOf(doc.commandPath ?? []),
        flags: doc.flags.filter(isOwn),
        inheritedFlags: doc.inheritedFlags?.filter(isOwn) ?? []
      })
      // no blank line follows the subcommands, and the examples contain some
      .split(headingStart)
    // the description and the usage come before the commands
    const [intro, rest] = [sections.slice(0, 2), sections.slice(2)]
    const commands = rest.filter(isCommands)
    const others = rest.filter((section) => !isCommands(section))
    const isRoot = doc.commandPath === undefined || doc.commandPath.length === 1
    const names = inLines(
      settings.flatMap(({ flags: [name] }) => (name === undefined ? [] : `--${name}`))
    ).join("\n")
    return [
      ...intro,
      ...commands,
      ...others.map((text) => text.trimEnd()),
      settingsHelp(canColor),
      ...(isRoot ? [names] : [])
    ].join("\n\n")
  })

/** A section begins with a line that is not indented. */
// oxlint-disable-next-line no-control-regex
const headingStart = /\n+(?=(?:\u001b\[1m)?[A-Z])/

const isCommands = (section: string): boolean => section.split("\n", 1).join().includes("SUBCOMM")

const settingsHelp = (canColor: boolean): string => {
  const heading = canColor ? "\u001b[1mSETTINGS\u001b[0m" : "SETTINGS"
  return [
    heading,
    "  Every command accepts a flag for each setting. Environment variables override flags.",
    "  docs/settings.md describes the settings; restream config shows their values."
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
