/**
 * The port for the list of cameras: a stream of full snapshots.
 *
 * Adapters: `PgCameraSource` (a PostgreSQL table), `FileCameraSource` (a YAML or CSV file), and
 * `MemoryCameraSource` (rows held by a program). Any other source is a `fetchRows` given to `Polling.make`. Every adapter passes the suite in
 * `tests/source/CameraSourceContract.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

/** One row as the source gave it: column names and values. */
export type CameraRow = Readonly<Record<string, unknown>>

/** All rows as they stood at one moment. Never a part of them, but for the rows of other nodes. */
export interface Snapshot {
  readonly rows: ReadonlyArray<CameraRow>
  /**
   * The shards of a cluster whose rows these are; of the others it tells nothing. `undefined`: the rows of all
   * shards.
   */
  readonly shards?: ReadonlySet<number> | undefined
  /** When it was taken, in milliseconds since 1970 by Effect's `Clock`. */
  readonly takenAt: number
}

/** The source can't be reached, or does not answer in time. */
export class Unavailable extends Schema.TaggedClass<Unavailable>()("Unavailable", {
  detail: Schema.String
}) {}

/** The source does not let us in, or not at the rows. */
export class AccessDenied extends Schema.TaggedClass<AccessDenied>()("AccessDenied", {
  detail: Schema.String
}) {}

/** The source does not understand the question: a missing table, a mistake in the query. */
export class InvalidQuery extends Schema.TaggedClass<InvalidQuery>()("InvalidQuery", {
  detail: Schema.String
}) {}

/** The file of cameras cannot be read, or its content is not a list of cameras. */
export class InvalidFile extends Schema.TaggedClass<InvalidFile>()("InvalidFile", {
  detail: Schema.String
}) {}

/** No snapshot could be taken. Whatever the reason, another is tried: all of them can pass. */
export class CameraSourceError extends Schema.TaggedError<CameraSourceError>()(
  "CameraSourceError",
  { reason: Schema.Union([Unavailable, AccessDenied, InvalidQuery, InvalidFile]) }
) {
  override get message(): string {
    return this.reason.detail
  }
}

/** The origin of the cameras, as log lines name it: `database` or `camera file`. */
export const sourceName = ({ reason }: CameraSourceError): string =>
  reason._tag === "InvalidFile" ? "camera file" : "database"

/** How the source does. */
export type SourceHealth =
  /** No attempt has ended yet. */
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Up"; readonly lastSnapshotAt: number }
  | {
      readonly _tag: "Down"
      readonly since: number
      /** `undefined`: there has been none since the start. */
      readonly lastSnapshotAt: number | undefined
      readonly error: CameraSourceError
    }

export class CameraSource extends Context.Service<
  CameraSource,
  {
    /**
     * The newest snapshot, then each new one. It never ends and never fails: a read that failed gives no
     * snapshot, and running relays are unaffected. A slow reader misses snapshots in between, never the newest.
     */
    readonly snapshots: Stream.Stream<Snapshot>
    /**
     * Takes a snapshot now, and gives it to all readers of `snapshots`, too. Many callers at once cost
     * one query; each gets a snapshot that was begun after its call. While the source is unreachable, "now" is
     * the next poll by schedule.
     */
    readonly refresh: Effect.Effect<Snapshot, CameraSourceError>
    readonly health: Effect.Effect<SourceHealth>
  }
>()("@restream/core/source/CameraSource") {}
