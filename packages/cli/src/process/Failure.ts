/** How a command ends that can't do what it was asked to. */
import type { SettingsError } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The exit statuses, as the documentation has them. */
export const exitStatus = {
  /** All is well. */
  good: 0,
  /** The command did its work, and what it found is not all well. */
  someNot: 1,
  /** Wrong settings, wrong arguments, or no database for a command that needs it now. */
  unusable: 2
} as const

/** Ends the process with a status, after these lines on standard error. No stack trace, no secret. */
export class Failure extends Schema.TaggedError<Failure>()("Failure", {
  status: Schema.Finite,
  lines: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.lines.join("\n")
  }
}

export const unusable = (lines: ReadonlyArray<string>): Failure =>
  new Failure({ status: exitStatus.unusable, lines })

/** Wrong settings end a command: one line for each fault. */
export const failOnSettings = <A, E, R>(
  effect: Effect.Effect<A, E | SettingsError, R>
): Effect.Effect<A, Exclude<E, SettingsError> | Failure, R> =>
  Effect.catchTag(effect as Effect.Effect<A, SettingsError, R>, "SettingsError", (error) =>
    Effect.fail(unusable(error.lines))
  ) as Effect.Effect<A, Exclude<E, SettingsError> | Failure, R>
