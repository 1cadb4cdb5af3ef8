/**
 * Decides which media servers have been unreachable for so long that their cameras are published elsewhere. Pure.
 *
 * A server that is reachable again stays failed over until it has been reachable without a break, because each move
 * interrupts the viewers of its cameras.
 */
import type { Camera } from "../camera/Camera.ts"
import { destinationKey } from "../camera/Camera.ts"
import type { CameraSet } from "../desired/Conflicts.ts"
import type { MediaServerStatus } from "./MediaServer.ts"

/** How long a server has been reachable or unreachable, and whether it is failed over. */
export interface Standing {
  readonly isUp: boolean
  /** When this began, by the health check; another value means another period. */
  readonly since: number
  /** By the monotonic clock. */
  readonly startedMs: number
  readonly isAway: boolean
}

/** The servers by name. */
export type Standings = ReadonlyMap<string, Standing>

export interface FailoverTiming {
  /** How long a server is unreachable before its cameras move. */
  readonly afterMs: number
  /** How long a server is reachable before its cameras return. */
  readonly backAfterMs: number
}

/**
 * The next standings, from the current health of the servers. A server whose first check has not ended is not failed
 * over, and no server is failed over while all are unreachable: no other server could take its cameras.
 */
export const next = (
  before: Standings,
  servers: ReadonlyArray<{ readonly name: string; readonly status: MediaServerStatus }>,
  nowMs: number,
  { afterMs, backAfterMs }: FailoverTiming
): Standings => {
  const standings = new Map<string, Standing>()
  const mayBeUp = servers.some(({ status }) => status._tag !== "Down")
  for (const { name, status } of servers) {
    if (status._tag === "Unknown") continue
    const isUp = status._tag === "Up"
    const known = before.get(name)
    const isSame = known?.isUp === isUp && known.since === status.since
    const startedMs = isSame ? known.startedMs : nowMs
    const lastedMs = nowMs - startedMs
    const wasAway = known?.isAway === true
    const isAway = isUp
      ? wasAway && lastedMs < backAfterMs
      : wasAway || (mayBeUp && lastedMs >= afterMs)
    standings.set(name, { isUp, since: status.since, startedMs, isAway })
  }
  // if all servers are failed over, those that are reachable take their cameras back at once
  if ([...standings.values()].every(({ isAway }) => isAway) && standings.size === servers.length) {
    for (const [name, standing] of standings) {
      if (standing.isUp) standings.set(name, { ...standing, isAway: false })
    }
  }
  return standings
}

/** The names of the servers that are failed over. */
export const awayOf = (standings: Standings): ReadonlySet<string> =>
  new Set([...standings].flatMap(([name, { isAway }]) => (isAway ? [name] : [])))

/**
 * The cameras with their current servers: a camera of a failed-over server gets its next server that is not failed
 * over. A camera stays if it has no fallback servers, or if another camera has its path on the next server.
 *
 * @returns the same set if no camera moves.
 */
export const apply = (set: CameraSet, failedOver: ReadonlySet<string>): CameraSet => {
  if (failedOver.size === 0) return set
  const moves = (camera: Camera) =>
    camera.fallbackServers !== undefined && failedOver.has(camera.mediaServer?.name ?? "")
  const taken = new Set<string>()
  for (const camera of set.cameras.values()) {
    if (camera._tag === "Camera" && !moves(camera)) taken.add(destinationKey(camera))
  }
  let hasMoved = false
  const cameras = new Map(set.cameras)
  for (const [id, camera] of set.cameras) {
    if (camera._tag !== "Camera" || !moves(camera)) continue
    const moved = camera.fallbackServers
      ?.filter(({ name }) => !failedOver.has(name))
      .map((mediaServer) => ({ ...camera, mediaServer }))
      .find((candidate) => !taken.has(destinationKey(candidate)))
    if (moved === undefined) continue
    hasMoved = true
    cameras.set(id, moved)
  }
  return hasMoved ? { ...set, cameras } : set
}
