/**
 * The states of a camera as they are observed, and the one table of which may follow which.
 *
 * A state never says what is desired; `DesiredCameras` does.
 */
import * as Schema from "effect/Schema"
import { Reason } from "../camera/Reason.ts"
import { StreamInfo, type VideoTrack } from "../engine/StreamInfo.ts"
import { formatMillis } from "../time/DurationText.ts"

export const CameraState = Schema.TaggedUnion({
  /** The row makes no camera, until the row changes. `problem` says why, in one line. */
  Invalid: { problem: Schema.String },
  /**
   * Nothing is wrong with the camera. It waits for the media server, for its turn to be probed or started,
   * for one of the sessions that its device may serve, for the end of a previous relay on its path, until no
   * other daemon may relay it, or for an operator who stopped it.
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
  /** The camera is being probed. `attempt` counts from 1, over all failures in a row. */
  Probing: { attempt: Schema.Finite },
  /**
   * The probe failed, or is put off for a reason that the camera shares with others. `attempt` is 0 where
   * the camera was not probed; `retryAt` is in milliseconds since 1970.
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

/** The states in which a camera may first be seen. */
export const initial: ReadonlyArray<Tag> = ["Invalid", "Waiting", "Probing"]

/**
 * What may happen to a camera at any time while it is not invalid: it waits for something, its device or
 * its account is found to be unreachable or refused (by another camera's probe, without a probe of its
 * own), a defect restarts it, or it is stopped.
 */
const always = ["Waiting", "Unreachable", "Restarting", "Stopping"] as const

/** Which states may follow each. A camera is removed from `Invalid` and from `Stopping`. */
export const successors: Readonly<Record<Tag, ReadonlyArray<Tag>>> = {
  // the row has another problem, or none any more
  Invalid: ["Invalid", "Waiting", "Probing"],
  Waiting: [...always, "Probing", "Starting"],
  // the next engine takes over: Probing again
  Probing: [...always, "Probing", "Starting"],
  Unreachable: [...always, "Probing"],
  // the engine does not support the stream and the next one probes: Probing
  Starting: [...always, "Probing", "Live"],
  Live: [...always, "Probing"],
  Restarting: [...always, "Probing"],
  // started again by another row, which may be invalid, or whose account may still be refused
  Stopping: [...always, "Probing", "Invalid"]
}

/** Whether a camera may go from one state to another; `undefined` is a camera that was not there yet. */
export const isLegal = (from: Tag | undefined, to: Tag): boolean =>
  (from === undefined ? initial : successors[from]).includes(to)

/** Why the camera is not live, where something is wrong: one line without secrets. */
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
 * @param problem what is wrong, where something is. Default: the state's own words.
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
