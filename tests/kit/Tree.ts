/** The whole tree over fake engines and rows in memory, with virtual time. */
import { defaultSettings, type Settings } from "@restream/config"
import {
  type CameraId,
  type CameraOptions,
  type CameraRow,
  CameraSource,
  CameraTypes,
  DesiredCameras,
  Engines,
  LiveSettings,
  MediaServer,
  MediaServers,
  MediaServerError,
  MemoryCameraSource,
  ProbeScheduler,
  type RestartSchedule,
  type RetrySchedule,
  StatusLog,
  StatusStore,
  StreamUrl,
  Supervisor
} from "@restream/core"
import { Duration, Effect, Layer, SubscriptionRef } from "effect"
import type { FakeEngine } from "./FakeEngine.ts"

export const row = (id: number, more: CameraRow = {}): CameraRow => ({
  id,
  name: `Camera ${id}`,
  url: `rtsp://10.0.0.${id}/live`,
  ...more
})

/** The default settings, without what makes virtual time hard to predict: jitter and the start ramp. */
export const settings: Settings = {
  ...defaultSettings,
  probe: { ...defaultSettings.probe, jitter: 0 },
  relay: { ...defaultSettings.relay, startSpacing: Duration.zero }
}

const { camera, mediaServer, probe, relay } = settings

export const options: {
  readonly pathTemplate: string
  readonly defaults: CameraOptions
  readonly retry: RetrySchedule.RetryPolicy
  readonly restart: RestartSchedule.RestartPolicy
} = {
  pathTemplate: mediaServer.pathTemplate,
  defaults: { ...camera, fingerprint: undefined },
  retry: {
    delays: probe.retryDelays,
    jitter: probe.jitter,
    lockoutDelay: probe.lockoutDelay,
    rejectedDelay: relay.rejectedDelay
  },
  restart: {
    delay: relay.restartDelay,
    backoff: relay.restartBackoff,
    maxDelay: relay.restartMaxDelay,
    lockoutDelay: probe.lockoutDelay,
    rejectedDelay: relay.rejectedDelay
  }
}

/** Settings that differ from those of the tests in some groups. */
export interface Changed {
  readonly probe?: Partial<Settings["probe"]>
  readonly relay?: Partial<Settings["relay"]>
  readonly device?: Partial<Settings["device"]>
  /** The status store of the tree, from its own. */
  readonly status?: (own: StatusStore["Service"]) => StatusStore["Service"]
}

/** Lays settings over others; a getter stays one. */
const overlay = <A extends object>(base: A, changed: Partial<A> = {}): A =>
  Object.defineProperties({ ...base }, Object.getOwnPropertyDescriptors(changed))

/** A media server that is there until the test says otherwise. */
export interface FakeServer {
  isThere: boolean
}

export const layer = (
  engines: ReadonlyArray<FakeEngine>,
  rows: ReadonlyArray<CameraRow>,
  server: FakeServer = { isThere: true },
  changed: Changed = {},
  source: (own: CameraSource["Service"]) => CameraSource["Service"] = (own) => own
) => {
  const [first, ...rest] = engines.map(({ engine }) => engine)
  if (first === undefined) throw new Error("a tree needs an engine")
  return Supervisor.layer.pipe(
    Layer.provideMerge(
      Layer.provideMerge(
        StatusLog.layer,
        Layer.effect(StatusStore, Effect.map(StatusStore, changed.status ?? ((own) => own))).pipe(
          Layer.provide(StatusStore.layer)
        )
      )
    ),
    Layer.provide(ProbeScheduler.layer),
    Layer.provide(DesiredCameras.layer),
    Layer.provide(Layer.effect(CameraSource, Effect.map(CameraSource, source))),
    Layer.provideMerge(MemoryCameraSource.layer(rows)),
    Layer.provide(CameraTypes.layer()),
    Layer.provide(Engines.layer([first, ...rest])),
    Layer.provide(
      LiveSettings.layer({
        ...settings,
        probe: overlay(settings.probe, changed.probe),
        relay: overlay(settings.relay, changed.relay),
        device: overlay(settings.device, changed.device)
      })
    ),
    Layer.provideMerge(MediaServers.layerOne),
    Layer.provideMerge(
      Layer.effect(
        MediaServer,
        MediaServer.make({
          address: new StreamUrl({ scheme: "rtsp", host: "127.0.0.1", port: 8554 }),
          // so seldom that what a test sees comes from a camera's suspicion
          timing: Effect.succeed({ checkInterval: "1 hour" }),
          check: Effect.suspend(() =>
            server.isThere
              ? Effect.void
              : Effect.fail(new MediaServerError({ detail: "connection refused" }))
          )
        })
      )
    )
  )
}

/** Changes the rows, as if somebody had changed the table. */
export const setRows = (rows: ReadonlyArray<CameraRow>) =>
  Effect.gen(function* () {
    const ref = yield* MemoryCameraSource.CameraRows
    yield* SubscriptionRef.set(ref, rows)
  })

/** The state of a camera now. */
export const stateOf = (id: number) =>
  Effect.gen(function* () {
    const status = yield* StatusStore
    return (yield* status.get(String(id) as CameraId))?.state
  })

export const tagOf = (id: number) => Effect.map(stateOf(id), (state) => state?._tag)
