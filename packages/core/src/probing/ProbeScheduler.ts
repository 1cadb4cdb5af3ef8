/**
 * Opens the stream of a camera when the limits and the state of its credentials allow it.
 *
 * The camera actor and `restream check` reach a camera only by this service. A permit is held only while the stream
 * is being opened; an opened stream lives in the caller's scope.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Camera } from "../camera/Camera.ts"
import { cameraLabel } from "../camera/CameraNames.ts"
import { type DeviceFull, type ProbeReason, type Reason, Unauthorized } from "../camera/Reason.ts"
import { scopedAttempt } from "../engine/Attempt.ts"
import { type CameraStream, ProbeError } from "../engine/CameraStream.ts"
import { EngineFallback, type NextStep } from "../engine/EngineFallback.ts"
import { Engines } from "../engine/Engines.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import * as CredentialGuard from "./CredentialGuard.ts"
import * as ProbeLimiter from "./ProbeLimiter.ts"
import type * as RefusalGuard from "./RefusalGuard.ts"
import * as Refusals from "./Refusals.ts"
import * as SessionGuard from "./SessionGuard.ts"

/** A stream that was opened, and by which engine. */
export interface OpenedStream {
  readonly engine: string
  readonly stream: CameraStream
  /** Whether another engine can take over if this engine does not support all options of the camera. */
  readonly hasFallback: boolean
}

/** The caller's hooks into the steps of opening a stream. */
export interface OpenHooks {
  /** Runs before the camera joins the queues; may wait. */
  readonly awaitReady: Effect.Effect<void>
  /** Evaluated when the permit is granted. `false`: the permit is released, and the camera is queued again. */
  readonly isReady: Effect.Effect<boolean>
  /** The camera waits for others. */
  readonly onQueued: Effect.Effect<void>
  /** The device serves its maximum number of sessions. */
  readonly onFull: Effect.Effect<void>
  /** The device refused the credentials or a session, to this camera or to another one. Failing ends the opening. */
  readonly onBlocked: (
    refusal: RefusalGuard.Refusal<Unauthorized | DeviceFull>
  ) => Effect.Effect<void, ProbeError>
  /** The camera is being connected to. */
  readonly onConnecting: Effect.Effect<void>
}

/** A camera's access to its device, with the engine in use and the leases of the guards. */
export interface CameraAccess {
  /**
   * Opens the stream, with the next engine if an engine does not support the camera. The scope owns the stream.
   */
  readonly open: (hooks: OpenHooks) => Effect.Effect<OpenedStream, ProbeError, Scope.Scope>
  /** Begins a new attempt: an engine that could not start gets another chance. */
  readonly reset: Effect.Effect<void>
  /**
   * Records that the camera has accepted all requests of the stream, as far as the engine sends them itself. Until
   * then, or until the stream is closed, the next camera of the host waits to connect.
   */
  readonly onStarted: Effect.Effect<void>
  /** Records the failure of a relay, and decides whether to try the next engine at once. */
  readonly onRelayFailure: (reason: Reason) => Effect.Effect<NextStep<Reason>>
  /** Records that media flows: the device accepted all requests of the stream. */
  readonly onFlowing: Effect.Effect<void>
  /** Allows one attempt in spite of refused credentials. */
  readonly tryNow: Effect.Effect<void>
}

export class ProbeScheduler extends Context.Service<
  ProbeScheduler,
  {
    /** A camera's access, released with the scope. */
    readonly access: (camera: Camera) => Effect.Effect<CameraAccess, never, Scope.Scope>
  }
>()("@restream/core/probing/ProbeScheduler") {
  /** Limits and delays by the settings in force. */
  static readonly layer: Layer.Layer<ProbeScheduler, never, Engines | LiveSettings> = Layer.effect(
    ProbeScheduler,
    Effect.gen(function* () {
      const settings = yield* LiveSettings
      const current = () => SubscriptionRef.getUnsafe(settings)
      return yield* make({
        limits: () => current().probe,
        lockoutDelay: () => current().probe.lockoutDelay,
        sessions: SessionGuard.make(() => ({
          retryDelays: current().probe.retryDelays,
          maxSessions: current().device.maxSessions
        })),
        isSinglePass: false
      })
    })
  )

  /** For a single pass over all cameras: refused credentials are not retried. */
  static readonly layerOnce = (
    limits: ProbeLimiter.Limits
  ): Layer.Layer<ProbeScheduler, never, Engines> =>
    Layer.effect(
      ProbeScheduler,
      make({
        limits: () => limits,
        lockoutDelay: () => Duration.infinity,
        // a session ends as soon as it is open
        sessions: SessionGuard.make(() => ({ retryDelays: [] })),
        isSinglePass: true
      })
    )
}

/** Whether a guard decides when the camera may try again. */
export const isHeldByGuard = (reason: Reason): boolean =>
  reason._tag === "Unauthorized" || reason._tag === "DeviceFull"

/** The interval at which the refused groups are updated from the other daemons. */
const recallInterval = "5 seconds"

const make = Effect.fnUntraced(function* (options: {
  readonly limits: () => ProbeLimiter.Limits
  readonly lockoutDelay: () => Duration.Duration
  readonly sessions: SessionGuard.SessionGuard
  /** Whether each camera is opened once. */
  readonly isSinglePass: boolean
}): Effect.fn.Return<ProbeScheduler["Service"], never, Engines | Scope.Scope> {
  const engines = yield* Engines
  const limiter = ProbeLimiter.make(options.limits)
  const refusals = options.isSinglePass ? Refusals.alone : yield* Refusals.Refusals
  const guard = CredentialGuard.make(options.lockoutDelay, options.isSinglePass, refusals)
  if (refusals.isShared) {
    yield* guard.recall.pipe(
      Effect.andThen(Effect.sleep(recallInterval)),
      Effect.forever,
      Effect.forkScoped
    )
  }
  return ProbeScheduler.of({
    access: Effect.fnUntraced(function* (camera) {
      const lease = yield* guard.acquire(camera)
      const session = yield* options.sessions.acquire(camera)
      return new Access(camera, engines, limiter, lease, session, options.lockoutDelay)
    })
  })
})

class Access implements CameraAccess {
  readonly #camera: Camera
  readonly #engines: Engines["Service"]
  readonly #limiter: ProbeLimiter.ProbeLimiter
  readonly #lease: CredentialGuard.Lease
  readonly #session: SessionGuard.Lease
  readonly #lockoutDelay: () => Duration.Duration
  #fallback: EngineFallback
  /** Whether the device refused a request after DESCRIBE. Then an open stream proves nothing. */
  #isRefusedAfterOpen = false
  /** Releases the permit of the host, which a stream keeps until it is started. */
  #releaseHost: Effect.Effect<void> = Effect.void

  constructor(
    camera: Camera,
    engines: Engines["Service"],
    limiter: ProbeLimiter.ProbeLimiter,
    lease: CredentialGuard.Lease,
    session: SessionGuard.Lease,
    lockoutDelay: () => Duration.Duration
  ) {
    this.#camera = camera
    this.#engines = engines
    this.#limiter = limiter
    this.#lease = lease
    this.#session = session
    this.#lockoutDelay = lockoutDelay
    this.#fallback = this.#newFallback()
  }

  /** The engine is selected once per row, and again after a change of the settings. */
  #newFallback(): EngineFallback {
    // the decoder has checked the name
    return new EngineFallback(Result.getOrThrow(this.#engines.select(this.#camera)))
  }

  get reset(): Effect.Effect<void> {
    return Effect.sync(() => {
      const [first] = Result.getOrThrow(this.#engines.select(this.#camera))
      if (first === this.#fallback.first) this.#fallback.reset()
      else this.#fallback = this.#newFallback()
    })
  }

  get onStarted(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const release = this.#releaseHost
      this.#releaseHost = Effect.void
      return release
    })
  }

  get onFlowing(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#isRefusedAfterOpen = false
      this.#lease.accepted()
      this.#session.accepted()
    })
  }

  get tryNow(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#lease.tryNow()
      this.#session.tryNow()
    })
  }

  onRelayFailure(reason: Reason): Effect.Effect<NextStep<Reason>> {
    return Effect.suspend(() => this.#nextEngine(this.#reportRefusal(reason, true)))
  }

  #nextEngine<R extends Reason>(reason: R): Effect.Effect<NextStep<R>> {
    return Effect.suspend(() => {
      const next = this.#fallback.onFailure(reason)
      if (next._tag === "GiveUp" || next.notice === undefined) return Effect.succeed(next)
      return Effect.as(
        Effect.annotateLogs(Effect.logInfo(`${cameraLabel(this.#camera)}: ${next.notice}`), {
          module: "engine",
          camera: this.#camera.id
        }),
        next
      )
    })
  }

  open(hooks: OpenHooks): Effect.Effect<OpenedStream, ProbeError, Scope.Scope> {
    return Effect.matchEffect(this.#openByEngine(hooks), {
      onSuccess: (opened) => (opened === undefined ? this.open(hooks) : Effect.succeed(opened)),
      onFailure: ({ reason }) =>
        Effect.flatMap(this.#nextEngine<ProbeReason>(reason), (next) =>
          next._tag === "TryNext"
            ? this.open(hooks)
            : Effect.fail(new ProbeError({ reason: next.reason }))
        )
    })
  }

  /** One attempt by the engine in use; `undefined` if it has to be queued again. */
  #openByEngine(
    hooks: OpenHooks
  ): Effect.Effect<OpenedStream | undefined, ProbeError, Scope.Scope> {
    const lease = this.#lease
    const limited = Effect.suspend(() =>
      this.#limiter.withPermit(this.#camera.url.authority, this.#fallback.engine, (release) => {
        this.#releaseHost = release
      })(this.#connect(hooks))
    ).pipe(
      // nothing was opened
      Effect.tap((opened) => (opened === undefined ? this.onStarted : Effect.void))
    )
    const session = this.#session
    const withSession = session.withPermit((refusal) =>
      refusal !== undefined
        ? hooks.onBlocked(refusal)
        : session.isFull
          ? hooks.onFull
          : hooks.onQueued
    )(Effect.andThen(hooks.onQueued, limited))
    const queued = lease.withPermit((refusal) =>
      refusal === undefined ? hooks.onQueued : hooks.onBlocked(refusal)
    )(withSession)
    return Effect.andThen(hooks.awaitReady, queued)
  }

  #connect(hooks: OpenHooks): Effect.Effect<OpenedStream | undefined, ProbeError, Scope.Scope> {
    const lease = this.#lease
    const session = this.#session
    const fallback = this.#fallback
    return Effect.gen({ self: this }, function* () {
      // While this camera waited, the media server may have become unreachable, and the device may have refused
      // another camera.
      if (lease.isBlocked || session.isBlocked || !(yield* hooks.isReady)) return undefined
      if (!(yield* lease.claim)) return undefined
      yield* hooks.onConnecting
      const { engine, hasFallback } = fallback
      // finalizers run in reverse order: this one after the stream is closed
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          lease.ended()
          session.ended()
          return this.onStarted
        })
      )
      // the resources of a failed opening are released before the next engine connects
      const stream = yield* scopedAttempt(engine.open(this.#camera)).pipe(
        Effect.withSpan("Engine.open", {
          attributes: { camera: this.#camera.id, engine: engine.name }
        }),
        Effect.mapError(
          ({ reason }) => new ProbeError({ reason: this.#reportRefusal(reason, false) })
        )
      )
      lease.accepted(!this.#isRefusedAfterOpen)
      session.accepted(!this.#isRefusedAfterOpen)
      return { engine: engine.name, hasFallback, stream }
    })
  }

  /** Reports a refusal to the guards. Many devices respond to a locked account with 403. */
  #reportRefusal<R extends Reason>(reason: R, isAfterOpen: boolean): R | Unauthorized | DeviceFull {
    const isLocked = reason._tag === "Rejected" && reason.status === 403 && this.#lease.isRefused
    const full = SessionGuard.mayBeFull(reason, this.#session)
    if (reason._tag !== "Unauthorized" && !isLocked && full === undefined) return reason
    this.#isRefusedAfterOpen ||= isAfterOpen
    if (reason._tag === "Unauthorized") this.#lease.refused(reason)
    if (isLocked) {
      const locked = new Unauthorized({ credentials: "locked" })
      this.#lease.refused(locked, this.#lockoutDelay())
      return locked
    }
    if (full === undefined) return reason
    this.#session.refused(full)
    // for a single camera a status other than 453 may be about its channel
    return full.status === 453 || full.keptForMs !== undefined || this.#session.isGroupBlocked
      ? full
      : reason
  }
}
