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

/** Which cameras have come or left since the change before. */
export interface OwnershipChange {
  /** The shards whose cameras came or left. `undefined`: any camera may have. */
  readonly shards?: ReadonlyArray<number> | undefined
  /** Whether another daemon gave the cameras up for this one, so that only their start keeps them dark. */
  readonly isHandOver?: boolean | undefined
  /** Runs when nothing runs any more for the cameras of these shards that are not ours. */
  readonly settled?: Effect.Effect<void> | undefined
}

/** The shards of a node, for a source that reads only their rows. */
export interface OwnedShards {
  /** How many shards there are in all. */
  readonly count: number
  /** The shards that are ours now. A shard that was lost and came back has another object. */
  readonly ours: () => ReadonlyMap<number, object>
  /** Emits at once, and after shards came. Never ends. */
  readonly came: Stream.Stream<void>
}

export interface PublisherName {
  /** The same for all daemons that may own the camera, one after the other, and for no other daemon. */
  readonly instance: string
  /**
   * Whether no other daemon can own the camera now. A publisher of the same name that is still at the media server
   * is then left over from a daemon that is gone, or that has lost the camera.
   */
  readonly isExclusive: boolean
}

/** What keeps a node from taking part in its cluster. */
export interface MembershipProblem {
  /** One line without secrets. */
  readonly message: string
  /** What to do. */
  readonly advice: string
  /** In milliseconds since 1970. */
  readonly since: number
}

/** How a node stands in its cluster. */
export interface Membership {
  /** Whether the node has joined the cluster since it was started. */
  readonly hasJoined: boolean
  /** How many shards it holds. */
  readonly shards: number
  /** Whether there are other nodes. */
  readonly hasOthers: boolean
  readonly problem: MembershipProblem | undefined
}

/** A node that shares the cameras, as this one knows it. */
export interface NodeView {
  readonly name: string
  readonly weight: number
  /** Whether the node takes shards; a node that drains does not. */
  readonly isActive: boolean
  readonly isSelf: boolean
  /** Where the other nodes reach its HTTP API. `undefined`: it has none, or is of an earlier version. */
  readonly apiUrl: string | undefined
  /** The host name of its machine. `undefined`: it is of an earlier version. */
  readonly machine: string | undefined
}

/**
 * Cameras are named by the id of their row: the further streams of a camera have the owner of their main stream.
 */
export interface OwnershipService {
  /** Whether this daemon relays the camera. It may change at any time; `changes` says when. */
  readonly isOurs: (id: CameraId) => boolean
  /** Emits when it is first known which cameras are ours, and after each change. Never ends. */
  readonly changes: Stream.Stream<OwnershipChange>
  /** The shard of a camera, where a change may name shards. Default: there is one shard. */
  readonly shardOf?: ((id: CameraId) => number) | undefined
  /** The shards that are ours, by `Shard.shardOf`. Left out: a source has to read the rows of all cameras. */
  readonly shards?: OwnedShards | undefined
  /**
   * Whether a relay of a camera of ours may start now.
   *
   * @param lastEnd why the camera's last relay ended: a camera whose publisher was replaced waits until the
   * ownership is certain.
   */
  readonly mayStart: (id: CameraId, lastEnd: Reason | undefined) => boolean
  /** Done as soon as `mayStart`. */
  readonly permit: (id: CameraId, lastEnd: Reason | undefined) => Effect.Effect<void>
  /**
   * How this daemon names its publishers of the camera at the media server. `undefined`, or left out: no lock
   * protects the camera, so a publisher of the same name may belong to a daemon that lives.
   */
  readonly publisher?: ((id: CameraId) => PublisherName | undefined) | undefined
  /** The name of this daemon among the nodes that share the cameras. Left out where there are no nodes. */
  readonly node?: string | undefined
  /** How this node stands in its cluster. Left out where there are no nodes. */
  readonly membership?: (() => Membership) | undefined
  /** Done when this daemon is ready to relay or to take over: a node has joined, or is a standby. Left out: at once. */
  readonly ready?: Effect.Effect<void> | undefined
  /** The nodes by name, this one included. Left out where there are no nodes. */
  readonly nodes?: (() => ReadonlyArray<NodeView>) | undefined
  /** The daemon that relays the cameras while this one is a standby, for a status line. */
  readonly activeDaemon: Effect.Effect<string | undefined>
}

/** Every camera is ours, always. */
export const everyCamera: OwnershipService = {
  isOurs: () => true,
  changes: Stream.concat(Stream.succeed({}), Stream.never),
  mayStart: () => true,
  permit: () => Effect.void,
  activeDaemon: Effect.succeed(undefined)
}

/** The ownership in context; `everyCamera` where there is none. */
export const Ownership: Context.Reference<OwnershipService> = Context.Reference(
  "@restream/core/cluster/Ownership",
  { defaultValue: () => everyCamera }
)
