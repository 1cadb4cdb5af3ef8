/** The failure of a command, with its exit status. */
import type { SettingsError } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The documented exit statuses. */
export const exitStatus = {
  ok: 0,
  /** The command ran and found problems, or failed with an internal error. */
  problems: 1,
  /** Invalid settings, invalid arguments, or no database for a command that requires it. */
  usage: 2
} as const

/** Ends the process with a status after printing the lines to standard error, without stack trace or secrets. */
export class Failure extends Schema.TaggedError<Failure>()("Failure", {
  status: Schema.Finite,
  lines: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.lines.join("\n")
  }
}

/** Invalid settings or arguments, or no database. */
export const usageFailure = (lines: ReadonlyArray<string>): Failure =>
  new Failure({ status: exitStatus.usage, lines })

/** Turns invalid settings into a failure of the command, one line per problem. */
export const failOnSettings = <A, E, R>(
  effect: Effect.Effect<A, E | SettingsError, R>
): Effect.Effect<A, Exclude<E, SettingsError> | Failure, R> =>
  Effect.catchTag(effect as Effect.Effect<A, SettingsError, R>, "SettingsError", (error) =>
    Effect.fail(usageFailure(error.lines))
  ) as Effect.Effect<A, Exclude<E, SettingsError> | Failure, R>
