/**
 * The HTTP API as a contract, without handlers: the daemon, `restream status`, the dashboard and programs
 * that embed restream share it.
 *
 * Times are milliseconds since 1970, bitrates are bits per second, and unknown values are `null`. No document contains
 * credentials.
 */
import * as Schema from "effect/Schema"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import { CameraId } from "../camera/Camera.ts"
import { HlsFileName, HlsQuery } from "../player/Hls.ts"
import { PlayProblem } from "../player/PlayerServer.ts"
import { Health } from "../status/History.ts"
import { Word } from "../status/CameraStatus.ts"

export const State = Schema.Literals([
  "live",
  "starting",
  "probing",
  "waiting",
  "restarting",
  "unreachable",
  "invalid",
  "stopping"
])

/** The video and audio of a stream. */
export const StreamDescription = Schema.Struct({
  /** `h264`, `hevc`, … */
  video: Schema.String,
  width: Schema.NullOr(Schema.Finite),
  height: Schema.NullOr(Schema.Finite),
  audio: Schema.NullOr(Schema.String)
})

/** Why a camera is not live. */
export const Problem = Schema.Struct({
  /** The code of the reason, a heading of docs/troubleshooting.md: `Refused`, `Unauthorized`, … */
  code: Schema.String,
  /** One line. */
  message: Schema.String
})

const Occurrences = Schema.Struct({ total: Schema.Finite, lastHour: Schema.Finite })

/** The state of a camera's path, by the API of its media server. */
export const ServerWord = Schema.Struct({
  isOnline: Schema.Boolean,
  since: Schema.NullOr(Schema.Finite),
  readers: Schema.Finite,
  /** Bytes that the media server has received on the path. */
  inboundBytes: Schema.Finite
})

/** A further stream of a camera. The id can be used to retry or restart this stream alone. */
export const Substream = Schema.Struct({
  id: CameraId,
  /** `sub`, `third`, … */
  name: Schema.String,
  path: Schema.NullOr(Schema.String),
  word: Word,
  since: Schema.Finite,
  problem: Schema.NullOr(Problem),
  retryAt: Schema.NullOr(Schema.Finite),
  stream: Schema.NullOr(StreamDescription),
  bitrate: Schema.Finite,
  /** The name of its media server; left out if there is only one media server. */
  mediaServerName: Schema.optionalKey(Schema.String),
  /** `null` without the `apiUrl` of its media server, and while the API does not respond. */
  mediaServer: Schema.NullOr(ServerWord)
})
export type Substream = typeof Substream.Type

const summaryFields = {
  id: CameraId,
  /** The node that relays the camera; left out without a cluster. */
  node: Schema.optionalKey(Schema.String),
  name: Schema.String,
  /** The camera type. */
  type: Schema.String,
  /** The path on the media server; `null` for an invalid row. */
  path: Schema.NullOr(Schema.String),
  /** The camera's `host:port`. */
  host: Schema.NullOr(Schema.String),
  /** The state for an operator. */
  word: Word,
  state: State,
  /** Since when the camera is live, or since when it is not. */
  since: Schema.Finite,
  /** The last problem; kept while the camera is tried again. */
  problem: Schema.NullOr(Problem),
  /** The time of the next attempt; `null` during an attempt, and without a problem. */
  retryAt: Schema.NullOr(Schema.Finite),
  /** The engine of the current or last relay. */
  engine: Schema.NullOr(Schema.String),
  /** The stream that is sent to the media server, or was sent last. */
  stream: Schema.NullOr(StreamDescription),
  bitrate: Schema.Finite,
  restarts: Occurrences,
  stalls: Occurrences,
  health: Health,
  lastVideoAt: Schema.NullOr(Schema.Finite),
  /** The further streams of the camera; left out where there are none. */
  substreams: Schema.optionalKey(Schema.Array(Substream)),
  /** The name of its media server; left out if there is only one media server. */
  mediaServerName: Schema.optionalKey(Schema.String),
  /** `null` without the `apiUrl` of its media server, and while the API does not respond. */
  mediaServer: Schema.NullOr(ServerWord),
  revision: Schema.Finite
}

/** A camera in the list. */
export const CameraSummary = Schema.Struct({
  ...summaryFields,
  /** 60 values, one per minute, the oldest first; only with `history=true`. */
  bitrates: Schema.optionalKey(Schema.Array(Schema.Finite))
})
export type CameraSummary = typeof CameraSummary.Type

export const TimelineItem = Schema.Struct({
  word: Word,
  /** The word applies from this time until the next item. */
  at: Schema.Finite,
  reason: Schema.NullOr(Schema.String)
})

export const LogItem = Schema.Struct({
  at: Schema.Finite,
  level: Schema.Literals(["info", "warn", "error"]),
  message: Schema.String
})

/** A camera with all details. */
export const CameraDetail = Schema.Struct({
  ...summaryFields,
  /** The URL of the camera without credentials. */
  address: Schema.NullOr(Schema.String),
  /** What to do. */
  advice: Schema.NullOr(Schema.String),
  /** How long the last probe took, in milliseconds. */
  probeMs: Schema.NullOr(Schema.Finite),
  /** Counted over all relays since the camera was first seen. */
  totals: Schema.Struct({
    bytes: Schema.Finite,
    packets: Schema.Finite,
    lost: Schema.Finite,
    dropped: Schema.Finite
  }),
  bitrates: Schema.Struct({
    /** 60 values, one per minute, the oldest first. */
    minutes: Schema.Array(Schema.Finite),
    /** 120 values, one every 5 seconds, the oldest first. */
    recent: Schema.Array(Schema.Finite)
  }),
  /** The last 32 changes of the word, the oldest first. */
  timeline: Schema.Array(TimelineItem),
  /** The last 20 log lines about this camera alone, the oldest first. */
  log: Schema.Array(LogItem),
  /** Where viewers watch the camera. */
  playerUrls: Schema.NullOr(
    Schema.Struct({ webrtc: Schema.String, hls: Schema.String, rtsp: Schema.String })
  )
})
export type CameraDetail = typeof CameraDetail.Type

export const Cause = Schema.Struct({
  /**
   * `media-server`, `media-server-api`, `offline`, `database`, `cluster`, `node`, `invalid`, `flapping`, `stopped`,
   * or the code of a problem.
   */
  kind: Schema.String,
  message: Schema.String,
  /** What to do. */
  advice: Schema.String,
  since: Schema.Finite,
  /** The `host:port` that all the cameras share. */
  host: Schema.NullOr(Schema.String),
  /** How many cameras are affected. */
  count: Schema.Finite,
  /** The first 100 of them. */
  cameras: Schema.Array(CameraId)
})

/** The number of cameras per word. */
export const Tally = Schema.Struct({
  down: Schema.Finite,
  invalid: Schema.Finite,
  waiting: Schema.Finite,
  starting: Schema.Finite,
  ok: Schema.Finite
})

const serverFields = {
  state: Schema.Literals(["unknown", "up", "down"]),
  since: Schema.NullOr(Schema.Finite),
  detail: Schema.NullOr(Schema.String)
}
/** A node of the cluster, as seen by the responding node. */
export const Node = Schema.Struct({
  name: Schema.String,
  /** Whether this is the responding node. */
  isSelf: Schema.Boolean,
  /**
   * `ok`; `draining` if the node takes no more cameras; `unreachable` if its API does not respond, or if a worker of
   * this machine is not in the cluster; `unknown` if this node cannot reach its address.
   */
  state: Schema.Literals(["ok", "draining", "unreachable", "unknown"]),
  /** Why its cameras are unknown, in one line; `null` if they are known. */
  problem: Schema.NullOr(Schema.String),
  /** The URL of its API for other nodes. */
  url: Schema.NullOr(Schema.String),
  /** The tally of its cameras; `null` if they are unknown. */
  tally: Schema.NullOr(Tally),
  /** The sum for all its cameras. */
  bitrate: Schema.NullOr(Schema.Finite),
  version: Schema.NullOr(Schema.String)
})
export type Node = typeof Node.Type

export const Worker = Schema.Struct({ name: Schema.String, port: Schema.Finite })

/** A summary of all cameras, including those of other nodes of a cluster, and of the services they depend on. */
export const Overview = Schema.Struct({
  version: Schema.String,
  /** The name of this node; left out without a cluster. */
  node: Schema.optionalKey(Schema.String),
  /** The nodes of the cluster by name, this one included; left out without a cluster. */
  nodes: Schema.optionalKey(Schema.Array(Node)),
  /** The state of this node in its cluster; left out without a cluster. */
  cluster: Schema.optionalKey(
    Schema.Struct({
      /** Whether the node has joined since it was started. */
      hasJoined: Schema.Boolean,
      /** How many shards it holds. */
      shards: Schema.Finite,
      /** Whether there are other nodes. */
      hasOthers: Schema.Boolean
    })
  ),
  /**
   * The nodes that run on this machine as workers of one process, including this node, with the ports of their HTTP
   * servers; left out without workers. Each worker shows the cameras that it relays.
   */
  workers: Schema.optionalKey(Schema.Array(Worker)),
  /** Identifies this run of the daemon; revisions of different runs are not comparable. */
  boot: Schema.String,
  revision: Schema.Finite,
  now: Schema.Finite,
  startedAt: Schema.Finite,
  tally: Tally,
  /** The current problems, the worst first. */
  causes: Schema.Array(Cause),
  /** The sum for all cameras. */
  bitrate: Schema.Finite,
  /** With several media servers, one in the worst state. */
  mediaServer: Schema.Struct(serverFields),
  /** Left out if there is only one media server. */
  mediaServers: Schema.optionalKey(
    Schema.Array(Schema.Struct({ name: Schema.String, ...serverFields }))
  ),
  /** The source of the camera list: a database or a file. */
  database: Schema.Struct({
    state: Schema.Literals(["connecting", "up", "down"]),
    since: Schema.NullOr(Schema.Finite),
    lastReadAt: Schema.NullOr(Schema.Finite),
    detail: Schema.NullOr(Schema.String)
  })
})
export type Overview = typeof Overview.Type

export const CameraList = Schema.Struct({
  boot: Schema.String,
  revision: Schema.Finite,
  /** How many cameras match, on all pages. */
  total: Schema.Finite,
  tally: Tally,
  cameras: Schema.Array(CameraSummary)
})
export type CameraList = typeof CameraList.Type

/** The changes since the revision of the last event. */
export const CameraChanges = Schema.Struct({
  boot: Schema.String,
  revision: Schema.Finite,
  tally: Tally,
  cameras: Schema.Array(CameraSummary),
  removed: Schema.Array(CameraId)
})
export type CameraChanges = typeof CameraChanges.Type

const event = <const Name extends string, Data extends Schema.Top>(event: Name, data: Data) =>
  Schema.Struct({
    id: Schema.optional(Schema.String),
    event: Schema.Literal(event),
    data: Schema.fromJsonString(data)
  })

/**
 * The events of `/api/events`.
 *
 * - `snapshot`: all cameras; replaces what the client knows.
 * - `cameras`: the changed and the removed cameras.
 * - `rates`: the bitrate of each camera that sends, every 5 seconds; further streams have their own ids.
 * - `readers`: how many readers the media server has for each camera that is online there, every 5 seconds;
 *   further streams have their own ids; `null` while unknown.
 * - `beat`: the overview, at once and every 5 seconds. Without it, a client shows outdated data.
 * - `bye`: the daemon stops; the stream ends.
 */
export const Event = Schema.Union([
  event("snapshot", CameraChanges),
  event("cameras", CameraChanges),
  event("rates", Schema.Record(Schema.String, Schema.Finite)),
  event("readers", Schema.NullOr(Schema.Record(Schema.String, Schema.Finite))),
  event("beat", Overview),
  event("bye", Schema.Struct({ now: Schema.Finite }))
])
export type Event = typeof Event.Type

/** A parameter of the request violates the contract. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()(
  "InvalidRequest",
  { message: Schema.String },
  { httpApiStatus: 400 }
) {}

/** Responds with the name of the invalid parameter. */
export class RequestValidation extends HttpApiMiddleware.Service<RequestValidation>()(
  "@restream/core/http/RequestValidation",
  { error: InvalidRequest }
) {}

export class CameraNotFound extends Schema.TaggedError<CameraNotFound>()(
  "CameraNotFound",
  { message: Schema.String },
  { httpApiStatus: 404 }
) {}

/** The camera belongs to another node, which does not respond. */
export class NodeUnreachable extends Schema.TaggedError<NodeUnreachable>()(
  "NodeUnreachable",
  { message: Schema.String },
  { httpApiStatus: 502 }
) {}

/** Forwards requests about a camera to the node that has the camera, unless they have `scope=node`. */
export class ToCameraNode extends HttpApiMiddleware.Service<ToCameraNode>()(
  "@restream/core/http/ToCameraNode",
  { error: [CameraNotFound, NodeUnreachable] }
) {}

/** The row makes no camera, so there is nothing to retry or to restart. */
export class CameraInvalid extends Schema.TaggedError<CameraInvalid>()(
  "CameraInvalid",
  { message: Schema.String },
  { httpApiStatus: 409 }
) {}

/** No picture of the camera is available; the message says why. */
export class NoPicture extends Schema.TaggedError<NoPicture>()(
  "NoPicture",
  { message: Schema.String },
  { httpApiStatus: 409 }
) {}

export class TooManyStreams extends Schema.TaggedError<TooManyStreams>()(
  "TooManyStreams",
  { message: Schema.String },
  { httpApiStatus: 503 }
) {}

/** The camera cannot be played; the code is for programs, the message says why. */
export class NotPlayable extends Schema.TaggedError<NotPlayable>()(
  "NotPlayable",
  { code: PlayProblem, message: Schema.String },
  { httpApiStatus: 409 }
) {}

export const CommandResult = Schema.Struct({
  id: CameraId,
  command: Schema.Literals(["retry", "restart"]),
  /** A note for the operator. */
  message: Schema.String
})
export type CommandResult = typeof CommandResult.Type

const Condition = Schema.Struct({ isOk: Schema.Boolean, message: Schema.String })

/** The daemon does not work; the message says why. */
export class NotHealthy extends Schema.TaggedError<NotHealthy>()(
  "NotHealthy",
  { message: Schema.String },
  { httpApiStatus: 503 }
) {}

const count = (least: number, most: number) => {
  const message = `Expected a whole number from ${least} to ${most}`
  return Schema.FiniteFromString.check(
    Schema.isInt({ message }),
    Schema.isBetween({ minimum: least, maximum: most }, { message })
  )
}

export const sortKeys = ["id", "name", "word", "since", "bitrate", "restarts", "health"] as const

const flag = Schema.Literals(["true", "false"])

/** Selects the nodes of a cluster. */
export const ScopeQuery = {
  /** Default `cluster`; `node` returns only the cameras of the responding node. */
  scope: Schema.optionalKey(Schema.Literals(["cluster", "node"]))
}

/** The filter, the order and the page of the list. */
export const ListQuery = {
  ...ScopeQuery,
  /** Only cameras with this word; unless the word is `ok`, also cameras with such a further stream. */
  word: Schema.optionalKey(Word),
  /** Only cameras with the text, in any case, in id, name, path, host or node, or in a further stream's id or path. */
  q: Schema.optionalKey(Schema.String),
  /** Default `id`; `word` starts with the worst. */
  sort: Schema.optionalKey(Schema.Literals(sortKeys)),
  /** Default `asc`. */
  order: Schema.optionalKey(Schema.Literals(["asc", "desc"])),
  /** Default 1000, at most 10000. */
  limit: Schema.optionalKey(count(1, 10_000)),
  offset: Schema.optionalKey(count(0, 1_000_000_000)),
  /** Whether to include the bitrates of the last hour. Default `false`. */
  history: Schema.optionalKey(flag)
}

export const PictureQuery = {
  /** The greatest age, in seconds. Default 10. */
  maxAge: Schema.optionalKey(count(0, 3600))
}

const describe = (summary: string) => OpenApi.annotations({ summary })
const id = { id: CameraId }
const session = { id: CameraId, session: Schema.String }
const sdp = Schema.String.pipe(HttpApiSchema.asText({ contentType: "application/sdp" }))

export class CamerasGroup extends HttpApiGroup.make("cameras")
  .add(
    HttpApiEndpoint.get("get", "/api/cameras/:id", {
      params: id,
      success: CameraDetail,
      error: CameraNotFound
    }).annotateMerge(describe("One camera with everything that is known about it")),
    HttpApiEndpoint.get("picture", "/api/cameras/:id/picture", {
      params: id,
      query: PictureQuery,
      success: HttpApiSchema.StreamUint8Array({ contentType: "video/mp4" }),
      error: [CameraNotFound, NoPicture]
    }).annotateMerge(
      describe("The last keyframe as an MP4 of one picture; x-picture-time says when it was taken")
    ),
    HttpApiEndpoint.post("play", "/api/cameras/:id/whep", {
      params: id,
      payload: sdp,
      success: sdp.pipe(HttpApiSchema.status(201)),
      error: [CameraNotFound, NotPlayable]
    }).annotateMerge(
      describe("WHEP: exchanges an offer for the media server's answer; location names the session")
    ),
    HttpApiEndpoint.patch("addCandidates", "/api/cameras/:id/whep/:session", {
      params: session,
      payload: Schema.String.pipe(
        HttpApiSchema.asText({ contentType: "application/trickle-ice-sdpfrag" })
      ),
      success: HttpApiSchema.NoContent,
      error: [CameraNotFound, NotPlayable]
    }).annotateMerge(describe("WHEP: adds ICE candidates to a session")),
    HttpApiEndpoint.delete("stopPlaying", "/api/cameras/:id/whep/:session", {
      params: session,
      success: HttpApiSchema.NoContent,
      error: [CameraNotFound, NotPlayable]
    }).annotateMerge(describe("WHEP: ends a session")),
    HttpApiEndpoint.get("hls", "/api/cameras/:id/hls/:file", {
      params: { id: CameraId, file: HlsFileName },
      query: HlsQuery,
      // the contract has one content type for streams; the responses have the content type of the file
      success: HttpApiSchema.StreamUint8Array(),
      error: [CameraNotFound, NotPlayable]
    }).annotateMerge(describe("HLS: index.m3u8, and the playlists and segments that it names")),
    HttpApiEndpoint.post("retry", "/api/cameras/:id/retry", {
      params: id,
      success: CommandResult.pipe(HttpApiSchema.status(202)),
      error: [CameraNotFound, CameraInvalid]
    }).annotateMerge(describe("Ends the wait before the next attempt")),
    HttpApiEndpoint.post("restart", "/api/cameras/:id/restart", {
      params: id,
      success: CommandResult.pipe(HttpApiSchema.status(202)),
      error: [CameraNotFound, CameraInvalid]
    }).annotateMerge(describe("Ends the relay and starts it again; viewers lose the stream"))
  )
  .middleware(ToCameraNode)
  .add(
    HttpApiEndpoint.get("list", "/api/cameras", {
      query: ListQuery,
      success: CameraList
    }).annotateMerge(describe("Cameras, filtered, sorted and paged"))
  )
  .annotateMerge(OpenApi.annotations({ title: "Cameras" })) {}

export class StatusGroup extends HttpApiGroup.make("status")
  .add(
    HttpApiEndpoint.get("overview", "/api/overview", {
      query: ScopeQuery,
      success: Overview
    }).annotateMerge(describe("All cameras together, and what is wrong, by cause")),
    HttpApiEndpoint.get("events", "/api/events", {
      query: ScopeQuery,
      headers: { "last-event-id": Schema.optionalKey(Schema.String) },
      success: HttpApiSchema.StreamSse({ events: Event }),
      error: TooManyStreams
    }).annotateMerge(describe("Changes as server-sent events"))
  )
  .annotateMerge(OpenApi.annotations({ title: "Status" })) {}

export class HealthGroup extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("live", "/health/live", {
      success: Condition,
      error: NotHealthy
    }).annotateMerge(describe("Whether the supervisor responds; if not, restart the daemon")),
    HttpApiEndpoint.get("ready", "/health/ready", {
      success: Condition,
      error: NotHealthy
    }).annotateMerge(
      describe("Whether the camera list was read and applied, and a node has joined its cluster")
    )
  )
  .annotateMerge(OpenApi.annotations({ title: "Health" })) {}

export class Api extends HttpApi.make("restream")
  .add(CamerasGroup, StatusGroup, HealthGroup)
  .middleware(RequestValidation)
  .annotateMerge(OpenApi.annotations({ title: "restream", version: "1" })) {}
