/** Everything that is wrong with the settings, one line for each fault. */
import * as Schema from "effect/Schema"

/** One thing that is wrong with the settings. It holds no secret. */
export const SettingsFault = Schema.Struct({
  /** The setting's key; missing where the fault is none of a single setting. */
  key: Schema.UndefinedOr(Schema.String),
  /** Where it was set: `restream.yaml:12`, `--pg-dsn` or `PG_DSN`. */
  origin: Schema.String,
  /** What was expected. */
  expectation: Schema.String
})
export type SettingsFault = typeof SettingsFault.Type

/** The fault in one line: `relay.restartDelay (from restream.yaml:12): expected a duration …`. */
export const faultLine = ({ expectation, key, origin }: SettingsFault): string =>
  key === undefined ? `${origin}: ${expectation}` : `${key} (from ${origin}): ${expectation}`

/** The settings can't be used. The message holds a line for each fault, and no secret. */
export class SettingsError extends Schema.TaggedError<SettingsError>()("SettingsError", {
  faults: Schema.Array(SettingsFault)
}) {
  /** One line for each fault. */
  get lines(): ReadonlyArray<string> {
    return this.faults.map(faultLine)
  }

  override get message(): string {
    return this.lines.join("\n")
  }
}
