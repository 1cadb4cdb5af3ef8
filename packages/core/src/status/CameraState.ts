/**
 * The states of a camera, as they are observed, and the one table of which may follow which.
 *
 * What is wanted stands elsewhere (the roster); a state never says what should be.
 */
import * as Duration from "effect/Duration"
import type { Engine } from "../engine/Engine.ts"
import type { Reason } from "../camera/Reason.ts"
import type { StreamInfo, VideoTrack } from "../engine/StreamInfo.ts"

/** The row makes no camera. It stays so until the row changes. */
export interface Invalid {
  readonly _tag: "Invalid"
  readonly problem: string
}

/** Nothing is wrong with the camera; something else has to come first. */
export interface Waiting {
  readonly _tag: "Waiting"
  /** The server must be there; or it is others' turn to be probed or started. */
  readonly for: "media server" | "turn"
}

/** The camera is being asked what it offers. */
export interface Probing {
  readonly _tag: "Probing"
  /** Counted from 1, over all failures in a row. */
  readonly attempt: number
}

/** The camera did not answer as it should, or is not asked for a reason that it shares with others. */
export interface Unreachable {
  readonly _tag: "Unreachable"
  readonly reason: Reason
  /** How often it was asked in a row; 0 where it was not. */
  readonly attempt: number
  /** When it is asked again, or one of those that it waits with, in milliseconds since 1970. */
  readonly retryAt: number
}

/** A relay was started, and nothing has arrived at the server yet. */
export interface Starting {
  readonly _tag: "Starting"
  readonly engine: Engine["name"]
}

/** Media reach the server. */
export interface Live {
  readonly _tag: "Live"
  readonly engine: Engine["name"]
  readonly offer: StreamInfo
  /** When the first media arrived, in milliseconds since 1970. */
  readonly since: number
}

/** The relay ended and will be started again. */
export interface Restarting {
  readonly _tag: "Restarting"
  readonly reason: Reason
  /** When it is started again, in milliseconds since 1970. */
  readonly at: number
}

/** Its relay is being ended. */
export interface Stopping {
  readonly _tag: "Stopping"
}

export type CameraState =
  | Invalid
  | Waiting
  | Probing
  | Unreachable
  | Starting
  | Live
  | Restarting
  | Stopping

export type Tag = CameraState["_tag"]

/** The states in which a camera may first be seen. */
export const initial: ReadonlyArray<Tag> = ["Invalid", "Waiting", "Probing"]

/** Which states may follow each. A camera leaves the table from `Invalid` and from `Stopping`. */
export const successors: Readonly<Record<Tag, ReadonlyArray<Tag>>> = {
  // another problem, or the row was mended
  Invalid: ["Invalid", "Waiting", "Probing"],
  // a fault of our own can strike anywhere, so each working state may become Restarting
  // unreachable without being asked: another camera's probe told what is wrong with their host, or the
  // device refused their user name and password
  Waiting: ["Waiting", "Probing", "Unreachable", "Starting", "Restarting", "Stopping"],
  // the next engine takes over: Probing again
  Probing: ["Probing", "Unreachable", "Waiting", "Starting", "Restarting", "Stopping"],
  // … and has refused them again
  Unreachable: ["Waiting", "Probing", "Unreachable", "Restarting", "Stopping"],
  Starting: ["Live", "Waiting", "Probing", "Restarting", "Stopping"],
  Live: ["Waiting", "Probing", "Restarting", "Stopping"],
  Restarting: ["Waiting", "Probing", "Unreachable", "Restarting", "Stopping"],
  // started anew under another address, or found invalid
  Stopping: ["Waiting", "Probing", "Invalid", "Stopping"]
}

/** Whether a camera may go from one state to another; `undefined` is "not there yet". */
export const isLegal = (from: Tag | undefined, to: Tag): boolean =>
  (from === undefined ? initial : successors[from]).includes(to)

/** What the video is: `h264 1920x1080`. */
export const describeVideo = ({ codec, height, width }: VideoTrack): string =>
  width === undefined || height === undefined ? codec : `${codec} ${width}x${height}`

/** What the video and the sound are: `h264 1920x1080 + aac`. */
export const describeOffer = ({ audio, video }: StreamInfo): string =>
  `${describeVideo(video)}${audio === undefined ? ", no sound" : ` + ${audio.codec}`}`

/** The state in words for an operator, in one line. @param now milliseconds since 1970. */
export const describe = (state: CameraState, now: number): string => {
  switch (state._tag) {
    case "Invalid":
      return `invalid: ${state.problem}`
    case "Waiting":
      return state.for === "turn" ? "waiting for its turn" : `waiting for the ${state.for}`
    case "Probing":
      return state.attempt === 1
        ? "asking the camera"
        : `asking the camera, attempt ${state.attempt}`
    case "Unreachable":
      return `unreachable: ${state.reason.message}; next attempt in ${span(state.retryAt - now)}`
    case "Starting":
      return `starting the relay (${state.engine})`
    case "Live":
      return `live: ${describeOffer(state.offer)} (${state.engine})`
    case "Restarting":
      return `down: ${state.reason.message}; restart in ${span(state.at - now)}`
    case "Stopping":
      return "stopping"
  }
}

/** To the second; below one to its tenth, so that 999 ms is told as the second that it was meant to be. */
const span = (millis: number): string => {
  const tenths = Math.max(1, Math.round(millis / 100))
  return Duration.format(
    tenths < 10 ? Duration.millis(tenths * 100) : Duration.seconds(Math.round(millis / 1000))
  )
}
