/** The status of a camera as data. The demo, `check` and the HTTP API encode these schemas. */
import * as Schema from "effect/Schema"
import { CameraId } from "../camera/Camera.ts"
import { Reason } from "../camera/Reason.ts"
import { StreamInfo } from "../engine/StreamInfo.ts"
import { CameraState } from "./CameraState.ts"
import { Health } from "./History.ts"
import { words } from "./OperatorView.ts"

export const Word = Schema.Literals(words)

/** Counters of the current or last relay; zeros before the first relay. */
const Counters = Schema.Struct({
  /** Media sent to the media server, in bytes. */
  bytes: Schema.Finite,
  packets: Schema.Finite,
  /** RTP packets that the camera sent and that never arrived. */
  lost: Schema.Finite,
  /** Packets that the media server was too slow for. */
  dropped: Schema.Finite,
  /** In milliseconds since 1970; `undefined` before the first packet of the video. */
  lastVideoAt: Schema.UndefinedOr(Schema.Finite)
})

/** The counters of all relays of a camera since the camera was first seen. */
const Totals = Schema.Struct({
  bytes: Schema.Finite,
  packets: Schema.Finite,
  lost: Schema.Finite,
  dropped: Schema.Finite
})

const Occurrences = Schema.Struct({
  /** Since the camera was first seen. */
  total: Schema.Finite,
  lastHour: Schema.Finite
})

const streamFields = {
  id: CameraId,
  name: Schema.String,
  /** The name of the camera type. */
  type: Schema.String,
  /** The path on the media server; an invalid camera has none. */
  path: Schema.UndefinedOr(Schema.String),
  /** The name of its media server. Left out if there is only one media server. */
  mediaServer: Schema.optionalKey(Schema.String),
  /** The URL without credentials; an invalid camera has none. */
  address: Schema.UndefinedOr(Schema.String),
  /** The camera's `host:port`; an invalid camera has none. */
  host: Schema.UndefinedOr(Schema.String),
  state: CameraState,
  /** The problem that keeps the camera from being live, if there is one: one line without secrets. */
  problem: Schema.UndefinedOr(Schema.String),
  /** When the camera entered its state, in milliseconds since 1970. */
  enteredAt: Schema.Finite,
  restarts: Occurrences,
  stalls: Occurrences,
  health: Health,
  counters: Counters,
  /** The state for an operator. */
  word: Word,
  /**
   * Since when the camera is live, or since when it is not: when it was last live, or first seen. In
   * milliseconds since 1970.
   */
  since: Schema.Finite,
  /** Why the camera is not live: the last reason, kept while the camera is tried again. */
  reason: Schema.UndefinedOr(Reason),
  /** The engine of the current or last relay. */
  engine: Schema.UndefinedOr(Schema.String),
  /** The stream that is sent to the media server, or was sent last. */
  offer: Schema.UndefinedOr(StreamInfo),
  /** How long the last probe took, in milliseconds. */
  probeMs: Schema.UndefinedOr(Schema.Finite),
  totals: Totals,
  /** When the last video arrived, in milliseconds since 1970; `undefined` before the first. */
  lastVideoAt: Schema.UndefinedOr(Schema.Finite),
  /** Whether alerts about the camera are muted. Left out if they are not. */
  isMuted: Schema.optionalKey(Schema.Boolean),
  /** The revision of the store at which this camera's state or name last changed. */
  revision: Schema.Finite
}

/** A further stream of a camera, with its own state. */
export const SubstreamStatus = Schema.Struct({
  ...streamFields,
  /** The name of the stream, such as `sub`. */
  stream: Schema.String
})
export type SubstreamStatus = typeof SubstreamStatus.Type

export const CameraStatus = Schema.Struct({
  ...streamFields,
  /** The further streams of the camera, besides its main stream. Left out if there are none. */
  substreams: Schema.optionalKey(Schema.Array(SubstreamStatus))
})
export type CameraStatus = typeof CameraStatus.Type

/** The status of a single stream. */
export type StreamStatus = CameraStatus & {
  /** The camera of which it is a further stream. */
  readonly of?: CameraId
}

/** The statuses of all streams: each camera, followed by its further streams. */
export const everyStream = (cameras: ReadonlyArray<CameraStatus>): ReadonlyArray<StreamStatus> =>
  cameras.flatMap((camera) => [
    camera,
    ...(camera.substreams ?? []).map((substream) => ({ ...substream, of: camera.id }))
  ])

/** The fields of every event. */
const subject = {
  /** The revision of the store after the event. */
  revision: Schema.Finite,
  /** In milliseconds since 1970. */
  at: Schema.Finite,
  id: CameraId,
  /** The camera of which this is a further stream. Left out for a main stream. */
  of: Schema.optionalKey(CameraId),
  name: Schema.String,
  path: Schema.UndefinedOr(Schema.String),
  /** The name of its media server. Left out if there is only one media server. */
  mediaServer: Schema.optionalKey(Schema.String),
  /** The camera's `host:port`; an invalid camera has none. */
  host: Schema.UndefinedOr(Schema.String)
}

/** What happened to a camera. */
export const StatusEvent = Schema.TaggedUnion({
  StateChanged: {
    ...subject,
    /** `undefined`: the camera is new. */
    from: Schema.UndefinedOr(CameraState),
    to: CameraState,
    /** Whether the table of transitions allows this transition. If not, restream has a defect. */
    isLegal: Schema.Boolean,
    /** How long the camera was in its previous state, in milliseconds of the monotonic clock. */
    elapsedMs: Schema.Finite,
    /** In the last hour. */
    restarts: Schema.Finite,
    stalls: Schema.Finite,
    health: Health
  },
  /** The camera's name or type changed. */
  Renamed: subject,
  /** The camera has been live long enough that its last problem counts as resolved. */
  BecameStable: {
    ...subject,
    restarts: Schema.Finite,
    stalls: Schema.Finite,
    health: Health
  },
  /** The camera was removed. */
  Removed: { ...subject, from: CameraState, to: Schema.Undefined }
})
export type StatusEvent = typeof StatusEvent.Type

/** A change of state, or the end of a camera: then `to` is `undefined`. */
export type StatusChange = Extract<StatusEvent, { readonly from: unknown }>
