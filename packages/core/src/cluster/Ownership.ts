/**
 * Which cameras this daemon relays, where several daemons share one table.
 *
 * The supervisor asks which cameras are ours, and the camera fibers ask for a permit before a relay starts.
 * Neither knows how ownership is decided. Without an implementation in context every camera is ours.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CameraId } from "../camera/Camera.ts"
import type { Reason } from "../camera/Reason.ts"

export interface OwnershipService {
  /** Whether this daemon relays the camera. It may change at any time; `changes` says when. */
  readonly isOurs: (id: CameraId) => boolean
  /** Emits when it is first known which cameras are ours, and after each change. Never ends. */
  readonly changes: Stream.Stream<void>
  /**
   * Whether a relay of a camera of ours may start now.
   *
   * @param lastEnd why the camera's last relay ended: a camera whose publisher was replaced waits until the
   * ownership is certain.
   */
  readonly mayStart: (id: CameraId, lastEnd: Reason | undefined) => boolean
  /** Done as soon as `mayStart`. */
  readonly permit: (id: CameraId, lastEnd: Reason | undefined) => Effect.Effect<void>
  /** The daemon that relays the cameras while this one is a standby, for a status line. */
  readonly activeDaemon: Effect.Effect<string | undefined>
}

/** Every camera is ours, always. */
export const everyCamera: OwnershipService = {
  isOurs: () => true,
  changes: Stream.concat(Stream.succeed(undefined), Stream.never),
  mayStart: () => true,
  permit: () => Effect.void,
  activeDaemon: Effect.succeed(undefined)
}

/** The ownership in context; `everyCamera` where there is none. */
export const Ownership: Context.Reference<OwnershipService> = Context.Reference(
  "@restream/core/cluster/Ownership",
  { defaultValue: () => everyCamera }
)
