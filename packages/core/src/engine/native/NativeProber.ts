/** Probes a camera by RTSP, up to DESCRIBE: nothing is set up, and no media are asked for. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ProbeReason, Unsupported } from "../../camera/Reason.ts"
import { ProbeError, type StreamSource } from "../CameraStream.ts"
import type { Prober } from "../Prober.ts"
import type { StreamInfo } from "../StreamInfo.ts"
import * as ReaderSession from "../../rtsp/client/ReaderSession.ts"
import { type DialOptions, trustOf } from "../../rtsp/client/Dialer.ts"
import { cameraReason } from "./NativeReason.ts"
import { publishableTracks } from "./publish/PublishableTracks.ts"
import { probeResult } from "./publish/TrackSelection.ts"
import { unsupported } from "./Target.ts"

export interface NativeProberOptions {
  /** For all of a probe, whatever the camera does. */
  readonly probeTimeout: Duration.Input
  /** Finds the addresses of a name. Default: the system's way. */
  readonly resolve?: DialOptions["resolve"]
}

export const make = (options: NativeProberOptions): Prober => {
  const openTimeout = Duration.fromInputUnsafe(options.probeTimeout)
  const probe = (target: StreamSource): Effect.Effect<StreamInfo, ProbeError> => {
    const what = unsupported(target)
    if (what !== undefined) return fail(new Unsupported({ what }))
    return ReaderSession.open({
      url: target.url,
      trust: trustOf(target.options),
      // one deadline for all of it
      openTimeout,
      connectTimeout: Duration.infinity,
      requestTimeout: Duration.infinity,
      sharedBuffer: true,
      resolve: options.resolve
    }).pipe(
      Effect.scoped,
      Effect.matchEffect({
        onSuccess: ({ description }) =>
          Result.match(probeResult(publishableTracks(description)), {
            onSuccess: Effect.succeed,
            onFailure: fail
          }),
        onFailure: ({ reason }) => fail(cameraReason(reason))
      })
    )
  }

  // an open connection, and nothing besides
  return { slowAfter: Duration.millis(250), concurrency: 128, probe }
}

const fail = (reason: ProbeReason) => Effect.fail(new ProbeError({ reason }))
