/**
 * Which cameras this daemon relays, where several daemons share one table.
 *
 * The supervisor asks which cameras are ours, and the camera fibers ask for a permit before a relay starts.
 * Neither depends on how ownership is decided. Without an implementation in context every camera is ours.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CameraId } from "../camera/Camera.ts"
import type { Reason } from "../camera/Reason.ts"

/** Which cameras were gained or lost since the previous change. */
export interface OwnershipChange {
  /** The shards whose cameras were gained or lost. `undefined`: any cameras. */
  readonly shards?: ReadonlyArray<number> | undefined
  /** Whether another daemon has handed the cameras over, so that they have no relay until this daemon starts them. */
  readonly isHandOver?: boolean | undefined
  /** To be run when all fibers of the cameras in these shards that are not ours have ended. */
  readonly settled?: Effect.Effect<void> | undefined
}

/** The shards of a node, for a camera source that reads only their rows. */
export interface OwnedShards {
  /** How many shards there are in all. */
  readonly count: number
  /** The shards that are ours now. A shard that was lost and came back has another object. */
  readonly ours: () => ReadonlyMap<number, object>
  /** Emits at once, and after each gain of shards. Never ends. */
  readonly came: Stream.Stream<void>
}

export interface PublisherName {
  /** The same for all daemons that may own the camera one after the other, and different for every other daemon. */
  readonly instance: string
  /**
   * Whether no other daemon can own the camera now. Then a publisher of the same name that is still at the media
   * server belongs to a daemon that is gone, or that has lost the camera.
   */
  readonly isExclusive: boolean
}

/** The problem that keeps a node from taking part in its cluster. */
export interface MembershipProblem {
  /** One line without secrets. */
  readonly message: string
  /** What to do. */
  readonly advice: string
  /** In milliseconds since 1970. */
  readonly since: number
}

/** The state of a node in its cluster. */
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
  /** The URL of the node's HTTP API for other nodes. `undefined`: there is none, or the version is earlier. */
  readonly apiUrl: string | undefined
  /** The host name of the node's machine. `undefined`: the version is earlier. */
  readonly machine: string | undefined
}

/**
 * Cameras are identified by the id of their row: further streams of a camera have the owner of the main stream.
 */
export interface OwnershipService {
  /** Whether this daemon relays the camera. Each change is emitted by `changes`. */
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
   * protects the camera, so a publisher of the same name may belong to a running daemon.
   */
  readonly publisher?: ((id: CameraId) => PublisherName | undefined) | undefined
  /** The name of this daemon among the nodes that share the cameras. Left out where there are no nodes. */
  readonly node?: string | undefined
  /** The state of this node in its cluster. Left out where there are no nodes. */
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

/** The ownership in context. Default: `everyCamera`. */
export const Ownership: Context.Reference<OwnershipService> = Context.Reference(
  "@restream/core/cluster/Ownership",
  { defaultValue: () => everyCamera }
)
