/**
 * Probes every camera once, and says which of them are wrong and why.
 *
 * It touches no media server and starts no relay, so it can run beside a daemon.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Camera, InvalidCamera } from "../camera/Camera.ts"
import type { ProbeReason } from "../camera/Reason.ts"
import type { Engine } from "../engine/Engine.ts"
import { Engines } from "../engine/Engines.ts"
import { EngineFallback } from "../engine/EngineFallback.ts"
import * as ProbeLimiter from "../probing/ProbeLimiter.ts"
import type { StreamInfo } from "../engine/StreamInfo.ts"
import type { Health } from "../status/History.ts"
import * as CredentialGuard from "../probing/CredentialGuard.ts"
import { nowMs } from "../time/Monotonic.ts"

/** What came of one camera's check. */
export type CheckResult = {
  readonly camera: Camera | InvalidCamera
  /** How long the camera took; its wait for others does not count. Zero for an invalid row. */
  readonly took: Duration.Duration
  /**
   * - `good`: it answered, and all of it can be relayed as it is.
   * - `fair`: it answered, but slowly, or with sound that can't be passed on as it is.
   * - `poor`: it did not answer as it should, or its row is invalid.
   */
  readonly health: Health
} & (
  | { readonly _tag: "Answered"; readonly engine: Engine["name"]; readonly offer: StreamInfo }
  | { readonly _tag: "Unreachable"; readonly reason: ProbeReason }
  | { readonly _tag: "Invalid"; readonly problem: string }
)

/** A camera that takes longer than this is slow. */
export const slow = Duration.seconds(2)

/**
 * Probes all cameras; the results come as the cameras answer, in no order.
 *
 * What a device refused to one camera is not tried by others with the same user name and password: they
 * are `Unreachable`, and their reason names that camera.
 */
export const run = (
  cameras: Iterable<Camera | InvalidCamera>,
  limits: ProbeLimiter.ProbeLimiterOptions = {}
): Stream.Stream<CheckResult, never, Engines> => {
  const { withPermit } = ProbeLimiter.make(limits)
  // no delay is over before the check is
  const credentialGuard = CredentialGuard.make({ lockoutDelay: Duration.infinity })
  const check = (
    camera: Camera,
    engines: NonEmptyReadonlyArray<Engine>,
    lease: CredentialGuard.Lease
  ): Effect.Effect<CheckResult> => {
    const checkNow = Effect.suspend(() =>
      lease.isBlocked ? Effect.undefined : checkOne(camera, engines, lease)
    )
    const inPlace = withPermit(camera.url.authority, engines[0])(checkNow)
    // it is tried once, so what nobody shares need not be waited for
    const inTurn = lease.isShared ? lease.withPermit(failWhereRefused)(inPlace) : inPlace
    // one that is held waits for its turn again
    const once: Effect.Effect<CheckResult> = Effect.matchEffect(inTurn, {
      onSuccess: (result) => (result === undefined ? once : Effect.succeed(result)),
      onFailure: ({ reason, took }) =>
        Effect.succeed<CheckResult>({ _tag: "Unreachable", camera, took, health: "poor", reason })
    })
    return once
  }
  return Stream.callback((results) =>
    Effect.flatMap(Engines, ({ select }) =>
      Effect.forEach(
        cameras,
        (camera) =>
          Effect.map(
            camera._tag === "InvalidCamera"
              ? Effect.succeed(invalid(camera))
              : Effect.flatMap(credentialGuard.acquire(camera), (lease) =>
                  check(camera, Result.getOrThrow(select(camera)), lease)
                ),
            (result) => Queue.offerUnsafe(results, result)
          ),
        // the limits hold back what must wait: a busy host must not keep others from their turn
        { concurrency: "unbounded", discard: true }
      )
    ).pipe(Effect.andThen(Queue.end(results)))
  )
}

const invalid = (camera: InvalidCamera): CheckResult => ({
  _tag: "Invalid",
  camera,
  took: Duration.zero,
  health: "poor",
  problem: camera.problem
})

interface Failed {
  readonly took: Duration.Duration
  readonly reason: ProbeReason
}

const failWhereRefused = (
  refusal: CredentialGuard.Refusal | undefined
): Effect.Effect<void, Failed> =>
  refusal === undefined ? Effect.void : Effect.fail({ took: Duration.zero, reason: refusal.reason })

/**
 * Probes a camera by one engine after the other, and tells its lease what the device makes of the
 * credentials. A failure stays one, so that the limits see what holds for the whole host.
 */
const checkOne = (
  camera: Camera,
  engines: NonEmptyReadonlyArray<Engine>,
  lease: CredentialGuard.Lease
): Effect.Effect<CheckResult, Failed> =>
  Clock.clockWith((clock) => {
    const inUse = new EngineFallback(engines)
    const startedAt = nowMs(clock)
    const took = () => Duration.millis(nowMs(clock) - startedAt)
    const probe: Effect.Effect<CheckResult, Failed> = Effect.suspend(() => {
      const { engine } = inUse
      return Effect.matchEffect(Effect.scoped(engine.open(camera)), {
        onSuccess: ({ info: offer }) => {
          lease.accepted()
          return Effect.succeed(answered(camera, took(), engine.name, offer))
        },
        onFailure: ({ reason }) => {
          const verdict = inUse.onFailure(reason)
          if (verdict._tag === "TryNext") return probe
          if (reason._tag === "Unauthorized") lease.refused(reason)
          return Effect.fail({ took: took(), reason: verdict.reason })
        }
      })
    })
    return probe
  })

const answered = (
  camera: Camera,
  took: Duration.Duration,
  engine: Engine["name"],
  offer: StreamInfo
): CheckResult => {
  const isFair = Duration.isGreaterThan(took, slow) || offer.audio?.copyable === false
  return { _tag: "Answered", camera, took, health: isFair ? "fair" : "good", engine, offer }
}
