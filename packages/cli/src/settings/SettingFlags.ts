/** The command line flags of the settings. */
import { displayDefault, settings } from "@restream/config"
import * as Option from "effect/Option"
import * as Flag from "effect/cli/Flag"

/** The flags of a command line. */
export interface SettingFlags {
  /** The settings file. */
  readonly config: Option.Option<string>
  /** The values as given, by the name of the flag. */
  readonly flags: Readonly<Record<string, string>>
}

const config = Flag.String("config").pipe(
  Flag.withAlias("c"),
  Flag.withDescription(
    "The settings file. Default: restream.yaml, if it exists. Environment: RESTREAM_CONFIG"
  ),
  Flag.withMetavar("FILE"),
  Flag.optional
)

/** One flag per setting; other spellings of its name are hidden from the help. */
const named = settings.flatMap((setting) => {
  const text = displayDefault(setting)
  const description = [
    setting.description,
    ...(text === "" ? [] : [`Default: ${text}.`]),
    `Environment: ${setting.env}.`
  ].join(" ")
  return setting.flags.map((name, index) => {
    const flag = Flag.String(name).pipe(
      Flag.withDescription(description),
      Flag.withMetavar(setting.type.values.toUpperCase()),
      Flag.optional
    )
    return [name, index === 0 ? flag : Flag.withHidden(flag)] as const
  })
})

/** The flags as a command declares them. */
export const settingFlagConfig = { config, ...Object.fromEntries(named) }

/** The flags that a command received. */
export const settingFlagsOf = (input: Readonly<Record<string, unknown>>): SettingFlags => {
  const flags: Record<string, string> = {}
  for (const [name] of named) {
    const value = input[name] as Option.Option<string> | undefined
    if (value !== undefined && Option.isSome(value)) flags[name] = value.value
  }
  return { config: input["config"] as Option.Option<string>, flags }
}
