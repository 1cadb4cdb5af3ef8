/**
 * Probes every camera once, and reports which cameras fail and why.
 *
 * Publishes nothing, and can run at the same time as a daemon: see `PublishedStreams`.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Camera, InvalidCamera } from "../camera/Camera.ts"
import type { ProbeReason } from "../camera/Reason.ts"
import { ProbeError } from "../engine/CameraStream.ts"
import type { StreamInfo } from "../engine/StreamInfo.ts"
import { ProbeScheduler } from "../probing/ProbeScheduler.ts"
import type { Health } from "../status/History.ts"
import { nowMs } from "../time/Monotonic.ts"
import * as PublishedStreams from "./PublishedStreams.ts"

interface Checked {
  readonly camera: Camera | InvalidCamera
  /** How long the camera took, without the time in the queue. Zero for an invalid row. */
  readonly took: Duration.Duration
  /**
   * - `good`: the camera answered, and its stream can be relayed unchanged; or the camera is relayed already.
   * - `fair`: the camera answered, but slowly, with audio that cannot be copied, or not at each of its addresses.
   * - `poor`: the probe failed, or the row is invalid.
   */
  readonly health: Health
}

/** The result of probing a camera at one address. */
export type ProbeOutcome = Checked & { readonly camera: Camera } & (
    | { readonly _tag: "Answered"; readonly engine: string; readonly offer: StreamInfo }
    | { readonly _tag: "Unreachable"; readonly reason: ProbeReason }
  )

/** The result of one camera's check: of the first address that answered, else of the first address. */
export type CheckResult = (
  | ProbeOutcome
  /** The camera is relayed already: it was not probed, and `offer` is what the media server describes. */
  | (Checked & { readonly _tag: "Relayed"; readonly offer: StreamInfo })
  | (Checked & { readonly _tag: "Invalid"; readonly problem: string })
) & {
  /** For a probed camera with several addresses: each of them, in the order of preference. Empty for others. */
  readonly addresses: ReadonlyArray<ProbeOutcome>
}

/** A camera that takes longer than this is slow. */
export const slow = Duration.seconds(2)

/**
 * Probes all cameras; the results arrive as the cameras respond, in no particular order.
 *
 * After a device refused the credentials of one camera, other cameras with the same credentials are not probed:
 * they are `Unreachable`, and their reason names that camera. Provide `ProbeScheduler.layerOnce`.
 *
 * @param published names the cameras that are relayed already and need no probe. Default: none.
 */
export const run = (
  cameras: Iterable<Camera | InvalidCamera>,
  published: PublishedStreams.PublishedStreams = PublishedStreams.none
): Stream.Stream<CheckResult, never, ProbeScheduler> =>
  Stream.callback((results) =>
    Effect.flatMap(ProbeScheduler, (scheduler) =>
      Effect.forEach(
        cameras,
        (camera) =>
          Effect.map(
            camera._tag === "InvalidCamera"
              ? Effect.succeed(invalid(camera))
              : Effect.flatMap(published.find(camera), (offer) =>
                  offer === undefined
                    ? check(camera, scheduler)
                    : Effect.succeed(relayed(camera, offer))
                ),
            (result) => Queue.offerUnsafe(results, result)
          ),
        // the scheduler limits: a busy host must not delay the others
        { concurrency: "unbounded", discard: true }
      )
    ).pipe(Effect.andThen(Queue.end(results)))
  )

/** Checks a camera at each of its addresses. */
const check = (
  camera: Camera,
  scheduler: ProbeScheduler["Service"]
): Effect.Effect<CheckResult, never, Scope.Scope> =>
  Effect.forEach(
    [camera.url, ...(camera.backups ?? [])],
    (url) => probe({ ...camera, url }, scheduler),
    // the scheduler limits
    { concurrency: "unbounded" }
  ).pipe(
    Effect.map((addresses): CheckResult => {
      const used = addresses.find(({ _tag }) => _tag === "Answered") ?? addresses[0]!
      if (addresses.length === 1) return { ...used, addresses: [] }
      const isFair = used._tag === "Answered" && addresses.some(({ _tag }) => _tag !== used._tag)
      return { ...used, health: isFair ? "fair" : used.health, addresses }
    })
  )

/** The scope owns the state of the credentials, which must outlive this camera's check. */
const probe = (
  camera: Camera,
  scheduler: ProbeScheduler["Service"]
): Effect.Effect<ProbeOutcome, never, Scope.Scope> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    let connectedAtMs: number | undefined
    const took = () =>
      connectedAtMs === undefined ? Duration.zero : Duration.millis(nowMs(clock) - connectedAtMs)
    return Effect.flatMap(scheduler.access(camera), (access) =>
      Effect.scoped(
        access.open({
          awaitReady: Effect.void,
          isReady: Effect.succeed(true),
          onQueued: Effect.void,
          onFull: Effect.void,
          onBlocked: ({ reason }) => Effect.fail(new ProbeError({ reason })),
          onConnecting: Effect.sync(() => {
            connectedAtMs ??= nowMs(clock)
          })
        })
      )
    ).pipe(
      Effect.match({
        onSuccess: ({ engine, stream }): ProbeOutcome =>
          answered(camera, took(), engine, stream.info),
        onFailure: ({ reason }): ProbeOutcome => ({
          _tag: "Unreachable",
          camera,
          took: took(),
          health: "poor",
          reason
        })
      })
    )
  })

const invalid = (camera: InvalidCamera): CheckResult => ({
  _tag: "Invalid",
  camera,
  took: Duration.zero,
  health: "poor",
  addresses: [],
  problem: camera.problem
})

const relayed = (camera: Camera, offer: StreamInfo): CheckResult => ({
  _tag: "Relayed",
  camera,
  took: Duration.zero,
  health: "good",
  addresses: [],
  offer
})

const answered = (
  camera: Camera,
  took: Duration.Duration,
  engine: string,
  offer: StreamInfo
): ProbeOutcome => {
  const isFair = Duration.isGreaterThan(took, slow) || offer.audio?.copyable === false
  return { _tag: "Answered", camera, took, health: isFair ? "fair" : "good", engine, offer }
}
