/** A relay: a camera's stream on its way to the media server. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { RelayReason } from "../camera/Reason.ts"
import type { Keyframe } from "../picture/KeyframeTap.ts"
import type { StreamInfo } from "./StreamInfo.ts"

/** Counters of one relay since its start. They only grow. */
export interface RelayCounters {
  /** Media sent to the server, in bytes; 0 if the engine does not count bytes. */
  readonly bytes: number
  /** RTP packets sent to the server, or frames if the engine does not count packets. */
  readonly packets: number
  /** RTP packets missing from the camera, by sequence number; 0 if the engine does not count them. */
  readonly lost: number
  /** RTP and RTCP packets dropped because the server was too slow; 0 if the engine does not count them. */
  readonly dropped: number
  /** When the last video arrived, in milliseconds since 1970; `undefined` before the first. */
  readonly lastVideoAt: number | undefined
}

/** The relay ended without a request; `reason` says why. */
export class RelayError extends Schema.TaggedError<RelayError>()("RelayError", {
  reason: RelayReason
}) {
  override get message(): string {
    return this.reason.message
  }
}

/** A running relay. Made by `CameraStream.publish`, whose scope owns it. */
export interface RunningRelay {
  /** Done when the first media reached the server. It never fails; `ended` does. */
  readonly flowing: Effect.Effect<void>
  /** Fails when the relay ended without being asked to, with the reason. */
  readonly ended: Effect.Effect<never, RelayError>
  /** The counters now. Cheap enough to read each second for every camera. */
  readonly counters: () => RelayCounters
  /**
   * What the relay sends to the media server: the camera's tracks after audio was dropped or transcoded.
   * Final once `flowing` is done; an engine may still leave out the audio before that.
   */
  readonly published: StreamInfo
  /** Notices for the operator, one sentence each: `relaying without audio: …`. Final once `flowing` is done. */
  readonly notices: ReadonlyArray<string>
  /**
   * The next keyframe of the camera, for a picture. Never completes after the end of the relay. Absent if the
   * engine does not see the packets, or cannot extract keyframes of the codec.
   */
  readonly keyframe?: Effect.Effect<Keyframe>
}
