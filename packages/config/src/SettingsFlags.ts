/** The command line flags that the schema asks for. */
import { inWords } from "./Setting.ts"
import { settings } from "./Settings.ts"

/** One flag. Its value is a text as in the environment, such as `10s` or `yes`. */
export interface SettingFlag {
  /** Without dashes: `pg-dsn`. */
  readonly name: string
  /** Other spellings, without dashes: `pg_dsn`. */
  readonly aliases: ReadonlyArray<string>
  /** The setting that it sets: `database.dsn`. */
  readonly key: string
  /** What may be given: `duration`, `auto | native | ffmpeg`. */
  readonly values: string
  /** One line for `--help`, with the default and the environment variable that beats the flag. */
  readonly description: string
}

/** Every flag, in the order of the schema. */
export const settingFlags: ReadonlyArray<SettingFlag> = settings.flatMap((setting) => {
  const [name, ...aliases] = setting.flags
  if (name === undefined) return []
  const words = setting.default === undefined ? "" : inWords(setting.default)
  const described = [
    setting.description,
    ...(words === "" ? [] : [`Default: ${words}.`]),
    `Environment: ${setting.env}.`
  ]
  return [
    { name, aliases, key: setting.key, values: setting.values, description: described.join(" ") }
  ]
})
