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
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Camera } from "../camera/Camera.ts"
import { InternalError, type ProbeReason, type Reason } from "../camera/Reason.ts"
import { Engines } from "../engine/Engines.ts"
import { EngineFallback } from "../engine/EngineFallback.ts"
import { MediaServer } from "../media-server/MediaServer.ts"
import type { ProbeLimiter } from "../probing/ProbeLimiter.ts"
import type { CameraStream, ProbeError } from "../engine/CameraStream.ts"
import type { StartRateLimiter } from "./StartRateLimiter.ts"
import { CameraSource } from "../source/CameraSource.ts"
import { StatusStore } from "../status/StatusStore.ts"
import type { CredentialGuard } from "../probing/CredentialGuard.ts"
import * as RestartSchedule from "./RestartSchedule.ts"
import * as RetrySchedule from "./RetrySchedule.ts"

/** What all cameras share. */
export interface CameraActorOptions {
  readonly retry: RetrySchedule.RetryPolicy
  readonly restart: RestartSchedule.RestartPolicy
  readonly probeLimiter: ProbeLimiter
  readonly startRateLimiter: StartRateLimiter
}

/** Runs a camera for ever. */
export const run = Effect.fnUntraced(function* (
  camera: Camera,
  options: CameraActorOptions,
  credentialGuard: CredentialGuard
) {
  const mediaServer = yield* MediaServer
  const source = yield* CameraSource
  const status = yield* StatusStore
  const destination = mediaServer.destination(camera.path)
  // What `auto` learns about a camera is remembered as long as this fiber runs: until its row changes.
  const inUse = new EngineFallback(Result.getOrThrow((yield* Engines).select(camera)))
  const lease = yield* credentialGuard.acquire(camera)
  let sawOutage = false

  /** What to do about a failure: the next engine at once where that helps, else its reason is the end. */
  const onFailure = Effect.fnUntraced(function* <R extends Reason>(reason: R) {
    const verdict = inUse.onFailure(reason)
    if (verdict._tag === "TryNext" && verdict.notice !== undefined) {
      yield* Effect.logInfo(`camera ${camera.id}: ${verdict.notice}`).pipe(
        Effect.annotateLogs({ module: "engine", camera: camera.id })
      )
    }
    return verdict
  })

  const awaitMediaServer = Effect.gen(function* () {
    const { _tag } = yield* mediaServer.status
    if (_tag === "Up") return
    if (_tag === "Down") sawOutage = true
    yield* status.transition(camera, { _tag: "Waiting", for: "media server" })
    yield* mediaServer.awaitUp
  })

  const isServerUp = Effect.map(mediaServer.status, ({ _tag }) => _tag === "Up")

  /** Asks the camera what it offers, on the retry schedule, until it answers. */
  const probe = Effect.suspend(() => {
    let attempt = 1
    const probeNow = Effect.gen(function* () {
      // it may have gone while this camera waited for its place, which is somebody else's then; and what
      // was refused to another camera meanwhile need not be refused to this one, too
      if (!(yield* isServerUp) || lease.isBlocked) return undefined
      yield* status.transition(camera, { _tag: "Probing", attempt })
      return yield* inUse.engine.open(camera).pipe(
        Effect.tap(() => Effect.sync(() => lease.accepted())),
        Effect.tapError(({ reason }) =>
          Effect.sync(() => reason._tag === "Unauthorized" && lease.refused(reason))
        )
      )
    })
    const inPlace = Effect.suspend(() =>
      options.probeLimiter.withPermit(camera.url.authority, inUse.engine)(probeNow)
    )
    const awaitTurn = status.transition(camera, { _tag: "Waiting", for: "turn" })
    const once: Effect.Effect<CameraStream, ProbeError, Scope.Scope> = Effect.gen(function* () {
      yield* awaitMediaServer
      const offer = yield* Effect.andThen(awaitTurn, inPlace).pipe(
        lease.withPermit((refusal) =>
          refusal === undefined
            ? awaitTurn
            : status.transition(camera, {
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
      inUse.reset()
    })
    const withAnyEngine: Effect.Effect<
      CameraStream,
      { readonly reason: ProbeReason },
      Scope.Scope
    > = Effect.catch(once, ({ reason }) =>
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
            status.transition(camera, {
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
  const relay = Effect.fnUntraced(function* (stream: CameraStream) {
    const { hasFallback, engine } = inUse
    yield* status.transition(camera, { _tag: "Starting", engine: engine.name })
    const running = yield* stream.publish({ destination, hasFallback })
    yield* status.attachCounters(camera.id, running.counters)
    yield* Effect.raceFirst(running.flowing, running.ended)
    const since = yield* Clock.currentTimeMillis
    for (const notice of running.notices) {
      yield* Effect.logWarning(`camera ${camera.id}: ${notice}`).pipe(
        Effect.annotateLogs({ module: "engine", camera: camera.id })
      )
    }
    yield* status.transition(camera, {
      _tag: "Live",
      engine: engine.name,
      offer: running.published,
      since
    })
    yield* Effect.forkScoped(
      Effect.delay(status.markStable(camera.id), RestartSchedule.resetUptime)
    )
    // by the monotonic clock, which nobody sets
    const [uptime, error] = yield* Effect.timed(Effect.flip(running.ended))
    return { error, uptime }
  }, Effect.scoped)

  /** From a camera that may not even answer to the end of its relay, by whichever engine can. */
  const attempt: Effect.Effect<RestartSchedule.RelayEnd> = Effect.gen(function* () {
    const offer = yield* probe
    yield* options.startRateLimiter.acquire
    // While this camera was probed or waited for its turn, the server may have gone, or its password may have
    // been refused to another one. It is probed anew then, and waits for another turn: all would start at once
    // when the server is back, with old offers.
    if (!(yield* isServerUp) || lease.isBlocked) return yield* attempt
    const { error, uptime } = yield* relay(offer).pipe(
      Effect.catch((error) => Effect.succeed({ error, uptime: Duration.zero }))
    )
    const verdict = yield* onFailure(error.reason)
    if (verdict._tag === "TryNext") return yield* attempt
    return { reason: verdict.reason, uptime, afterOutage: sawOutage }
  }).pipe(Effect.scoped)

  const life = Effect.suspend(() => {
    inUse.reset()
    sawOutage = false
    return attempt
  }).pipe(
    // a fault of our own ends this life and no other
    Effect.catchCause((cause) =>
      Effect.as(sayFault(camera, cause), {
        reason: new InternalError(),
        uptime: Duration.zero,
        afterOutage: false
      })
    )
  )

  const restart = RestartSchedule.make(options.restart).pipe(
    Schedule.setInputType<RestartSchedule.RelayEnd>(),
    Schedule.tap(
      Effect.fnUntraced(function* ({ duration, input, now }) {
        yield* status.transition(camera, {
          _tag: "Restarting",
          reason: input.reason,
          at: now + Duration.toMillis(duration)
        })
        if (blamesMediaServer(input.reason)) yield* mediaServer.reportFailure
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
  _tag === "ServerGone" || (_tag === "Stalled" && "side" in reason && reason.side === "output")
