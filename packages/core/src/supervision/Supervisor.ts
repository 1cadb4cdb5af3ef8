/**
 * Reconciles the running cameras with the desired cameras.
 *
 * Each reconciliation compares the *whole* set of desired cameras with the set applied last. Each camera has one
 * fiber in a `FiberMap`.
 *
 * **Two relays never touch one path.** A fiber that is started for a camera first awaits, uninterruptibly,
 * the end of every fiber that may still relay to its path:
 *
 * - the camera's previous fiber, with the same path or another one;
 * - the path's previous owner, which may be another camera: A and B swapped their paths, or A was removed from the
 *   table and B got its path.
 *
 * Each new fiber becomes the owner of its path at once, before it runs. So with A → B → C in quick succession, C
 * awaits B, and B, although interrupted, ends only after A has ended. The owner of a path is removed when it ends,
 * unless a later fiber owns the path by then.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { type Camera, type CameraId, destinationKey, type InvalidCamera } from "../camera/Camera.ts"
import { cameraLabel, nameSome } from "../camera/CameraNames.ts"
import { Ownership, type OwnershipChange } from "../cluster/Ownership.ts"
import { type CameraSet, DesiredCameras } from "../desired/DesiredCameras.ts"
import type { MediaServers } from "../media-server/MediaServers.ts"
import type { ProbeScheduler } from "../probing/ProbeScheduler.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { Incidents, suffixOf } from "../status/Incidents.ts"
import * as Metrics from "../status/Metrics.ts"
import { StatusStore } from "../status/StatusStore.ts"
import { format } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as CameraActor from "./CameraActor.ts"
import { type Action, apply, applyTo, diff, diffOwnership, type Unknown } from "./Diff.ts"
import { type Hold, MassStopGuard } from "./MassStop.ts"
import * as ReconcileLog from "./ReconcileLog.ts"
import * as StartRateLimiter from "./StartRateLimiter.ts"

export class Supervisor extends Context.Service<
  Supervisor,
  {
    /** Done when the first set of cameras was applied. */
    readonly ready: Effect.Effect<void>
    /** How many sets were applied. It only grows. */
    readonly reconciliations: Effect.Effect<number>
    /**
     * Done when the supervisor's loop runs and no reconciliation is in progress. Never done while a reconciliation
     * hangs, so a watchdog that awaits this detects the hang even if timers still fire.
     */
    readonly heartbeat: Effect.Effect<void>
    /** Sends a command to a camera and its further streams. `false`: no camera with this id runs. */
    readonly send: (id: CameraId, command: CameraActor.Command) => Effect.Effect<boolean>
  }
>()("@restream/core/supervision/Supervisor") {
  /** Runs the cameras in the layer's scope. Closing the scope ends all relays and waits for their ends. */
  static readonly layer: Layer.Layer<
    Supervisor,
    never,
    DesiredCameras | LiveSettings | MediaServers | ProbeScheduler | StatusStore
  > = Layer.effect(
    Supervisor,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const desired = yield* DesiredCameras
  const status = yield* StatusStore
  const settings = yield* LiveSettings
  const ownership = yield* Ownership
  const services = yield* Effect.context<
    DesiredCameras | LiveSettings | MediaServers | ProbeScheduler | StatusStore
  >()
  const startRateLimiter = StartRateLimiter.make(
    () => SubscriptionRef.getUnsafe(settings).relay.startSpacing
  )
  const handOverLimiter = StartRateLimiter.make(handOverSpacing)
  // closed after the cameras: until they have ended, `settled` of an ownership change must still run
  const followScope = yield* Scope.fork(yield* Effect.scope)
  const fibers = yield* FiberMap.make<CameraId, void>()
  let isClosing = false
  /** The fibers that may still run for the cameras of each shard. */
  const shardFibers = new Map<number, Set<Fiber.Fiber<void>>>()
  const actors = new Map<CameraId, CameraActor.CameraActor>()
  const pathOwners = new Map<string, Fiber.Fiber<void>>()
  const ready = yield* Deferred.make<void>()
  const massStop = new MassStopGuard()
  const massStops = new Incidents<"mass stop">()
  const recheck = yield* FiberHandle.make()
  let applied: Map<CameraId, Camera | InvalidCamera | Unknown> = new Map()
  let reconciliations = 0
  let latest: CameraSet | undefined

  /** A further stream of a camera belongs to the row of its main stream. */
  const rowIdOf = (id: CameraId): CameraId => {
    const camera = latest?.cameras.get(id) ?? applied.get(id)
    return camera?._tag === "Unknown" ? id : (camera?.substream?.of ?? id)
  }
  const isOurs = (id: CameraId) => ownership.isOurs(rowIdOf(id))
  const shardOf = (id: CameraId) => ownership.shardOf?.(rowIdOf(id)) ?? 0

  /** Runs an effect for a camera after all earlier fibers of the camera and of its path have ended. */
  const startAfterPredecessors = Effect.fnUntraced(function* (
    id: CameraId,
    next: Effect.Effect<void>,
    camera?: Camera
  ) {
    // identifies the path and its media server
    const path = camera && destinationKey(camera)
    const predecessors = [
      Option.getOrUndefined(FiberMap.getUnsafe(fibers, id)),
      path === undefined ? undefined : pathOwners.get(path)
    ].filter((fiber) => fiber !== undefined)
    const fiber = yield* FiberMap.run(
      fibers,
      id,
      Effect.andThen(
        Effect.uninterruptible(
          Effect.raceFirst(Fiber.awaitAll(predecessors), reportSlowEnd(id, camera))
        ),
        next
      )
    )
    const shard = shardOf(id)
    const inShard = shardFibers.get(shard) ?? new Set()
    shardFibers.set(shard, inShard.add(fiber))
    fiber.addObserver(() => inShard.delete(fiber))
    if (path !== undefined) {
      pathOwners.set(path, fiber)
      fiber.addObserver(() => {
        if (pathOwners.get(path) === fiber) pathOwners.delete(path)
      })
    }
  })

  /** Reports, until the relay ends, that a relay which does not end blocks its camera and its path. */
  const reportSlowEnd = (id: CameraId, camera: Camera | undefined): Effect.Effect<never> =>
    Effect.gen(function* () {
      for (let waited = slowEnd; ; waited = Duration.sum(waited, slowEnd)) {
        yield* Effect.sleep(slowEnd)
        if (camera !== undefined) {
          yield* status.transition(camera, { _tag: "Waiting", for: "previous relay" })
        }
        const label = camera === undefined ? `camera ${id}` : cameraLabel(camera)
        yield* Effect.logError(
          `${label}: the previous relay has not ended within ${format(waited)}; waiting for it, because two relays must not publish to one path`
        ).pipe(Effect.annotateLogs({ module: "supervisor", camera: id }))
      }
    }).pipe(Effect.interruptible)

  /** Interrupts the fiber of a camera, so that it enters no further state. */
  const interrupt = (id: CameraId) =>
    Effect.sync(() => {
      actors.delete(id)
      Option.getOrUndefined(FiberMap.getUnsafe(fibers, id))?.interruptUnsafe()
    })

  const start = Effect.fnUntraced(function* (camera: Camera, isHandOver: boolean) {
    yield* interrupt(camera.id)
    // before the camera waits for its predecessors it needs a state, so that it can be stopped meanwhile
    const known = yield* status.get(camera.id)
    if (known !== undefined) yield* status.rename(camera)
    if (known === undefined || known.state._tag === "Invalid") {
      yield* status.transition(camera, { _tag: "Waiting", for: "turn" })
    }
    const limiter = isHandOver ? handOverOnce(handOverLimiter, startRateLimiter) : startRateLimiter
    const actor = yield* Effect.provideContext(CameraActor.make(camera, limiter), services)
    yield* startAfterPredecessors(camera.id, actor.run, camera)
    actors.set(camera.id, actor)
  })

  /** Interrupts the fiber of a camera, without waiting for its end. */
  const stop = Effect.fnUntraced(function* (id: CameraId) {
    yield* interrupt(id)
    yield* status.stopping(id)
  })

  const perform = Effect.fnUntraced(function* (action: Action, isHandOver = false) {
    switch (action._tag) {
      case "Start":
        return yield* start(action.camera, isHandOver)
      case "Restart": {
        yield* stop(action.camera.id)
        return yield* start(action.camera, false)
      }
      case "Rename":
        return yield* status.rename(action.camera)
      case "Invalidate": {
        const { camera } = action
        yield* stop(camera.id)
        yield* status.rename(camera)
        return yield* startAfterPredecessors(
          camera.id,
          status.transition(camera, { _tag: "Invalid", problem: camera.problem })
        )
      }
      case "Stop": {
        yield* stop(action.id)
        return yield* startAfterPredecessors(action.id, status.remove(action.id))
      }
    }
  })

  /** Holds the whole set, because its other changes may be a part of the same mistake. */
  const hold = Effect.fnUntraced(function* ({ recheckAfter, relays, stops }: Hold) {
    // the next scheduled read may be far away
    yield* FiberHandle.run(recheck, Effect.delay(desired.refresh, recheckAfter))
    const notice = massStops.failed("mass stop", "mass stop", yield* Monotonic.now)
    if (notice === undefined) return
    const cameras = stops.map((id) => {
      const camera = applied.get(id)
      return { id, name: camera?._tag === "Camera" ? camera.name : id }
    })
    yield* Effect.logError(
      `camera list would stop ${stops.length} of ${relays} relays at once: ${nameSome(cameras)}; no change is applied unless the camera list stays so for ${format(recheckAfter)} (supervisor.massStopDelay, supervisor.maxStopFraction)${suffixOf(notice)}`
    )
  })

  const endHold = Effect.fnUntraced(function* (actions: ReadonlyArray<Action>) {
    yield* FiberHandle.clear(recheck)
    const isConfirmed = actions.some(({ _tag }) => _tag === "Stop" || _tag === "Invalidate")
    switch (massStops.succeeded("mass stop", yield* Monotonic.now)) {
      case "resolved":
        return yield* isConfirmed
          ? Effect.logWarning("camera list still stops those relays: applying it")
          : Effect.logInfo("camera list has its cameras again: no relay was stopped")
      case "stable":
        return yield* Effect.logInfo("camera list: stable")
    }
  })

  /** Performs the actions one by one: a defect in one does not affect the others. */
  const performAll = Effect.fnUntraced(function* (
    actions: ReadonlyArray<Action>,
    isHandOver = false
  ) {
    const done: Array<Action> = []
    const failed: Array<Action> = []
    for (const action of actions) {
      const isDone = yield* catchDefect(perform(action, isHandOver))
      ;(isDone ? done : failed).push(action)
    }
    applyTo(applied, done, failed)
  })

  /** Whether a set covers a camera. */
  const covers = ({ shards }: CameraSet, id: CameraId) => shards?.has(shardOf(id)) ?? true

  /** The gained shards whose cameras are in no set yet, and whether another daemon has handed them over. */
  const arriving = new Map<number, boolean>()
  const isArriving = (action: Action) =>
    action._tag !== "Stop" && arriving.size > 0 && arriving.has(shardOf(action.camera.id))

  const isMoved = (action: Action) => action._tag === "Stop" && !isOurs(action.id)

  const reconcile = Effect.fn("Supervisor.reconcile")(function* (set: CameraSet) {
    byShard = undefined
    const all = diff(applied, set.cameras, isOurs).filter(
      (action) => action._tag !== "Stop" || !isOurs(action.id) || covers(set, action.id)
    )
    // another daemon relays these cameras, so their stops are no mistake in the table
    const moved = all.filter(isMoved)
    const arrivals = all.filter(isArriving)
    const changes = all.filter((action) => !isMoved(action) && !isArriving(action))
    const { supervisor } = SubscriptionRef.getUnsafe(settings)
    const held = massStop.decide(apply(applied, moved), changes, supervisor, yield* Monotonic.now)
    if (held !== undefined) {
      yield* hold(held)
      if (moved.length === 0 && arrivals.length === 0) return
    } else if (massStops.has("mass stop")) yield* endHold(changes)
    yield* startArrivals(set, arrivals)
    const actions = held === undefined ? [...moved, ...changes] : moved
    const isFirst = reconciliations === 0 && set.shards === undefined
    if (isFirst || actions.length > 0) {
      const isNode = ownership.node !== undefined
      const reconciliation = { ...set, before: applied, actions, isOurs, isNode }
      const { level, message } = ReconcileLog.describe(reconciliation)
      yield* Effect.logWithLevel(level)(message)
      for (const line of ReconcileLog.notices(actions)) yield* Effect.logWarning(line)
    }
    yield* performAll(actions)
    reconciliations++
    yield* Deferred.succeed(ready, undefined)
  })

  /** Starts the cameras of shards that were gained before their rows were read. */
  const startArrivals = Effect.fnUntraced(function* (
    { shards }: CameraSet,
    arrivals: ReadonlyArray<Action>
  ) {
    if (arrivals.length > 0) yield* countMoves(arrivals.length, 0)
    for (const isHandOver of [true, false]) {
      yield* performAll(
        arrivals.filter(
          (action) =>
            action._tag !== "Stop" && arriving.get(shardOf(action.camera.id)) === isHandOver
        ),
        isHandOver
      )
    }
    for (const shard of arriving.keys()) if (shards?.has(shard) !== false) arriving.delete(shard)
  })

  /** The ids of all applied or desired cameras, by shard. Built when a shard moves. */
  let byShard: Map<number, Set<CameraId>> | undefined
  const indexByShard = (cameras: CameraSet["cameras"]) => {
    const index = new Map<number, Set<CameraId>>()
    for (const ids of [cameras.keys(), applied.keys()]) {
      for (const id of ids) {
        const shard = shardOf(id)
        const inShard = index.get(shard)
        if (inShard === undefined) index.set(shard, new Set([id]))
        else inShard.add(id)
      }
    }
    return index
  }

  const moveLog = yield* FiberHandle.make()
  let moves = { gained: 0, lost: 0 }

  /** One line for a whole move, which takes many small steps. */
  const logMoves = Effect.suspend(() => {
    const { gained, lost } = moves
    moves = { gained: 0, lost: 0 }
    return gained + lost === 0
      ? Effect.void
      : Effect.logInfo(
          `cameras moved: ${gained} to this daemon, ${lost} to others; relaying ${applied.size}${latest === undefined || latest.shards !== undefined ? "" : ` of ${latest.cameras.size}`}`
        )
  })

  const countMoves = (gained: number, lost: number) =>
    Effect.suspend(() => {
      moves = { gained: moves.gained + gained, lost: moves.lost + lost }
      return FiberHandle.run(moveLog, Effect.delay(logMoves, moveLogDelay))
    })

  /** Starts and stops the cameras of gained and lost shards. Processes only these shards, not the whole table. */
  const reconcileShards = Effect.fn("Supervisor.reconcileShards")(function* (
    { cameras, shards: known }: CameraSet,
    shards: ReadonlyArray<number>,
    isHandOver: boolean
  ) {
    byShard ??= indexByShard(cameras)
    const index = byShard
    const ids = shards.flatMap((shard) => [...(index.get(shard) ?? [])])
    const all = diffOwnership(ids, applied, cameras, isOurs)
    // the rows of a gained shard are read after the gain: the known rows may be outdated
    const actions = known === undefined ? all : all.filter(({ _tag }) => _tag === "Stop")
    const ours = known === undefined ? undefined : ownership.shards?.ours()
    for (const shard of shards) {
      if (ours?.has(shard) === true) arriving.set(shard, isHandOver)
      else arriving.delete(shard)
    }
    if (actions.length === 0) return
    const lost = actions.filter(({ _tag }) => _tag === "Stop").length
    yield* performAll(actions, isHandOver)
    yield* countMoves(actions.length - lost, lost)
  })

  /** Done when all current fibers of the cameras in these shards have ended. */
  const awaitEnds = (shards: Iterable<number>) =>
    Fiber.awaitAll(Array.from(shards, (shard) => [...(shardFibers.get(shard) ?? [])]).flat())

  yield* Effect.addFinalizer(() => {
    isClosing = true
    return Effect.logInfo(`stopping all ${applied.size} cameras`).pipe(
      Effect.when(Effect.sync(() => applied.size > 0)),
      Effect.annotateLogs("module", "supervisor")
    )
  })

  const lock = Semaphore.makeUnsafe(1)
  let isOwnershipKnown = false

  /** Applies the latest set, once it is known which of its cameras are ours. */
  const reconcileLatest = lock.withPermit(
    Effect.suspend(() =>
      latest === undefined || !isOwnershipKnown || isClosing
        ? Effect.void
        : catchDefect(
            Effect.trackDuration(reconcile(latest), Metrics.reconcileDuration, Duration.toSeconds)
          )
    )
  )

  /** Applies a change of the ownership: only to the changed shards, once the first set was applied. */
  const follow = Effect.fnUntraced(function* ({
    isHandOver = false,
    settled,
    shards
  }: OwnershipChange) {
    isOwnershipKnown = true
    yield* shards === undefined || reconciliations === 0
      ? reconcileLatest
      : lock.withPermit(
          Effect.suspend(() =>
            latest === undefined || isClosing
              ? Effect.void
              : catchDefect(reconcileShards(latest, shards, isHandOver))
          )
        )
    if (settled === undefined) return
    yield* Effect.forkIn(
      Effect.andThen(awaitEnds(shards ?? [...shardFibers.keys()]), settled),
      followScope
    )
  })

  yield* ownership.changes.pipe(
    Stream.runForEach(follow),
    Effect.annotateLogs("module", "supervisor"),
    Effect.forkIn(followScope)
  )

  const loop = yield* Stream.suspend(() => desired.changes).pipe(
    Stream.runForEach((set) =>
      Effect.suspend(() => {
        latest = set
        return reconcileLatest
      })
    ),
    Effect.andThen(Effect.die(new Error("the stream of desired cameras ended"))),
    // without this loop all later changes of the table would be ignored
    Effect.catchCause((cause) =>
      Effect.logError(
        `camera source ended unexpectedly; resubscribing in ${Duration.format(resubscribeDelay)}`,
        cause
      )
    ),
    Effect.andThen(Effect.sleep(resubscribeDelay)),
    Effect.forever,
    Effect.annotateLogs("module", "supervisor"),
    Effect.forkScoped
  )

  return Supervisor.of({
    ready: Deferred.await(ready),
    reconciliations: Effect.sync(() => reconciliations),
    heartbeat: Effect.suspend(() =>
      loop.pollUnsafe() === undefined ? lock.withPermit(Effect.void) : Effect.never
    ),
    send: (id, command) =>
      Effect.suspend(() => {
        const addressed = [...actors].filter(([key]) => {
          const camera = applied.get(key)
          const isSubstream = camera?._tag === "Camera" && camera.substream?.of === id
          return key === id || isSubstream
        })
        return Effect.as(
          Effect.forEach(addressed, ([, actor]) => actor.send(command), { discard: true }),
          addressed.length > 0
        )
      })
  })
})

/** The mean time between the starts of cameras that another daemon has handed over. */
const handOverSpacing = Duration.millis(1)

/** A limiter for a camera that was handed over: its first start is faster than later starts. */
const handOverOnce = (
  first: StartRateLimiter.StartRateLimiter,
  later: StartRateLimiter.StartRateLimiter
): StartRateLimiter.StartRateLimiter => {
  let isFirst = true
  return {
    acquire: Effect.suspend(() => {
      const { acquire } = isFirst ? first : later
      isFirst = false
      return acquire
    })
  }
}

/** The time without further moves before a move is logged. */
const moveLogDelay = Duration.seconds(1)

/** A relay that takes longer to end is reported, and again after each further period. */
const slowEnd = Duration.seconds(15)

/** The delay before the loop resubscribes after the stream of desired cameras has ended. */
const resubscribeDelay = Duration.seconds(10)

/** Runs an effect and returns whether it succeeded. A defect is logged. */
const catchDefect = (effect: Effect.Effect<void>): Effect.Effect<boolean> =>
  effect.pipe(
    Effect.as(true),
    Effect.catchCause((cause) => Effect.as(Effect.logError("internal error", cause), false))
  )
