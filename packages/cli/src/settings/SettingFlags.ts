/** The command line flags of the settings; all of them come from the settings' schema. */
import { settingFlags } from "@restream/config"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"

/** What the command line gave. */
export interface SettingFlags {
  /** The settings' file. */
  readonly config: Option.Option<string>
  /** Values as they were given, by the flag's name. */
  readonly flags: Readonly<Record<string, string>>
}

const config = Flag.String("config").pipe(
  Flag.withAlias("c"),
  Flag.withDescription(
    "The settings file. Default: restream.yaml, if there is one. Environment: RESTREAM_CONFIG"
  ),
  Flag.withMetavar("FILE"),
  Flag.optional
)

const valueFlag = (name: string, values: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(description),
    Flag.withMetavar(values.toUpperCase()),
    Flag.optional
  )

/** A flag for each name of each setting; other spellings of a name are left out of the help. */
const named = settingFlags.flatMap(({ aliases, description, name, values }) => [
  [name, valueFlag(name, values, description)] as const,
  ...aliases.map(
    (alias) => [alias, Flag.withHidden(valueFlag(alias, values, description))] as const
  )
])

/** The flags, in the form in which a command takes them. */
export const settingFlagConfig = { config, ...Object.fromEntries(named) }

/** Reads what a command was given. */
export const settingFlagsOf = (input: Readonly<Record<string, unknown>>): SettingFlags => {
  const flags: Record<string, string> = {}
  for (const [name] of named) {
    const value = input[name] as Option.Option<string> | undefined
    if (value !== undefined && Option.isSome(value)) flags[name] = value.value
  }
  return { config: input["config"] as Option.Option<string>, flags }
}
