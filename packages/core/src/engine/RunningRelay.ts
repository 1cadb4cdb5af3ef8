/**
 * The port for relaying: takes a camera's stream to the media server.
 *
 * Adapters: `FfmpegRelay`, `NativeRelay`. Every adapter passes the suite in
 * `tests/relay/RelayContract.ts`.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { RelayReason } from "../camera/Reason.ts"
import type { StreamUrl } from "../camera/StreamUrl.ts"
import type { StreamSource } from "./CameraStream.ts"
import type { StreamInfo } from "./StreamInfo.ts"

/** What a relay does: from where, what, to where. */
export interface RelayJob {
  readonly camera: StreamSource
  /** What the camera offered just now. */
  readonly offer: StreamInfo
  /** The camera's path on the media server, with the server's credentials. */
  readonly destination: StreamUrl
  /**
   * Whether another engine stands by. Then an engine that can't do all that the camera's options ask for
   * fails with `Unsupported`; else it does what it can, and leaves out the sound before the camera.
   */
  readonly hasFallback: boolean
}

/** Counters of one relay since its start. They only grow. */
export interface RelayCounters {
  /** Media that went to the server, in bytes; 0 where the engine can't tell. */
  readonly bytes: number
  /** RTP packets that went to the server, or frames where the engine counts no packets. */
  readonly packets: number
  /** RTP packets that never came, by their sequence numbers; 0 where the engine can't tell. */
  readonly lost: number
  /** RTP and RTCP packets that the server was too slow for; 0 where the engine can't tell. */
  readonly dropped: number
  /** When the last of the video came, in milliseconds since 1970; `undefined` before the first. */
  readonly lastVideoAt: number | undefined
}

/** The relay ended by itself; `reason` tells why. */
export class RelayError extends Schema.TaggedError<RelayError>()("RelayError", {
  reason: RelayReason
}) {
  override get message(): string {
    return this.reason.message
  }
}

/** A relay that runs. */
export interface RunningRelay {
  /** Done when the first media reached the server. It never fails; `ended` does. */
  readonly flowing: Effect.Effect<void>
  /** Fails when the relay ended by itself. Nobody asked it to, so every end is a failure. */
  readonly ended: Effect.Effect<never, RelayError>
  /** The counters now. Cheap enough to read each second for every camera. */
  readonly counters: () => RelayCounters
}

export interface Relay {
  /**
   * Starts a relay. The scope owns it: closing the scope ends it and waits until its process and its
   * connections are gone, so that nothing else touches the path before.
   *
   * A relay whose video stands still for the stall time ends itself with `Stalled`.
   */
  readonly start: (job: RelayJob) => Effect.Effect<RunningRelay, RelayError, Scope.Scope>
}
