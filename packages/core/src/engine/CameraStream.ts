/** A camera's stream: opened (which is the probe), then published. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Camera } from "../camera/Camera.ts"
import { ProbeReason } from "../camera/Reason.ts"
import type { StreamUrl } from "../camera/StreamUrl.ts"
import type { Trust } from "../rtsp/client/Dialer.ts"
import type { RelayError, RunningRelay } from "./RunningRelay.ts"
import type { StreamInfo } from "./StreamInfo.ts"

/** What an engine needs to know of a camera. */
export type StreamSource = Pick<Camera, "url" | "options">

/** The camera's stream cannot be opened; `reason` says why, and how soon to retry. */
export class ProbeError extends Schema.TaggedError<ProbeError>()("ProbeError", {
  reason: ProbeReason
}) {
  override get message(): string {
    return this.reason.message
  }
}

/** What an engine needs to know of a media server. */
export interface DestinationServer {
  /** How to verify the certificate of an `rtsps` media server. */
  readonly trust: Trust
  /** Whether the server responds now. Runs when a relay stalls, or when the server ended it. */
  readonly check: Effect.Effect<boolean>
}

/** A server whose certificate is verified by authority and name, and that counts as reachable. */
export const anyServer: DestinationServer = {
  trust: { _tag: "Verify" },
  check: Effect.succeed(true)
}

/** Where a stream goes. */
export interface PublishOptions {
  /** The camera's path on the media server, with the server's credentials. */
  readonly destination: StreamUrl
  /**
   * Whether another engine can take over. Then an engine that can't do all that the camera's options ask
   * for fails with `Unsupported`; otherwise it does what it can, and leaves out the audio first.
   */
  readonly hasFallback: boolean
  /** The media server of the destination. Default: {@link anyServer}. */
  readonly server?: DestinationServer | undefined
  /** The publisher's `User-Agent` at the media server. Default: that of the program. */
  readonly userAgent?: string | undefined
}

/** An opened stream. It lives as long as the scope of `Engine.open`. */
export interface CameraStream {
  /** What the camera sends. */
  readonly info: StreamInfo
  /**
   * Publishes the stream to the media server, on the connection that `open` made where the engine can.
   *
   * Call it at most once, soon after `open`: nothing keeps the camera's connection alive in between. To
   * publish again, or after a wait, close the scope of `open` and open the stream again.
   *
   * What remains of the time for opening the camera is the time for its SETUP and PLAY.
   *
   * The scope owns the relay: closing it ends the relay and waits until its process and its connections
   * are gone, so that nothing else touches the path before. A relay whose video stalls ends itself with
   * `Stalled`.
   */
  readonly publish: (
    options: PublishOptions
  ) => Effect.Effect<RunningRelay, RelayError, Scope.Scope>
}
