/**
 * The life of one camera: probe it until it answers, relay it until that ends, and begin again.
 *
 * One fiber runs this for each camera. It never ends by itself; interrupting it ends the relay and waits
 * until that is gone. Nothing that happens in it reaches another camera.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Camera } from "../camera/Camera.ts"
import { Defect, type ProbeReason, type Reason } from "../camera/Reason.ts"
import { Engines } from "../engine/Engine.ts"
import * as EngineInUse from "../engine/EngineInUse.ts"
import { MediaServer } from "../media-server/MediaServer.ts"
import type { ProbeLimits } from "../probe/ProbeLimits.ts"
import type { ProbeError, ProbeResult } from "../probe/Prober.ts"
import type { StartPacing } from "../relay/StartPacing.ts"
import { CameraSource } from "../source/CameraSource.ts"
import { StatusBoard } from "../status/StatusBoard.ts"
import type { Lockout } from "./Lockout.ts"
import * as RestartSchedule from "./RestartSchedule.ts"
import * as RetrySchedule from "./RetrySchedule.ts"

/** What all cameras share. */
export interface CameraActorOptions {
  readonly retry: RetrySchedule.RetryPolicy
  readonly restart: RestartSchedule.RestartPolicy
  readonly probeLimits: ProbeLimits
  readonly startPacing: StartPacing
}

/** Runs a camera for ever. */
export const run = Effect.fnUntraced(function* (
  camera: Camera,
  options: CameraActorOptions,
  lockout: Lockout
) {
  const mediaServer = yield* MediaServer
  const source = yield* CameraSource
  const board = yield* StatusBoard
  const destination = mediaServer.destination(camera.path)
  // What `auto` learns about a camera is remembered as long as this fiber runs: until its row changes.
  const inUse = EngineInUse.make((yield* Engines).select(camera.options.engine))
  const seat = yield* lockout.join(camera)
  let sawOutage = false

  /** What to do about a failure: the next engine at once where that helps, else its reason is the end. */
  const onFailure = Effect.fnUntraced(function* <R extends Reason>(reason: R) {
    const verdict = inUse.onFailure(reason)
    if (verdict._tag === "TryNext" && verdict.told !== undefined) {
      yield* Effect.logInfo(`camera ${camera.id}: ${verdict.told}`).pipe(
        Effect.annotateLogs({ module: "engine", camera: camera.id })
      )
    }
    return verdict
  })

  const awaitMediaServer = Effect.gen(function* () {
    const { _tag } = yield* mediaServer.status
    if (_tag === "Up") return
    if (_tag === "Down") sawOutage = true
    yield* board.enter(camera, { _tag: "Waiting", for: "media server" })
    yield* mediaServer.awaitUp
  })

  const isServerUp = Effect.map(mediaServer.status, ({ _tag }) => _tag === "Up")

  /** Asks the camera what it offers, on the retry schedule, until it answers. */
  const probe = Effect.suspend(() => {
    let attempt = 1
    const probeNow = Effect.gen(function* () {
      // it may have gone while this camera waited for its place, which is somebody else's then; and what
      // was refused to another camera meanwhile need not be refused to this one, too
      if (!(yield* isServerUp) || seat.isHeld) return undefined
      yield* board.enter(camera, { _tag: "Probing", attempt })
      return yield* inUse.engine.prober.probe(camera).pipe(
        Effect.tap(() => Effect.sync(() => seat.accepted())),
        Effect.tapError(({ reason }) =>
          Effect.sync(() => reason._tag === "Unauthorized" && seat.refused(reason))
        )
      )
    })
    const inPlace = Effect.suspend(() =>
      options.probeLimits.withPlace(camera.url.authority, inUse.engine.prober)(probeNow)
    )
    const awaitTurn = board.enter(camera, { _tag: "Waiting", for: "turn" })
    const once: Effect.Effect<ProbeResult, ProbeError> = Effect.gen(function* () {
      yield* awaitMediaServer
      const offer = yield* Effect.andThen(awaitTurn, inPlace).pipe(
        seat.withTurn((refusal) =>
          refusal === undefined
            ? awaitTurn
            : board.enter(camera, {
                _tag: "Unreachable",
                reason: refusal.reason,
                attempt: attempt - 1,
                retryAt: refusal.until
              })
        )
      )
      return offer ?? (yield* once)
    })
    const beginAgain = Effect.sync(() => {
      // counted by rounds: whichever engines it takes, they are one attempt
      attempt++
      inUse.begin()
    })
    const withAnyEngine: Effect.Effect<ProbeResult, { readonly reason: ProbeReason }> =
      Effect.catch(once, ({ reason }) =>
        Effect.flatMap(onFailure(reason), (verdict) => {
          if (verdict._tag === "TryNext") return withAnyEngine
          // when to try a password again is not this camera's affair alone
          return verdict.reason._tag === "Unauthorized"
            ? Effect.andThen(beginAgain, withAnyEngine)
            : Effect.fail({ reason: verdict.reason })
        })
      )
    return Effect.retry(
      withAnyEngine,
      RetrySchedule.make(options.retry).pipe(
        Schedule.tap(({ duration, input, now }) =>
          Effect.suspend(() =>
            board.enter(camera, {
              _tag: "Unreachable",
              reason: input.reason,
              attempt,
              retryAt: now + Duration.toMillis(duration)
            })
          ).pipe(Effect.andThen(beginAgain))
        )
      )
      // the schedule never ends
    ).pipe(Effect.orDie)
  })

  /** Relays until the relay ends. Its process and its connections are gone when this returns. */
  const relay = Effect.fnUntraced(function* (offer: ProbeResult) {
    const { canHandOver, engine } = inUse
    yield* board.enter(camera, { _tag: "Starting", engine: engine.name })
    const running = yield* engine.relay.start({ camera, offer, destination, canHandOver })
    yield* board.count(camera.id, running.counters)
    yield* Effect.raceFirst(running.flowing, running.ended)
    const since = yield* Clock.currentTimeMillis
    yield* board.enter(camera, { _tag: "Live", engine: engine.name, offer, since })
    yield* Effect.forkScoped(Effect.delay(board.settle(camera.id), RestartSchedule.healthyLife))
    // by the monotonic clock, which nobody sets
    const [lived, error] = yield* Effect.timed(Effect.flip(running.ended))
    return { error, lived }
  }, Effect.scoped)

  /** From a camera that may not even answer to the end of its relay, by whichever engine can. */
  const attempt: Effect.Effect<RestartSchedule.RelayEnd> = Effect.gen(function* () {
    const offer = yield* probe
    yield* options.startPacing.turn
    // While this camera was probed or waited for its turn, the server may have gone, or its password may have
    // been refused to another one. It is probed anew then, and waits for another turn: all would start at once
    // when the server is back, with old offers.
    if (!(yield* isServerUp) || seat.isHeld) return yield* attempt
    const { error, lived } = yield* relay(offer).pipe(
      Effect.catch((error) => Effect.succeed({ error, lived: Duration.zero }))
    )
    const verdict = yield* onFailure(error.reason)
    if (verdict._tag === "TryNext") return yield* attempt
    return { reason: verdict.reason, lived, afterOutage: sawOutage }
  })

  const life = Effect.suspend(() => {
    inUse.begin()
    sawOutage = false
    return attempt
  }).pipe(
    // a fault of our own ends this life and no other
    Effect.catchCause((cause) =>
      Effect.as(sayFault(camera, cause), {
        reason: new Defect(),
        lived: Duration.zero,
        afterOutage: false
      })
    )
  )

  const restart = RestartSchedule.make(options.restart).pipe(
    Schedule.setInputType<RestartSchedule.RelayEnd>(),
    Schedule.tap(
      Effect.fnUntraced(function* ({ duration, input, now }) {
        yield* board.enter(camera, {
          _tag: "Restarting",
          reason: input.reason,
          at: now + Duration.toMillis(duration)
        })
        if (blamesMediaServer(input.reason)) yield* mediaServer.suspect
        // Is it still wanted? If not, the supervisor interrupts us. A source that does not answer keeps
        // nobody waiting, so the look goes on beside the wait.
        yield* Effect.forkChild(Effect.ignore(source.refresh))
      })
    )
  )

  return yield* Effect.repeat(life, restart).pipe(
    // a fault between two lives is one more end
    Effect.catchCause((cause) => Effect.andThen(sayFault(camera, cause), Effect.sleep(faultDelay))),
    Effect.forever
  )
}, Effect.scoped)

/** How long a camera rests after a fault that even its schedule did not survive. */
const faultDelay = Duration.seconds(10)

const sayFault = (camera: Camera, cause: Cause.Cause<unknown>) =>
  Effect.logError(`camera ${camera.id}: a fault in restream itself`, cause).pipe(
    Effect.annotateLogs({ module: "camera", camera: camera.id })
  )

const blamesMediaServer = ({ _tag, ...reason }: RestartSchedule.RelayEnd["reason"]): boolean =>
  _tag === "SinkGone" || (_tag === "Stalled" && "side" in reason && reason.side === "output")
