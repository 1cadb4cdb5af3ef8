/**
 * Watches the cameras, the media servers, the camera source and the cluster, and sends alerts to the webhooks of the
 * settings.
 *
 * Sends nothing when its scope closes: a daemon that stops has resolved no problem.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type * as HttpClient from "effect/http/HttpClient"
import { isInSpan, parseDailySpan, type Settings } from "@restream/config"
import type { CameraId } from "../camera/Camera.ts"
import { Ownership } from "../cluster/Ownership.ts"
import { MediaServers, viewsOf } from "../media-server/MediaServers.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { CameraSource } from "../source/CameraSource.ts"
import type { CameraStatus } from "../status/CameraStatus.ts"
import { StatusStore } from "../status/StatusStore.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as AlertState from "./AlertState.ts"
import * as Delivery from "./Delivery.ts"

/** How often the states are checked. */
const interval = "1 second"
/** How often the open alerts are sent to an Alertmanager. */
const repeatMs = 60_000

/** Watches in the scope. */
export const start: Effect.Effect<
  void,
  never,
  CameraSource | HttpClient.HttpClient | LiveSettings | MediaServers | Scope.Scope | StatusStore
> = Effect.gen(function* () {
  const store = yield* StatusStore
  const servers = yield* MediaServers
  const source = yield* CameraSource
  const live = yield* LiveSettings
  const ownership = yield* Ownership
  const delivery = yield* Delivery.make(
    Effect.map(SubscriptionRef.get(live), ({ alerts }) => alerts.webhooks)
  )
  let state = AlertState.empty
  let revision = 0
  const cameras = new Map<CameraId, CameraStatus>()
  let repeatedMs = yield* Monotonic.now

  /** Reads only changes from the store: reading all statuses of ten thousand cameras takes 50 ms. */
  const follow = Effect.gen(function* () {
    const delta = yield* store.changedSince(revision)
    revision = delta.revision
    if (delta.isComplete) cameras.clear()
    for (const id of delta.removed) cameras.delete(id)
    for (const camera of delta.cameras) cameras.set(camera.id, camera)
    // the count of restarts in the last hour decreases without a change of the store
    for (const { health, id, word } of cameras.values()) {
      if (word !== "ok" || health !== "poor") continue
      const camera = yield* store.get(id)
      if (camera !== undefined) cameras.set(id, camera)
    }
  })

  const observe = Effect.gen(function* () {
    const { alerts } = yield* SubscriptionRef.get(live)
    const mediaServers = yield* viewsOf(servers.all())
    const health = yield* source.health
    const seen = yield* store.revision
    const cluster = ownership.membership?.().problem
    const isCalm =
      seen === revision &&
      state.phases.size === 0 &&
      state.alerts.length === 0 &&
      mediaServers.every(({ status }) => status._tag !== "Down") &&
      health._tag !== "Down" &&
      cluster === undefined
    if (isCalm) return
    yield* follow
    const now = yield* Clock.currentTimeMillis
    const nowMs = yield* Monotonic.now
    const outcome = AlertState.next(state, {
      cameras: [...cameras.values()],
      mediaServers,
      source: health,
      cluster,
      now,
      nowMs,
      afterMs: Duration.toMillis(alerts.after),
      isQuiet: isQuiet(alerts, now),
      isStandby: (yield* ownership.activeDaemon) !== undefined,
      isOurs: ownership.isOurs,
      boot: store.boot,
      node: ownership.node
    })
    state = outcome.state
    yield* Effect.forEach(outcome.events, delivery.offer, { discard: true })
    if (nowMs - repeatedMs >= repeatMs) {
      repeatedMs = nowMs
      yield* delivery.repeat(AlertState.openAlerts(state))
    }
  })
  yield* observe.pipe(
    Effect.catchDefect((defect) => Effect.logError("internal error in the alerts", defect)),
    Effect.andThen(Effect.sleep(interval)),
    Effect.forever,
    Effect.annotateLogs("module", "alerts"),
    Effect.forkScoped
  )
})

/** {@link start} in the layer's scope. Provide `FetchHttpClient.layer`, or another client that follows no redirects. */
export const layer: Layer.Layer<
  never,
  never,
  CameraSource | HttpClient.HttpClient | LiveSettings | MediaServers | StatusStore
> = Layer.effectDiscard(start)

/** By the local time of this machine. */
const isQuiet = ({ quietHours }: Settings["alerts"], now: number): boolean => {
  const span = quietHours === undefined ? undefined : parseDailySpan(quietHours)
  const date = new Date(now)
  return span !== undefined && isInSpan(span, date.getHours() * 60 + date.getMinutes())
}
