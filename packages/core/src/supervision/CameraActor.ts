/**
 * One camera: retries opening its stream until that succeeds, publishes it until the relay ends, and starts over.
 *
 * One fiber per camera runs this for ever. Interrupting the fiber ends the relay and waits for its end. A failure of
 * one camera affects no other camera.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Settings } from "@restream/config"
import type { Camera } from "../camera/Camera.ts"
import { cameraLabel } from "../camera/CameraNames.ts"
import { InternalError, type Reason, ServerRejected } from "../camera/Reason.ts"
import { Ownership } from "../cluster/Ownership.ts"
import { ProbeError } from "../engine/CameraStream.ts"
import { RelayError } from "../engine/RunningRelay.ts"
import { DesiredCameras } from "../desired/DesiredCameras.ts"
import type { StreamInfo } from "../engine/StreamInfo.ts"
import { MediaServers } from "../media-server/MediaServers.ts"
import { userAgentOf } from "../media-server/ServerPaths.ts"
import {
  isHeldByGuard,
  type OpenedStream,
  type OpenHooks,
  ProbeScheduler
} from "../probing/ProbeScheduler.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import type { CameraState } from "../status/CameraState.ts"
import * as Incidents from "../status/Incidents.ts"
import { StatusStore } from "../status/StatusStore.ts"
import * as Monotonic from "../time/Monotonic.ts"
import { AddressChoice } from "./AddressChoice.ts"
import * as RestartSchedule from "./RestartSchedule.ts"
import * as RetrySchedule from "./RetrySchedule.ts"
import type { StartRateLimiter } from "./StartRateLimiter.ts"

/**
 * The commands of an operator to a camera.
 *
 * - `RetryNow`: ends the delay before the next attempt. Refused credentials are tried once more.
 * - `Restart`: ends the relay, if one runs, and starts at once.
 * - `Stop`: ends the relay, and waits for `RetryNow`, `Restart` or a change of the row.
 */
export type Command = "RetryNow" | "Restart" | "Stop"

export interface CameraActor {
  /** Runs the camera for ever. */
  readonly run: Effect.Effect<void>
  /** Puts a command into the mailbox. */
  readonly send: (command: Command) => Effect.Effect<void>
}

const retryPolicy = ({ probe, relay }: Settings): RetrySchedule.RetryPolicy => ({
  delays: probe.retryDelays,
  jitter: probe.jitter,
  lockoutDelay: probe.lockoutDelay,
  rejectedDelay: relay.rejectedDelay
})

const restartPolicy = ({ probe, relay }: Settings): RestartSchedule.RestartPolicy => ({
  delay: relay.restartDelay,
  backoff: relay.restartBackoff,
  maxDelay: relay.restartMaxDelay,
  lockoutDelay: probe.lockoutDelay,
  rejectedDelay: relay.rejectedDelay
})

/** Makes the actor of a camera, with an empty mailbox. */
export const make = Effect.fnUntraced(function* (
  camera: Camera,
  startRateLimiter: StartRateLimiter
): Effect.fn.Return<
  CameraActor,
  never,
  DesiredCameras | LiveSettings | MediaServers | ProbeScheduler | StatusStore
> {
  const mailbox = yield* Queue.unbounded<Command>()
  const services = yield* Effect.context<
    DesiredCameras | LiveSettings | MediaServers | ProbeScheduler | StatusStore
  >()
  return {
    run: run(camera, startRateLimiter, mailbox).pipe(Effect.provideContext(services)),
    send: (command) => Effect.asVoid(Queue.offer(mailbox, command))
  }
})

const run = Effect.fnUntraced(function* (
  row: Camera,
  startRateLimiter: StartRateLimiter,
  mailbox: Queue.Queue<Command>
) {
  const server = yield* (yield* MediaServers).get(row.mediaServer)
  const { health: mediaServer, paths: serverPaths } = server
  const desired = yield* DesiredCameras
  const status = yield* StatusStore
  const { access: accessOf } = yield* ProbeScheduler
  const { id } = row
  const rowId = row.substream?.of ?? id
  const candidates = yield* Effect.forEach([row.url, ...(row.backups ?? [])], (url, index) => {
    const camera = index === 0 ? row : { ...row, url }
    return Effect.map(accessOf(camera), (access) => ({ access, camera }))
  })
  const choice = new AddressChoice(candidates.length)
  /** The failed addresses, so that each is reported once. */
  const incidents = new Incidents.Incidents<number>()
  /** The camera with the address in use, and its access. */
  const inUse = () => candidates[choice.index]!
  const ownership = yield* Ownership
  const settings = SubscriptionRef.get(yield* LiveSettings)
  const destination = mediaServer.destination(row.path)
  const transition = (state: CameraState) =>
    Effect.suspend(() => status.transition(inUse().camera, state))
  const retryRequested = Latch.makeUnsafe(false)
  /** The reason why the last relay ended. */
  let lastEnd: Reason | undefined
  /** The tracks of the previous relay. */
  let publishedTracks: string | undefined
  /** Whether a leftover publisher was ended since the camera was last live. */
  let hasClearedPath = false
  /** Whether the camera waited for the media server since its last relay ended. */
  let sawOutage = false

  const isServerUp = Effect.map(mediaServer.status, ({ _tag }) => _tag === "Up")
  /** Whether the media server is reachable and this daemon may relay the camera. */
  const isReady = Effect.map(isServerUp, (isUp) => isUp && ownership.mayStart(rowId, lastEnd))

  const awaitMediaServer = Effect.gen(function* () {
    const { _tag } = yield* mediaServer.status
    if (_tag === "Up") return
    if (_tag === "Down") sawOutage = true
    yield* transition({ _tag: "Waiting", for: "media server" })
    yield* mediaServer.awaitUp
  })

  /** Waits while another daemon may relay the camera, without a connection to the camera. */
  const awaitPermit = Effect.suspend(() =>
    ownership.mayStart(rowId, lastEnd)
      ? Effect.void
      : Effect.andThen(
          transition({ _tag: "Waiting", for: "ownership" }),
          ownership.permit(rowId, lastEnd)
        )
  )

  /**
   * Enters a state, and waits until the delay is over or an operator requests the next attempt. Requests before the
   * state is visible do not count.
   */
  const waitIn = (state: Effect.Effect<void>, delay: Duration.Duration) =>
    retryRequested.close.pipe(
      Effect.andThen(state),
      Effect.andThen(Effect.timeoutOption(retryRequested.await, delay)),
      Effect.asVoid
    )

  const hooks = (attempt: number): OpenHooks => ({
    // The permit to start is acquired first, so that the relay can start as soon as the camera responds: an idle
    // connection takes one of the few that a camera serves, and may be closed.
    awaitReady: awaitMediaServer.pipe(
      Effect.andThen(awaitPermit),
      Effect.andThen(startRateLimiter.acquire)
    ),
    isReady,
    onQueued: transition({ _tag: "Waiting", for: "turn" }),
    onFull: transition({ _tag: "Waiting", for: "session" }),
    onBlocked: ({ reason, until }) =>
      choice.mayMoveOn
        ? Effect.fail(new ProbeError({ reason }))
        : transition({ _tag: "Unreachable", reason, attempt: attempt - 1, retryAt: until }),
    onConnecting: transition({ _tag: "Probing", attempt })
  })

  const address = (index: number) =>
    `address ${index + 1} of ${candidates.length} (${candidates[index]?.camera.url.authority})`
  /** Logs a change of the address in use; above `debug` only if the change is to be reported. */
  const logAddress = Effect.fnUntraced(function* (
    level: "Info" | "Warn",
    line: string,
    notice: Incidents.Notice | undefined
  ) {
    yield* Effect.logWithLevel(notice === undefined ? "Debug" : level)(
      `${cameraLabel(row)}: ${line}${Incidents.suffixOf(notice)}`
    ).pipe(Effect.annotateLogs({ module: "camera", camera: id }))
  })

  /** Counts a failure of the address in use. `true`: the next address is used now. */
  const countFailure = Effect.fnUntraced(function* (reason: Reason) {
    const { probe } = yield* settings
    const before = choice.index
    if (!choice.failed(probe.failoverAfter, isHeldByGuard(reason))) return false
    const notice = incidents.failed(before, "address", yield* Monotonic.now)
    const line = `${address(before)}: ${reason.message}; using ${address(choice.index)}`
    yield* logAddress("Warn", line, notice)
    return true
  })

  /** Opens the stream, with retries until that succeeds. */
  const open: Effect.Effect<OpenedStream, never, Scope.Scope> = Effect.gen(function* () {
    const nextDelay = yield* RetrySchedule.make(Effect.map(settings, retryPolicy))
    for (let attempt = 1; ; attempt++) {
      const opened = yield* Effect.result(inUse().access.open(hooks(attempt)))
      if (opened._tag === "Success") return opened.success
      const { reason } = opened.failure
      // after the last address the first is tried again, with the delay of an unreachable camera
      const isNext = (yield* countFailure(reason)) && choice.index > 0
      // after a refusal the guard decides when to retry
      if (!isHeldByGuard(reason) && !isNext) {
        const delay = yield* nextDelay({ reason })
        const retryAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(delay)
        yield* waitIn(transition({ _tag: "Unreachable", reason, attempt, retryAt }), delay)
      }
      yield* inUse().access.reset
    }
  })

  /**
   * Done with the index of a preferred address when that address has responded for a while; never, while the first
   * address is in use. Preferred addresses are probed while the relay continues.
   */
  const awaitPreferred: Effect.Effect<number> = Effect.gen(function* () {
    if (choice.index === 0) return yield* Effect.never
    const respondingSince = new Map<number, number>()
    for (;;) {
      const { probe } = yield* settings
      const after = Duration.toMillis(probe.failbackAfter)
      const retry = probe.retryDelays.at(-1) ?? Duration.seconds(30)
      yield* Effect.sleep(respondingSince.size > 0 ? Duration.millis(after / 3) : retry)
      for (const [index, { access }] of candidates.slice(0, choice.index).entries()) {
        yield* access.reset
        const opened = yield* Effect.result(Effect.scoped(access.open(probeHooks)))
        if (opened._tag === "Failure") {
          respondingSince.delete(index)
          continue
        }
        const now = yield* Monotonic.now
        const since = respondingSince.get(index) ?? now
        respondingSince.set(index, since)
        if (now - since >= after) return index
        break
      }
    }
  })

  /**
   * Publishes the stream until the relay has ended, with its process and its connections. `undefined`: the relay was
   * ended because a preferred address responds again.
   */
  const publish = Effect.fnUntraced(function* ({ engine, hasFallback, stream }: OpenedStream) {
    yield* transition({ _tag: "Starting", engine })
    const relay = yield* Effect.withSpan(
      stream.publish({
        destination,
        hasFallback,
        server: { trust: server.trust, check: mediaServer.checkNow },
        userAgent: userAgent()
      }),
      "CameraStream.publish",
      { attributes: { camera: id, engine } }
    )
    yield* inUse().access.onStarted
    yield* status.attachRelay(id, relay)
    yield* Effect.raceFirst(relay.flowing, relay.ended)
    yield* inUse().access.onFlowing
    const since = yield* Clock.currentTimeMillis
    for (const notice of relay.notices) {
      yield* Effect.logWarning(`${cameraLabel(row)}: ${notice}`).pipe(
        Effect.annotateLogs({ module: "engine", camera: id })
      )
    }
    const tracks = codecsOf(relay.published)
    if (publishedTracks !== undefined && tracks !== publishedTracks) {
      yield* Effect.logInfo(
        `${cameraLabel(row)}: tracks changed from ${publishedTracks} to ${tracks}; readers must reconnect`
      ).pipe(Effect.annotateLogs({ module: "engine", camera: id }))
    }
    publishedTracks = tracks
    hasClearedPath = false
    yield* transition({ _tag: "Live", engine, offer: relay.published, since })
    incidents.succeeded(choice.index, yield* Monotonic.now)
    yield* Effect.forkScoped(Effect.delay(status.markStable(id), RestartSchedule.resetUptime))
    // by the monotonic clock, because the wall clock may be set
    const [uptime, end] = yield* Effect.timed(
      Effect.raceAllFirst([
        Effect.flip(relay.ended),
        awaitPreferred,
        Effect.map(serverPaths.offline(row.path), (reason) => new RelayError({ reason }))
      ])
    )
    if (typeof end !== "number") return { error: end, uptime }
    const { probe } = yield* settings
    const before = choice.index
    choice.goBack(end, probe.failoverAfter)
    const notice = incidents.succeeded(end, yield* Monotonic.now)
    const line = `${address(end)} answers again; using it instead of ${address(before)}`
    yield* logAddress("Info", line, notice)
    return undefined
  }, Effect.scoped)

  /** Opens and publishes the stream until the relay has ended; `undefined`: start over at once. */
  const attempt: Effect.Effect<RestartSchedule.RelayEnd | undefined> = Effect.gen(function* () {
    const opened = yield* open
    // The media server or the permit may have been lost during the opening. Then the stream is closed, and opened
    // again when they are available.
    if (!(yield* isReady)) return undefined
    const end = yield* publish(opened).pipe(
      Effect.catch((error) => Effect.succeed({ error, uptime: Duration.zero }))
    )
    if (end === undefined) return undefined
    const { error, uptime } = yield* clearPath(end)
    if (error === undefined) return undefined
    const next = yield* inUse().access.onRelayFailure(error.reason)
    if (next._tag === "GiveUp" && !blamesServer(next.reason)) {
      if (Duration.isGreaterThanOrEqualTo(uptime, RestartSchedule.resetUptime)) choice.worked()
      yield* countFailure(next.reason)
    }
    // after a refusal the guard decides when to retry
    return next._tag === "TryNext" || isHeldByGuard(next.reason)
      ? undefined
      : { reason: next.reason, uptime, afterOutage: sawOutage }
  }).pipe(Effect.scoped)

  const publisherName = () => ownership.publisher?.(rowId)
  const userAgent = () => {
    const name = publisherName()
    return name === undefined ? undefined : userAgentOf(name)
  }

  /**
   * Finds the publisher on the path after the media server rejected the stream. A leftover publisher of ours is ended,
   * at most once until the camera is live again; then the result has no error.
   */
  const clearPath = Effect.fnUntraced(function* (end: {
    readonly error: RelayError
    readonly uptime: Duration.Duration
  }) {
    const { reason } = end.error
    if (reason._tag !== "ServerRejected" || reason.status !== 400) return end
    const name = hasClearedPath ? undefined : publisherName()
    const holder = yield* serverPaths.clear(row.path, name)
    if (holder === undefined) return end
    if (holder._tag === "Other") {
      const rejected = new ServerRejected({ ...reason, publisher: holder.description })
      return { ...end, error: new RelayError({ reason: rejected }) }
    }
    hasClearedPath = true
    yield* Effect.logInfo(
      `${cameraLabel(row)}: ended the publisher on path ${row.path} that an earlier daemon left over; publishing at once`
    ).pipe(Effect.annotateLogs({ module: "camera", camera: id }))
    return { ...end, error: undefined }
  })

  const relayUntilItEnds = Effect.suspend(() => {
    sawOutage = false
    return Effect.andThen(
      Effect.suspend(() => inUse().access.reset),
      Effect.repeat(attempt, { until: hasEnded })
    )
  }).pipe(
    // a defect ends only this relay
    Effect.catchCause((cause) =>
      Effect.as(logDefect(row, cause), {
        reason: new InternalError(),
        uptime: Duration.zero,
        afterOutage: false
      })
    )
  )

  const restartDelay = yield* RestartSchedule.make(Effect.map(settings, restartPolicy))

  /** Relays, and restarts after a delay. */
  const cycle = Effect.gen(function* () {
    const end = yield* relayUntilItEnds
    lastEnd = end.reason
    const delay = yield* restartDelay(end)
    const at = (yield* Clock.currentTimeMillis) + Duration.toMillis(delay)
    const restarting = Effect.gen(function* () {
      yield* transition({ _tag: "Restarting", reason: end.reason, at })
      if (blamesMediaServer(end.reason)) yield* mediaServer.reportFailure
      // If the camera is no longer in the table, the supervisor interrupts this fiber. The query runs during the
      // delay, so that a source that does not respond delays no restart.
      yield* Effect.forkChild(desired.refresh)
    })
    yield* waitIn(restarting, delay)
  }).pipe(
    // a defect between two relays must not end the camera
    Effect.catchCause((cause) => Effect.andThen(logDefect(row, cause), Effect.sleep(defectDelay))),
    Effect.forever
  )

  /** Serves `RetryNow`; done with the first command that ends the relay. */
  const interruption = Effect.repeat(
    Effect.tap(Queue.take(mailbox), (command) =>
      command === "RetryNow"
        ? Effect.andThen(inUse().access.tryNow, retryRequested.open)
        : Effect.void
    ),
    { until: (command) => command !== "RetryNow" }
  )

  return yield* Effect.raceFirst(cycle, interruption).pipe(
    Effect.flatMap((command) =>
      command === "Stop"
        ? transition({ _tag: "Waiting", for: "operator" }).pipe(
            Effect.andThen(Effect.repeat(Queue.take(mailbox), { until: (next) => next !== "Stop" }))
          )
        : Effect.void
    ),
    Effect.forever
  )
}, Effect.scoped)

/** Whether the relay has ended and is restarted after a delay. */
const hasEnded = (end: RestartSchedule.RelayEnd | undefined): end is RestartSchedule.RelayEnd =>
  end !== undefined

/** The codecs that readers depend on. */
const codecsOf = ({ audio, video }: StreamInfo): string =>
  audio === undefined ? video.codec : `${video.codec} + ${audio.codec}`

/** The delay before a camera continues after a defect outside of its schedules. */
const defectDelay = Duration.seconds(10)

const logDefect = (camera: Camera, cause: Cause.Cause<unknown>) =>
  Effect.logError(`${cameraLabel(camera)}: internal error`, cause).pipe(
    Effect.annotateLogs({ module: "camera", camera: camera.id })
  )

const blamesMediaServer = (reason: Reason): boolean =>
  reason._tag === "ServerGone" || (reason._tag === "Stalled" && reason.side === "output")

/** Whether a relay ended for a reason that another address of the camera cannot resolve. */
const blamesServer = (reason: Reason): boolean =>
  blamesMediaServer(reason) ||
  ["ServerUnauthorized", "ServerRejected", "PublisherReplaced", "PathOffline"].includes(reason._tag)

/** For a probe while the relay continues: enters no state, and does not wait for the lockout of another camera. */
const probeHooks: OpenHooks = {
  awaitReady: Effect.void,
  isReady: Effect.succeed(true),
  onQueued: Effect.void,
  onFull: Effect.void,
  onBlocked: ({ reason }) => Effect.fail(new ProbeError({ reason })),
  onConnecting: Effect.void
}
