/**
 * The port for the list of cameras: a stream of full snapshots.
 *
 * Adapters: `PgCameraSource` (a PostgreSQL table), `FileCameraSource` (a YAML or CSV file), and
 * `MemoryCameraSource` (rows held by a program). For any other source, pass a `fetchRows` to `Polling.make`. Every
 * adapter passes the suite in `tests/source/CameraSourceContract.ts`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

/** One row of the source: column names and values. */
export type CameraRow = Readonly<Record<string, unknown>>

/** All rows at one moment. Never partial, except that the rows of other nodes may be missing. */
export interface Snapshot {
  readonly rows: ReadonlyArray<CameraRow>
  /**
   * The shards of a cluster that these rows cover; rows of other shards are unknown. `undefined`: all shards.
   */
  readonly shards?: ReadonlySet<number> | undefined
  /** When the snapshot was taken, in milliseconds since 1970 by Effect's `Clock`. */
  readonly takenAt: number
}

/** The source is unreachable, or does not respond in time. */
export class Unavailable extends Schema.TaggedClass<Unavailable>()("Unavailable", {
  detail: Schema.String
}) {}

/** The source refuses the login, or access to the rows. */
export class AccessDenied extends Schema.TaggedClass<AccessDenied>()("AccessDenied", {
  detail: Schema.String
}) {}

/** The source rejects the query: a missing table, a mistake in the query. */
export class InvalidQuery extends Schema.TaggedClass<InvalidQuery>()("InvalidQuery", {
  detail: Schema.String
}) {}

/** The file of cameras cannot be read, or its content is not a list of cameras. */
export class InvalidFile extends Schema.TaggedClass<InvalidFile>()("InvalidFile", {
  detail: Schema.String
}) {}

/** No snapshot could be taken. Always retried, because every reason can be temporary. */
export class CameraSourceError extends Schema.TaggedError<CameraSourceError>()(
  "CameraSourceError",
  { reason: Schema.Union([Unavailable, AccessDenied, InvalidQuery, InvalidFile]) }
) {
  override get message(): string {
    return this.reason.detail
  }
}

/** The name of the source in log lines: `database` or `camera file`. */
export const sourceName = ({ reason }: CameraSourceError): string =>
  reason._tag === "InvalidFile" ? "camera file" : "database"

/** The state of the source. */
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
     * The newest snapshot, then each new one. Never ends and never fails: a failed read emits no snapshot, so
     * running relays are unaffected. A slow subscriber misses snapshots in between, never the newest.
     */
    readonly snapshots: Stream.Stream<Snapshot>
    /**
     * Takes a snapshot now, and publishes it to all subscribers of `snapshots`. Concurrent callers share one query;
     * each gets a snapshot that was started after its call. While the source is unreachable, the call waits for the
     * next scheduled poll.
     */
    readonly refresh: Effect.Effect<Snapshot, CameraSourceError>
    readonly health: Effect.Effect<SourceHealth>
  }
>()("@restream/core/source/CameraSource") {}
