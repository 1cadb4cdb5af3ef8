/** What `restream config` shows: every setting in force, where it came from, and no secret. */
import { settings } from "./Settings.ts"
import type { Loaded } from "./SettingsLoader.ts"
import { onOneLine } from "./Shown.ts"
import { originText } from "./Sources.ts"

/** One setting in force. All texts are for people and stand on one line. */
export interface SettingRow {
  readonly key: string
  /** Empty where nothing is set; a secret is `***`, and a DSN stands without its password. */
  readonly value: string
  /** `default`, `restream.yaml:12`, `--pg-dsn` or `PG_DSN`. */
  readonly origin: string
  readonly description: string
}

const valueAt = (tree: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce((value, name) => (value as Record<string, unknown>)[name], tree)

/** A row for each setting, in the order of the schema. */
export const settingRows = (loaded: Loaded): ReadonlyArray<SettingRow> =>
  settings.map((setting) => ({
    key: setting.key,
    value: onOneLine(setting.show(valueAt(loaded.settings, setting.path))),
    origin: originText(loaded.origins.get(setting.key) ?? { _tag: "Default" }),
    description: setting.description
  }))
