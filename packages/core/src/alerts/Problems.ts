/** The subjects of alerts in a common form: each camera, media server, the database and the cluster. Pure. */
import type { Reason } from "../camera/Reason.ts"
import { dedupeKey, isAboutMediaServer } from "../camera/Reason.ts"
import type { MembershipProblem } from "../cluster/Ownership.ts"
import type { ServerView } from "../media-server/MediaServers.ts"
import type { SourceHealth } from "../source/CameraSource.ts"
import { type CameraStatus, everyStream, type StreamStatus } from "../status/CameraStatus.ts"

/** The problem of a subject. */
export interface Problem {
  /** `media-server`, `database`, `cluster`, `invalid`, `flapping`, or the tag of a reason. */
  readonly kind: string
  /** Problems of one family that start together are attributed to one cause. */
  readonly family: string
  /** The `host:port` that may be the cause; `undefined` where hosts do not matter. */
  readonly device: string | undefined
  /** Whether the problem is counted over the last hour, so that it need not last for `alerts.after`. */
  readonly isCounted: boolean
}

export interface Subject {
  /** `media-server`, with its name if there are several; `database`; `cluster`; or `camera` with its id. */
  readonly key: string
  /**
   * - `ok`: no problem.
   * - `failed`: the subject has a `problem`.
   * - `pending`: starting, without a problem so far.
   * - `held`: another problem explains the failure, or the subject waits for something outside itself.
   * - `released`: excluded from alerts, with or without a problem.
   */
  readonly condition: "ok" | "failed" | "pending" | "held" | "released"
  /** When the condition began, by the subject's own status; another value means another occurrence. */
  readonly since: number | undefined
  readonly problem: Problem | undefined
  readonly camera: StreamStatus | undefined
  /** Set for a media server that is one of several. */
  readonly server?: string | undefined
}

export const cameraKey = (id: string): string => `camera ${id}`

export interface Surroundings {
  readonly cameras: ReadonlyArray<CameraStatus>
  readonly mediaServers: ReadonlyArray<Pick<ServerView, "name" | "status">>
  readonly source: SourceHealth
  /** What keeps this node from taking part in its cluster. */
  readonly cluster?: MembershipProblem | undefined
}

export const subjectsOf = ({
  cameras,
  cluster,
  mediaServers,
  source
}: Surroundings): ReadonlyArray<Subject> => {
  const down = new Set(
    mediaServers.flatMap(({ name, status }) => (status._tag === "Down" ? [name] : []))
  )
  return [
    ...mediaServers.map(({ name, status }) => service("media-server", status, name)),
    service("database", source),
    service("cluster", cluster === undefined ? { _tag: "Up" } : { _tag: "Down", ...cluster }),
    ...cameras.flatMap((camera) => streamsOf(camera, down.has(camera.mediaServer)))
  ]
}

/** The streams of a camera. A problem of the main stream explains those of the others. */
const streamsOf = (camera: CameraStatus, isServerDown: boolean): ReadonlyArray<Subject> => {
  const [main, ...others] = everyStream([camera]).map((one) => subjectOf(one, isServerDown))
  if (main === undefined || main.condition === "ok") return [...(main ? [main] : []), ...others]
  return [
    main,
    ...others.map((one): Subject =>
      one.condition === "released" ? one : { ...one, condition: "held" }
    )
  ]
}

const service = (
  kind: string,
  status: { readonly _tag: string; readonly since?: number },
  server?: string
): Subject => ({
  key: keyOf(kind, server),
  condition: status._tag === "Down" ? "failed" : status._tag === "Up" ? "ok" : "pending",
  since: status._tag === "Down" ? status.since : undefined,
  problem: { kind, family: keyOf(kind, server), device: undefined, isCounted: false },
  camera: undefined,
  ...(server !== undefined && { server })
})

const keyOf = (kind: string, server: string | undefined): string =>
  server === undefined ? kind : `${kind} ${server}`

const subjectOf = (camera: StreamStatus, isServerDown: boolean): Subject => {
  const { state, word } = camera
  const subject = { key: cameraKey(camera.id), since: camera.since, camera, problem: undefined }
  if (camera.isMuted === true) return { ...subject, condition: "released" }
  switch (word) {
    case "ok":
      return camera.health === "poor"
        ? { ...subject, condition: "failed", problem: flapping }
        : { ...subject, condition: "ok" }
    case "starting":
      return { ...subject, condition: "pending" }
    case "waiting":
      return {
        ...subject,
        condition: state._tag === "Waiting" && state.for === "operator" ? "released" : "held"
      }
    case "invalid":
      return { ...subject, condition: "failed", problem: invalid }
    case "down": {
      const { reason } = camera
      return reason === undefined || (isServerDown && isLossOfServer(reason))
        ? { ...subject, condition: "held" }
        : { ...subject, condition: "failed", problem: problemOf(reason, camera) }
    }
  }
}

const flapping: Problem = {
  kind: "flapping",
  family: "flapping",
  device: undefined,
  isCounted: true
}

const invalid: Problem = {
  kind: "invalid",
  family: "invalid",
  device: undefined,
  isCounted: false
}

/** Whether the loss of the media server can cause the reason. */
const isLossOfServer = (reason: Reason): boolean =>
  reason._tag === "ServerGone" ||
  reason._tag === "PublisherReplaced" ||
  (reason._tag === "Stalled" && reason.side === "output")

/**
 * The failure of a device or a switch has several symptoms: some cameras are refused, others time out, and the reason
 * changes while the device boots. They are one family.
 */
const problemOf = (
  reason: Reason,
  { host, mediaServer }: Pick<CameraStatus, "host" | "mediaServer">
): Problem => {
  const kind = reason._tag
  const common = { kind, device: host, isCounted: false }
  if (isAboutMediaServer(reason)) {
    return { ...common, family: keyOf(dedupeKey(reason), mediaServer), device: undefined }
  }
  switch (reason._tag) {
    case "Refused":
    case "HostUnreachable":
    case "TimedOut":
    case "Closed":
    // of the camera
    case "Stalled":
      return { ...common, family: "unreachable" }
    case "LaunchFailed":
    case "InternalError":
      return { ...common, family: dedupeKey(reason), device: undefined }
    default:
      return { ...common, family: dedupeKey(reason) }
  }
}
