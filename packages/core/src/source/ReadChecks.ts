/** The checks of every read of a camera list, and the log lines about its columns. */
import { oneLine } from "@restream/config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Monotonic from "../time/Monotonic.ts"
import type { CameraRow, CameraSourceError } from "./CameraSource.ts"
import { type ReadResult, ResultShape } from "./ResultShape.ts"
import * as UnreadColumns from "./UnreadColumns.ts"

export interface ReadCheckOptions {
  /**
   * The columns that are used, see `knownColumns`; other columns are not fetched from a database. Read before each
   * fetch. Default: all columns.
   */
  readonly known?: Effect.Effect<ReadonlySet<string> | undefined> | undefined
  /**
   * Protection from mass mistakes: how long a column may be empty in every row before that is accepted;
   * `undefined`: results of another shape are accepted at once. Read after each fetch. Default 1 minute.
   */
  readonly massStopDelay?: Effect.Effect<Duration.Duration | undefined> | undefined
}

/**
 * Makes the check of one source. The check compares each result with the last good result, and logs each unused
 * column once.
 *
 * @param label the name of the source in the log: `database`.
 * @param failOn fails with a problem of the result, if there is one.
 */
export const make = (
  label: string,
  options: ReadCheckOptions,
  failOn: (problem: string | undefined) => Effect.Effect<void, CameraSourceError>
): ((
  result: ReadResult,
  known: ReadonlySet<string> | undefined
) => Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError>) => {
  let shape = new ResultShape()
  const logged = new Set<string>()

  /** Logs unused columns, once each: a misnamed `enabled` or `password` column would be ignored silently. */
  const logUnread = (columns: ReadonlyArray<string>, known: ReadonlySet<string> | undefined) => {
    const unread =
      known === undefined
        ? undefined
        : UnreadColumns.describe(columns, new Set([...known, ...logged]))
    for (const column of columns) logged.add(column)
    return unread === undefined
      ? Effect.void
      : Effect.logWithLevel(unread.isSuspicious ? "Warn" : "Info")(
          `${label}: ${oneLine(unread.message)}`
        ).pipe(Effect.annotateLogs("module", "source"))
  }

  return Effect.fnUntraced(function* (result, known) {
    const delay = yield* options.massStopDelay ?? Effect.succeed(Duration.minutes(1))
    if (delay === undefined) shape = new ResultShape()
    const delayMs = Duration.toMillis(delay ?? Duration.zero)
    yield* failOn(shape.accept(result, { known, delayMs, nowMs: yield* Monotonic.now }))
    yield* logUnread(result.columns, known)
    return result.rows
  })
}
