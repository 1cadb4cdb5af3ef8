/**
 * The observed states of a camera, and the table of legal transitions.
 *
 * States never describe the desired state; `DesiredCameras` does.
 */
import * as Schema from "effect/Schema"
import { Reason } from "../camera/Reason.ts"
import { StreamInfo, type VideoTrack } from "../engine/StreamInfo.ts"
import { formatMillis } from "../time/DurationText.ts"

export const CameraState = Schema.TaggedUnion({
  /** The row makes no camera until the row changes. `problem` says why, in one line. */
  Invalid: { problem: Schema.String },
  /**
   * The camera has no problem. It waits for the media server, in the queue for a probe or a start, for one of the
   * sessions that its device may serve, for the end of a previous relay on its path, until no other daemon may relay
   * it, or for the operator who stopped it.
   */
  Waiting: {
    for: Schema.Literals([
      "media server",
      "turn",
      "session",
      "previous relay",
      "ownership",
      "operator"
    ])
  },
  /** The camera is being probed. `attempt` counts from 1, over consecutive failures. */
  Probing: { attempt: Schema.Finite },
  /**
   * The probe failed, or is postponed for a reason that the camera shares with others. `attempt` is 0 if the camera
   * was not probed; `retryAt` is in milliseconds since 1970.
   */
  Unreachable: { reason: Reason, attempt: Schema.Finite, retryAt: Schema.Finite },
  /** The relay was started, and no media has reached the media server yet. */
  Starting: { engine: Schema.String },
  /** Media reaches the media server, `since` in milliseconds since 1970. */
  Live: { engine: Schema.String, offer: StreamInfo, since: Schema.Finite },
  /** The relay ended and will be restarted, `at` in milliseconds since 1970. */
  Restarting: { reason: Reason, at: Schema.Finite },
  /** The relay is being stopped. */
  Stopping: {}
})
export type CameraState = typeof CameraState.Type

export type Tag = CameraState["_tag"]

/** All states, the healthiest first. */
export const tags: ReadonlyArray<Tag> = [
  "Live",
  "Starting",
  "Probing",
  "Waiting",
  "Restarting",
  "Unreachable",
  "Invalid",
  "Stopping"
]

/** The legal first states of a camera. */
export const initial: ReadonlyArray<Tag> = ["Invalid", "Waiting", "Probing"]

/**
 * Legal from every state but `Invalid`: the camera waits, the probe of another camera finds its device unreachable or
 * its account refused, a defect restarts the camera, or it is stopped.
 */
const always = ["Waiting", "Unreachable", "Restarting", "Stopping"] as const

/** The states that may follow each state. A camera is removed in `Invalid` or `Stopping`. */
export const successors: Readonly<Record<Tag, ReadonlyArray<Tag>>> = {
  // the row has another problem, or is valid again
  Invalid: ["Invalid", "Waiting", "Probing"],
  Waiting: [...always, "Probing", "Starting"],
  // the next engine takes over: Probing again
  Probing: [...always, "Probing", "Starting"],
  Unreachable: [...always, "Probing"],
  // the engine does not support the stream and the next one probes: Probing
  Starting: [...always, "Probing", "Live"],
  Live: [...always, "Probing"],
  Restarting: [...always, "Probing"],
  // started with a changed row, which may be invalid, or whose account may still be refused
  Stopping: [...always, "Probing", "Invalid"]
}

/** Whether a transition is legal. @param from `undefined`: the camera is new. */
export const isLegal = (from: Tag | undefined, to: Tag): boolean =>
  (from === undefined ? initial : successors[from]).includes(to)

/** The problem that keeps the camera from being live, if there is one: one line without secrets. */
export const problemOf = (state: CameraState): string | undefined => {
  switch (state._tag) {
    case "Invalid":
      return state.problem
    case "Unreachable":
    case "Restarting":
      return state.reason.message
    default:
      return undefined
  }
}

/** The video as text: `h264 1920x1080`. */
export const describeVideo = ({ codec, height, width }: VideoTrack): string =>
  width === undefined || height === undefined ? codec : `${codec} ${width}x${height}`

/** The video and the audio as text: `h264 1920x1080 + aac`. */
export const describeOffer = ({ audio, video }: StreamInfo): string =>
  `${describeVideo(video)}${audio === undefined ? ", no audio" : ` + ${audio.codec}`}`

/**
 * The state as one line for an operator.
 *
 * @param now milliseconds since 1970.
 * @param problem the problem, if there is one. Default: {@link problemOf}.
 */
export const describe = (
  state: CameraState,
  now: number,
  problem: string | undefined = problemOf(state)
): string => {
  switch (state._tag) {
    case "Invalid":
      return `invalid: ${problem}`
    case "Waiting":
      return waiting[state.for]
    case "Probing":
      return state.attempt === 1 ? "probing" : `probing, attempt ${state.attempt}`
    case "Unreachable":
      return `unreachable: ${problem}; retrying in ${formatMillis(state.retryAt - now)}`
    case "Starting":
      return `starting the relay (${state.engine})`
    case "Live":
      return `live: ${describeOffer(state.offer)} (${state.engine})`
    case "Restarting":
      return `relay ended: ${problem}; restarting in ${formatMillis(state.at - now)}`
    case "Stopping":
      return "stopping"
  }
}

const waiting = {
  "media server": "waiting for the media server",
  turn: "queued",
  session: "waiting for a session of the device (device.maxSessions)",
  "previous relay": "waiting for the previous relay on its path to end",
  ownership: "waiting until no other daemon may relay it",
  operator: "stopped by an operator"
}
