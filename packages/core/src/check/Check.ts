/**
 * Probes every camera once, and says which of them are wrong and why.
 *
 * It touches no media server and starts no relay, so it can run beside a daemon.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Camera, InvalidCamera } from "../camera/Camera.ts"
import type { ProbeReason, Unauthorized } from "../camera/Reason.ts"
import { type Engine, Engines } from "../engine/Engine.ts"
import * as EngineInUse from "../engine/EngineInUse.ts"
import * as ProbeLimits from "../probe/ProbeLimits.ts"
import type { ProbeResult } from "../probe/Prober.ts"
import type { Health } from "../status/History.ts"
import * as Lockout from "../supervision/Lockout.ts"

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
  | { readonly _tag: "Answered"; readonly engine: Engine["name"]; readonly offer: ProbeResult }
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
  limits: ProbeLimits.ProbeLimitsOptions = {}
): Stream.Stream<CheckResult, never, Engines> => {
  const { withPlace } = ProbeLimits.make(limits)
  // no delay is over before the check is
  const lockout = Lockout.make({ lockoutDelay: Duration.infinity })
  const checkCamera = Effect.fnUntraced(function* (camera: Camera | InvalidCamera) {
    if (camera._tag === "InvalidCamera") return invalid(camera)
    const engines = (yield* Engines).select(camera.options.engine)
    const seat = yield* lockout.join(camera)
    const checkNow = Effect.suspend(() =>
      seat.isHeld()
        ? Effect.undefined
        : Effect.timed(Effect.tap(checkOne(camera, engines), (outcome) => judge(seat, outcome)))
    )
    const once: Effect.Effect<readonly [Duration.Duration, Outcome]> = withPlace(
      camera.url.authority,
      engines[0].prober
    )(checkNow).pipe(
      seat.withTurn((refusal) =>
        refusal === undefined ? Effect.void : Effect.fail(refusal.reason)
      ),
      Effect.catch((reason) => Effect.succeed(notTried(reason))),
      Effect.filterOrElse(
        (timed) => timed !== undefined,
        () => once
      )
    )
    const [took, outcome] = yield* once
    return withHealth(camera, took, outcome)
  })
  return Stream.callback((results) =>
    Effect.forEach(
      cameras,
      (camera) => Effect.map(checkCamera(camera), (result) => Queue.offerUnsafe(results, result)),
      // the limits hold back what must wait: a busy host must not keep others from their turn
      { concurrency: "unbounded", discard: true }
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

const notTried = (reason: Unauthorized): readonly [Duration.Duration, Outcome] => [
  Duration.zero,
  { _tag: "Unreachable", reason }
]

/** Tells the others of its device what came of it. */
const judge = (seat: Lockout.Seat, outcome: Outcome): Effect.Effect<void> => {
  if (outcome._tag === "Answered") return seat.accepted
  return outcome.reason._tag === "Unauthorized" ? seat.refused(outcome.reason) : Effect.void
}

type Outcome =
  | { readonly _tag: "Answered"; readonly engine: Engine["name"]; readonly offer: ProbeResult }
  | { readonly _tag: "Unreachable"; readonly reason: ProbeReason }

const checkOne = (
  camera: Camera,
  engines: NonEmptyReadonlyArray<Engine>
): Effect.Effect<Outcome> => {
  const inUse = EngineInUse.make(engines)
  const probe: Effect.Effect<Outcome> = Effect.suspend(() => {
    const { engine } = inUse
    return Effect.matchEffect(engine.prober.probe(camera), {
      onSuccess: (offer) => Effect.succeed({ _tag: "Answered", engine: engine.name, offer }),
      onFailure: ({ reason }) => {
        const verdict = inUse.onFailure(reason)
        return verdict._tag === "TryNext"
          ? probe
          : Effect.succeed({ _tag: "Unreachable", reason: verdict.reason })
      }
    })
  })
  return probe
}

const withHealth = (camera: Camera, took: Duration.Duration, outcome: Outcome): CheckResult => {
  if (outcome._tag === "Unreachable") return { camera, took, health: "poor", ...outcome }
  const isFair = Duration.isGreaterThan(took, slow) || outcome.offer.audio?.copyable === false
  return { camera, took, health: isFair ? "fair" : "good", ...outcome }
}
