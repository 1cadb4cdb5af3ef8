/** Probes a camera by RTSP, up to DESCRIBE: nothing is set up, and no media are asked for. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ProbeReason, Unsupported } from "../../camera/Reason.ts"
import { ProbeError, type Prober, type ProbeResult, type ProbeTarget } from "../../probe/Prober.ts"
import * as CameraSession from "../../rtsp/client/CameraSession.ts"
import type { DialOptions } from "../../rtsp/client/Dialer.ts"
import { cameraReason } from "./NativeReason.ts"
import * as Offer from "./Offer.ts"
import { trustOf, unsupported } from "./Target.ts"

export interface NativeProberOptions {
  /** For all of a probe, whatever the camera does. */
  readonly probeTimeout: Duration.Input
  /** Finds the addresses of a name. Default: the system's way. */
  readonly resolve?: DialOptions["resolve"]
}

export const make = (options: NativeProberOptions): Prober => {
  const probe = Effect.fnUntraced(function* (
    target: ProbeTarget
  ): Effect.fn.Return<ProbeResult, ProbeReason> {
    const what = unsupported(target)
    if (what !== undefined) return yield* Effect.fail(new Unsupported({ what }))
    const offer = yield* CameraSession.open({
      url: target.url,
      trust: trustOf(target.options),
      // one deadline for all of it: each further one would be two fibers more
      openTimeout: options.probeTimeout,
      connectTimeout: Duration.infinity,
      requestTimeout: Duration.infinity,
      sharedBuffer: true,
      resolve: options.resolve
    }).pipe(
      Effect.mapError(({ reason }) => cameraReason(reason)),
      Effect.scoped
    )
    return yield* Effect.fromResult(Offer.probeResult(offer))
  })

  return {
    // an open connection, and nothing besides
    slowAfter: Duration.millis(250),
    concurrency: 128,
    probe: (target) => Effect.mapError(probe(target), (reason) => new ProbeError({ reason }))
  }
}
