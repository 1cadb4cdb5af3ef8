/** The output of `restream demo`: a live table, lines of JSON, and a summary. */
import { CameraState, type CameraStatus, type StatusChange, StatusEvent } from "@restream/core"
import * as Schema from "effect/Schema"
import { table } from "../text/Table.ts"

/** One camera of the summary. */
interface DemoCamera {
  readonly id: string
  readonly name: string
  /** Whether the camera must be live at the end. */
  readonly healthy: boolean
  readonly state: string
  readonly engine: string | null
  /** The bytes that the media server received on the camera's path. */
  readonly bytes: number
}

export interface DemoSummary {
  readonly event: "summary"
  /** Whether every healthy camera is live, and the media server has received data from it. */
  readonly ok: boolean
  readonly cameras: ReadonlyArray<DemoCamera>
}

const word = (state: CameraState.CameraState): string => state._tag.toLowerCase()

export const summarize = (
  statuses: ReadonlyArray<CameraStatus>,
  received: ReadonlyMap<string, number>,
  isHealthy: (name: string) => boolean
): DemoSummary => {
  const cameras = statuses.map(({ id, name, path, state }) => ({
    id,
    name,
    healthy: isHealthy(name),
    state: word(state),
    engine: state._tag === "Live" || state._tag === "Starting" ? state.engine : null,
    bytes: received.get(path ?? "") ?? 0
  }))
  const healthy = cameras.filter((camera) => camera.healthy)
  return {
    event: "summary",
    ok: healthy.length > 0 && healthy.every(({ bytes, state }) => state === "live" && bytes > 0),
    cameras
  }
}

const encodeEvent = Schema.encodeSync(Schema.toCodecJson(StatusEvent))

/** A change of state as one object: the event, and the new state in words. */
export const changeJson = (change: StatusChange): string =>
  JSON.stringify({
    event: "state",
    ...(encodeEvent(change) as object),
    detail: change.to === undefined ? "removed" : CameraState.describe(change.to, change.at)
  })

export const dashboardJson = (url: string): string => JSON.stringify({ event: "dashboard", url })

export const stepJson = (what: string): string => JSON.stringify({ event: "step", what })

const bytesInWords = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`

/** The current states of the cameras, as a table. */
export const statusTable = (
  statuses: ReadonlyArray<CameraStatus>,
  received: ReadonlyMap<string, number>,
  now: number
): string =>
  table(
    [
      ["CAMERA", "TYPE", "PATH", "RECEIVED", "STATE"],
      ...statuses.map(({ name, path, state, type }) => [
        name,
        type,
        path ?? "",
        bytesInWords(received.get(path ?? "") ?? 0),
        CameraState.describe(state, now)
      ])
    ],
    { maxCellWidth: 24 }
  )
