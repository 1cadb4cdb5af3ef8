/**
 * The root of the tree: makes what runs agree with the newest snapshot, again and again.
 *
 * Every pass compares the *whole* list of wanted cameras with what was applied before. Each camera has
 * one fiber in a `FiberMap`; whatever happens to a camera replaces that fiber by one which first waits
 * for the end of its predecessors: of the camera's own, and of whoever had its path. So two relays never
 * touch one path, however fast the rows change.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { CameraTypes } from "../camera-type/CameraTypes.ts"
import type { Camera, CameraId } from "../camera/Camera.ts"
import type { CameraOptions } from "../camera/CameraOptions.ts"
import type { MediaPath } from "../camera/MediaPath.ts"
import * as Roster from "../source/Roster.ts"
import type { Engines } from "../engine/Engines.ts"
import type { MediaServer } from "../media-server/MediaServer.ts"
import { CameraSource } from "../source/CameraSource.ts"
import { StatusStore } from "../status/StatusStore.ts"
import * as CameraActor from "./CameraActor.ts"
import { type Action, type Applied, apply, diff } from "./Diff.ts"
import * as CredentialGuard from "../probing/CredentialGuard.ts"
import * as ReconcileLog from "./ReconcileLog.ts"

/** `pathTemplate` and `defaults` are read at the start and at each `reread`. */
export interface SupervisorOptions extends CameraActor.CameraActorOptions {
  /** The path of a row that has none. Default `cam{id}`. */
  readonly pathTemplate: string
  /** The options of a row that chooses nothing. */
  readonly defaults: CameraOptions
}

export class Supervisor extends Context.Service<
  Supervisor,
  {
    /** Done when the first snapshot was applied. */
    readonly ready: Effect.Effect<void>
    /** How many snapshots were applied. It only grows; a loop that stands still can be seen by it. */
    readonly passes: Effect.Effect<number>
    /**
     * Done when the supervisor's loop is there and no pass is under way. It is never done while a pass
     * stands still, so a watchdog that waits for it can't be deceived by timers that still run.
     */
    readonly pulse: Effect.Effect<void>
    /**
     * Reads the newest rows anew, after the options or the camera types have changed, and applies what came
     * out. Done when that is done; at once where no row was seen yet.
     */
    readonly reread: Effect.Effect<void>
  }
>()("@restream/core/supervision/Supervisor") {
  /** Runs the tree in the layer's scope: closing it ends every relay and waits for their ends. */
  static readonly layer = (
    options: SupervisorOptions
  ): Layer.Layer<
    Supervisor,
    never,
    CameraSource | CameraTypes | Engines | MediaServer | StatusStore
  > => Layer.effect(Supervisor, make(options))
}

const make = Effect.fnUntraced(function* (options: SupervisorOptions) {
  const source = yield* CameraSource
  const status = yield* StatusStore
  const types = yield* CameraTypes
  const makeReader = () =>
    Roster.makeReader({
      types,
      pathTemplate: options.pathTemplate,
      defaults: options.defaults
    })
  let readRoster = makeReader()
  const fibers = yield* FiberMap.make<CameraId, void>()
  const pathOwners = new Map<MediaPath, Fiber.Fiber<void>>()
  const credentialGuard = CredentialGuard.make(options.retry)
  const ready = yield* Deferred.make<void>()
  let applied: Applied = new Map()
  let passes = 0

  /** Runs something for a camera after all that may still run for it, or on its path, has ended. */
  const succeed = Effect.fnUntraced(function* <R>(
    id: CameraId,
    next: Effect.Effect<void, never, R>,
    path?: MediaPath
  ) {
    const predecessors = [
      Option.getOrUndefined(FiberMap.getUnsafe(fibers, id)),
      path === undefined ? undefined : pathOwners.get(path)
    ].filter((fiber) => fiber !== undefined)
    // Uninterruptible: with a → b → c in quick succession, b is interrupted while it waits for a. Were it
    // to end at once, c would wait for b only, and run beside a.
    const fiber = yield* FiberMap.run(
      fibers,
      id,
      Effect.andThen(Effect.uninterruptible(Fiber.awaitAll(predecessors)), next)
    )
    if (path !== undefined) {
      pathOwners.set(path, fiber)
      fiber.addObserver(() => {
        if (pathOwners.get(path) === fiber) pathOwners.delete(path)
      })
    }
  })

  /** Interrupts what may still run for a camera, so that it enters no state after this. */
  const interrupt = (id: CameraId) =>
    Effect.sync(() => Option.getOrUndefined(FiberMap.getUnsafe(fibers, id))?.interruptUnsafe())

  const start = Effect.fnUntraced(function* (camera: Camera) {
    yield* interrupt(camera.id)
    // before it waits for others: what is wanted stands on the status, and can be stopped again
    const known = yield* status.get(camera.id)
    if (known !== undefined) yield* status.rename(camera)
    if (known === undefined || known.state._tag === "Invalid") {
      yield* status.transition(camera, { _tag: "Waiting", for: "turn" })
    }
    return yield* succeed(camera.id, CameraActor.run(camera, options, credentialGuard), camera.path)
  })

  /** Begins to end what runs for a camera, and says so; does not wait for the end. */
  const stopping = Effect.fnUntraced(function* (id: CameraId) {
    yield* interrupt(id)
    yield* status.stopping(id)
  })

  const perform = Effect.fnUntraced(function* (action: Action) {
    switch (action._tag) {
      case "Start":
        return yield* start(action.camera)
      case "Restart": {
        yield* stopping(action.camera.id)
        return yield* start(action.camera)
      }
      case "Rename":
        return yield* status.rename(action.camera)
      case "Invalidate": {
        const { camera } = action
        yield* stopping(camera.id)
        yield* status.rename(camera)
        return yield* succeed(
          camera.id,
          status.transition(camera, { _tag: "Invalid", problem: camera.problem })
        )
      }
      case "Stop": {
        yield* stopping(action.id)
        return yield* succeed(action.id, status.remove(action.id))
      }
    }
  })

  const reconcile = Effect.fnUntraced(function* (roster: Roster.Roster) {
    const actions = diff(applied, roster.cameras)
    if (passes === 0 || actions.length > 0) {
      const { level, message } = ReconcileLog.describe({
        before: applied,
        cameras: roster.cameras,
        disabled: roster.disabled,
        actions
      })
      yield* Effect.logWithLevel(level)(message)
    }
    const done: Array<Action> = []
    const failed: Array<Action> = []
    for (const action of actions) {
      const isDone = yield* survives(perform(action))
      ;(isDone ? done : failed).push(action)
    }
    applied = apply(applied, done, failed)
    passes++
    yield* Deferred.succeed(ready, undefined)
  })

  yield* Effect.addFinalizer(() =>
    Effect.logInfo(`cameras: ending all ${applied.size}`).pipe(
      Effect.when(Effect.sync(() => applied.size > 0)),
      Effect.annotateLogs("module", "supervisor")
    )
  )

  let rows: ReadonlyArray<Roster.CameraRow> | undefined
  const services = yield* Effect.context<Engines | MediaServer | CameraSource | StatusStore>()
  const pass = survives(
    Effect.suspend(() => (rows === undefined ? Effect.void : reconcile(readRoster(rows))))
  ).pipe(Effect.annotateLogs("module", "supervisor"), Effect.provideContext(services))

  // one pass at a time, whoever asks for it
  const turn = Semaphore.makeUnsafe(1)
  const loop = yield* Stream.suspend(() => source.snapshots).pipe(
    Stream.runForEach((snapshot) =>
      turn.withPermit(
        Effect.suspend(() => {
          rows = snapshot.rows
          return pass
        })
      )
    ),
    Effect.andThen(Effect.die(new Error("the source's snapshots came to an end"))),
    // Without it the table would be ignored for ever. What runs goes on meanwhile.
    Effect.catchCause((cause) =>
      Effect.logError(
        `supervisor: no snapshots any more; taken up again in ${Duration.format(faultDelay)}`,
        cause
      )
    ),
    Effect.andThen(Effect.sleep(faultDelay)),
    Effect.forever,
    Effect.annotateLogs("module", "supervisor"),
    Effect.forkScoped
  )

  return Supervisor.of({
    ready: Deferred.await(ready),
    passes: Effect.sync(() => passes),
    pulse: Effect.suspend(() =>
      loop.pollUnsafe() === undefined ? turn.withPermit(Effect.void) : Effect.never
    ),
    reread: turn.withPermit(
      Effect.suspend(() => {
        readRoster = makeReader()
        return pass
      })
    )
  })
})

/** How long the loop rests after the source's snapshots broke off. */
const faultDelay = Duration.seconds(10)

/** Whether an effect came to its end. A fault of our own is told, and ends nothing else. */
const survives = <R>(effect: Effect.Effect<void, never, R>): Effect.Effect<boolean, never, R> =>
  effect.pipe(
    Effect.as(true),
    Effect.catchCause((cause) =>
      Effect.as(Effect.logError("supervisor: a fault in restream itself", cause), false)
    )
  )
