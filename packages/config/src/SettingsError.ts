/** The problems of the settings, one line each. */
import * as Schema from "effect/Schema"

/** A problem of the settings, without secrets. */
export const SettingsProblem = Schema.Struct({
  /** The key of the setting; `undefined` if the problem belongs to no single setting. */
  key: Schema.UndefinedOr(Schema.String),
  /** Where the value was set: `restream.yaml:12`, `--pg-dsn` or `PG_DSN`. */
  origin: Schema.String,
  message: Schema.String
})
export type SettingsProblem = typeof SettingsProblem.Type

/** The problem in one line: `mediaServer.port (from restream.yaml:2): 99999 is out of range (1 to 65535)`. */
export const problemLine = ({ key, message, origin }: SettingsProblem): string =>
  key === undefined ? `${origin}: ${message}` : `${key} (from ${origin}): ${message}`

/** The settings are invalid. The message has one line per problem, without secrets. */
export class SettingsError extends Schema.TaggedError<SettingsError>()("SettingsError", {
  problems: Schema.Array(SettingsProblem)
}) {
  /** One line per problem. */
  get lines(): ReadonlyArray<string> {
    return this.problems.map(problemLine)
  }

  override get message(): string {
    return this.lines.join("\n")
  }
}
