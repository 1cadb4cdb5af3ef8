/** The current problems by cause, not by camera: a failed switch is one cause. Pure. */
import { describeForMany } from "./SharedCause.ts"
import type { CameraId } from "../camera/Camera.ts"
import { onePerCamera } from "../camera/CameraNames.ts"
import { dedupeKey, isAboutMediaServer, PathOffline, type Reason } from "../camera/Reason.ts"
import type { MembershipProblem } from "../cluster/Ownership.ts"
import { serverLabel, type ServerView, settingsGroup } from "../media-server/MediaServers.ts"
import { type SourceHealth, sourceName } from "../source/CameraSource.ts"
import { adviceFor, adviceOf } from "./Advice.ts"
import { type CameraStatus, everyStream, type StreamStatus } from "./CameraStatus.ts"

export interface Cause {
  /**
   * `media-server`, `media-server-api`, `offline`, `database`, `cluster`, `invalid`, `flapping`, `stopped`, or
   * the tag of a reason: `Refused`, …
   */
  readonly kind: string
  /** One line without secrets. */
  readonly message: string
  readonly advice: string
  /** When the first of the cameras went down, in milliseconds since 1970. */
  readonly since: number
  /**
   * The `host:port` that all the cameras share; `undefined` where they have several, and for a problem of the media
   * server.
   */
  readonly host: string | undefined
  /** How many cameras are affected. */
  readonly count: number
  /** The first 100 of them. */
  readonly cameras: ReadonlyArray<CameraId>
}

const shownCameras = 100

export interface Surroundings {
  readonly mediaServers: ReadonlyArray<ServerView>
  readonly source: SourceHealth
  /** The problem that keeps this node from taking part in its cluster. */
  readonly cluster?: MembershipProblem | undefined
  /** In milliseconds since 1970. */
  readonly now: number
}

/** Causes that may explain the problems of cameras. */
const firstKinds = ["media-server", "database", "cluster", "node", "offline"]

const rankOf = ({ kind }: Pick<Cause, "kind">): number => {
  const first = firstKinds.indexOf(kind)
  if (first !== -1) return first
  // no camera is affected
  return kind === "media-server-api" ? Infinity : firstKinds.length
}

/**
 * The order of causes, the worst first: the media servers, the camera source, the cluster, then by the
 * number of cameras.
 */
export const worstFirst = (
  a: Pick<Cause, "count" | "kind" | "since">,
  b: Pick<Cause, "count" | "kind" | "since">
): number => {
  const [first, second] = [rankOf(a), rankOf(b)]
  return first === second ? b.count - a.count || a.since - b.since : first < second ? -1 : 1
}

/** The causes, in the order of {@link worstFirst}. */
export const causesOf = (
  rows: ReadonlyArray<CameraStatus>,
  { cluster, mediaServers, now, source }: Surroundings
): ReadonlyArray<Cause> => {
  const cameras = everyStream(rows)
  const groups = new Map<string, Array<StreamStatus>>()
  /** The cameras whose main stream has a problem, which explains the problems of their other streams. */
  const explained = new Set<CameraId>()
  for (const camera of cameras) {
    const key = keyOf(camera)
    if (key === undefined) continue
    if (camera.of !== undefined && explained.has(camera.of)) continue
    if (camera.word !== "ok") explained.add(camera.id)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [camera])
    else group.push(camera)
  }
  const causes: ReadonlyArray<Cause> = [
    ...mediaServers.flatMap(({ name, status }) =>
      status._tag === "Down"
        ? [
            {
              kind: "media-server",
              message: `${serverLabel(name)} is unreachable: ${status.detail}`,
              advice: "Check that the media server runs and is reachable.",
              since: status.since,
              ...affectedByServer(
                cameras.filter((one) => one.mediaServer === name && isWaitingForServer(one))
              )
            }
          ]
        : []
    ),
    ...(source._tag === "Down"
      ? [
          {
            // also for a file, because clients expect this kind
            kind: "database",
            message: `camera list cannot be read: ${source.error.message}`,
            advice:
              source.lastSnapshotAt === undefined
                ? `Check the ${sourceName(source.error)}; no camera starts before the first read.`
                : `Check the ${sourceName(source.error)}. Running relays are unaffected; last successful read ${Math.round((now - source.lastSnapshotAt) / 1000)} s ago.`,
            since: source.since,
            ...affected([])
          }
        ]
      : []),
    ...(cluster === undefined ? [] : [{ kind: "cluster", ...cluster, ...affected([]) }]),
    ...mediaServers.flatMap((server) => offlineAtServer(cameras, server)),
    ...[...groups.values()].map((group) => causeOfGroup(onePerCamera(group))),
    ...mediaServers.flatMap(({ api, name }) =>
      api._tag === "Down"
        ? [
            {
              kind: "media-server-api",
              message: `${serverLabel(name)} API cannot be read: ${api.detail}`,
              advice: `Check ${settingsGroup(name)}.apiUrl. Relays are unaffected; readers are unknown.`,
              since: api.since,
              ...affected([])
            }
          ]
        : []
    )
  ]
  return causes.toSorted(worstFirst)
}

const offlineAtServer = (
  all: ReadonlyArray<StreamStatus>,
  { name, offlinePaths }: ServerView
): ReadonlyArray<Cause> => {
  const cameras = all.filter(
    ({ mediaServer, path, word }) =>
      word === "ok" && mediaServer === name && path !== undefined && offlinePaths.has(path)
  )
  return cameras.length === 0
    ? []
    : [
        {
          kind: "offline",
          message: `live, but the ${serverLabel(name)} has no publisher on the path, by its API`,
          advice: adviceFor(new PathOffline({ afterMs: 0 })),
          since: Math.min(...cameras.map(({ since }) => since)),
          ...affectedByServer(cameras)
        }
      ]
}

const isWaitingForServer = ({ state }: CameraStatus): boolean =>
  state._tag === "Waiting" && state.for === "media server"

/** Cameras with the same key have the same problem; `undefined`: the camera itself has no problem. */
const keyOf = ({
  health,
  host,
  mediaServer,
  reason,
  state,
  word
}: CameraStatus): string | undefined => {
  switch (word) {
    case "invalid":
      return "invalid"
    case "waiting":
      return state._tag === "Waiting" && state.for === "operator" ? "stopped" : undefined
    case "ok":
      return health === "poor" ? "flapping" : undefined
    case "starting":
      return undefined
    case "down":
      return reason === undefined
        ? undefined
        : `down ${dedupeKey(reason)} ${isAboutMediaServer(reason) ? (mediaServer ?? "") : sharedHost(reason, host)}`
  }
}

/** The host of problems that concern a whole device, which is a separate cause; empty for other problems. */
const sharedHost = (reason: Reason, host: string | undefined): string => {
  switch (reason._tag) {
    case "Refused":
    case "Closed":
    case "CertificateError":
    case "HostUnreachable":
    case "Unauthorized":
      return host ?? ""
    case "TimedOut":
      return reason.phase === "connecting" ? (host ?? "") : ""
    default:
      return ""
  }
}

const affected = (streams: ReadonlyArray<StreamStatus>) => {
  const cameras = onePerCamera(streams)
  const hosts = new Set(cameras.map(({ host }) => host))
  return {
    host: hosts.size === 1 ? [...hosts][0] : undefined,
    count: cameras.length,
    cameras: cameras.slice(0, shownCameras).map(({ id }) => id)
  }
}

/** The cameras of a media server with a problem, without their hosts, which are not involved. */
const affectedByServer = (streams: ReadonlyArray<StreamStatus>) => ({
  ...affected(streams),
  host: undefined
})

const causeOfGroup = (cameras: ReadonlyArray<CameraStatus>): Cause => {
  const first = cameras[0]!
  const since = Math.min(...cameras.map((camera) => camera.since))
  const common = { since, ...affected(cameras) }
  const { reason, state, word } = first
  if (word === "invalid") {
    const message =
      cameras.length === 1 && first.problem !== undefined
        ? `invalid row: ${first.problem}`
        : `${cameras.length} invalid rows`
    return { ...common, kind: "invalid", message, advice: adviceOf(state, reason) ?? "" }
  }
  if (word === "waiting") {
    return {
      ...common,
      kind: "stopped",
      message: "stopped by an operator",
      advice: adviceOf(state, reason) ?? ""
    }
  }
  if (reason === undefined) {
    return {
      ...common,
      kind: "flapping",
      message: "restarts again and again",
      advice: "Check the network and the power of the camera; its timeline has the reasons."
    }
  }
  const hosts = new Set(cameras.map(({ host }) => host)).size
  return {
    ...common,
    ...(isAboutMediaServer(reason) && { host: undefined }),
    kind: reason._tag,
    message: describeForMany(reason, cameras.length === 1 ? 1 : hosts, first.mediaServer),
    advice: adviceFor(reason)
  }
}
