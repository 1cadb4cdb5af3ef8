/**
 * The engine `native`: speaks RTSP in this process. It needs no child process, puts no password on a command
 * line, and costs a small part of what one process per camera costs.
 *
 * RTP packets are forwarded unchanged, without transcoding. The engine `ffmpeg` does UDP, protocols other than
 * RTSP, and transcoding.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ProbeReason, type RelayReason, Unsupported } from "../../camera/Reason.ts"
import { trustOf } from "../../rtsp/client/Dialer.ts"
import * as ReaderSession from "../../rtsp/client/ReaderSession.ts"
import { type CameraStream, ProbeError, type StreamSource } from "../CameraStream.ts"
import type { Engine } from "../Engine.ts"
import { nowMs } from "../../time/Monotonic.ts"
import { KeptSessions } from "./KeptSessions.ts"
import { cameraReason } from "./NativeReason.ts"
import * as NativeStream from "./NativeStream.ts"
import { publishableTracks } from "./publish/PublishableTracks.ts"
import { probeResult } from "./publish/TrackSelection.ts"
import { unsupported } from "./NativeSupport.ts"

export interface NativeEngineOptions {
  /**
   * The time for opening a camera, from connecting to the response to PLAY, unless the camera has its own
   * `openTimeout`. Also the time for publishing at the media server. Default 10 s.
   */
  readonly openTimeout?: Duration.Input | undefined
  /** How long the video may pause before the relay ends. Default 10 s. */
  readonly stallTimeout?: Duration.Input | undefined
}

const defaultTimeout = Duration.seconds(10)

/** Makes the engine. No connection is opened before the first use. */
export const make = (options: NativeEngineOptions = {}): Engine => {
  const defaultOpenTimeout = options.openTimeout ?? defaultTimeout
  const kept = new KeptSessions()
  const open = Effect.fnUntraced(function* (
    source: StreamSource
  ): Effect.fn.Return<CameraStream, ProbeError, Scope.Scope> {
    const what = unsupported(source)
    if (what !== undefined) return yield* new ProbeError({ reason: new Unsupported({ what }) })
    const openTimeout = source.options.openTimeout ?? defaultOpenTimeout
    const clock = yield* Clock.Clock
    const explain = <R extends ProbeReason | RelayReason>(reason: R) =>
      kept.explain(source.url, reason, nowMs(clock))
    const session = yield* ReaderSession.open({
      url: source.url,
      trust: trustOf(source.options),
      openTimeout,
      // only the time for opening the camera limits a single step
      connectTimeout: Duration.infinity,
      requestTimeout: Duration.infinity,
      sharedBuffer: true,
      kept: kept.get(source.url, nowMs(clock))
    }).pipe(
      Effect.mapError(({ reason }) => new ProbeError({ reason: explain(cameraReason(reason)) }))
    )
    const camera = publishableTracks(session.description, session.connection.secrets)
    const info = yield* Effect.mapError(
      Effect.fromResult(probeResult(camera)),
      (reason) => new ProbeError({ reason })
    )
    return NativeStream.make(session, camera, info, source, {
      stallTimeout: options.stallTimeout ?? defaultTimeout,
      firstVideoTimeout: openTimeout,
      serverTimeout: defaultOpenTimeout,
      explainRefusal: explain,
      onPlaying: () => kept.delete(source.url),
      onLeft: (left) => kept.add(source.url, left, nowMs(clock))
    })
  })
  // the cost of `open` is one connection
  return {
    name: "native",
    supports: (source) => unsupported(source) === undefined,
    slowAfter: Duration.millis(250),
    concurrency: 128,
    open
  }
}
