/** The whole tree over fake engines and rows in memory, with virtual time. */
import {
  type CameraId,
  type CameraRow,
  CameraSource,
  CameraTypes,
  Engines,
  MediaServer,
  MediaServerError,
  MemoryCameraSource,
  ProbeLimiter,
  StartRateLimiter,
  StatusLog,
  StatusStore,
  StreamUrl,
  Supervisor,
  type SupervisorOptions
} from "@restream/core"
import { Duration, Effect, Layer, SubscriptionRef } from "effect"
import type { FakeEngine } from "./FakeEngine.ts"

export const row = (id: number, more: CameraRow = {}): CameraRow => ({
  id,
  name: `Camera ${id}`,
  url: `rtsp://10.0.0.${id}/live`,
  ...more
})

export const options: SupervisorOptions = {
  pathTemplate: "cam{id}",
  defaults: {
    engine: "auto",
    transport: "tcp",
    audio: "auto",
    wallclock: false,
    insecure: false,
    fingerprint: undefined
  },
  retry: {
    delays: [1, 2, 4, 8, 16, 30].map((seconds) => Duration.seconds(seconds)),
    jitter: 0,
    lockoutDelay: Duration.minutes(5),
    rejectedDelay: Duration.seconds(30)
  },
  restart: {
    delay: Duration.seconds(5),
    backoff: true,
    maxDelay: Duration.seconds(60),
    lockoutDelay: Duration.minutes(5),
    rejectedDelay: Duration.seconds(30)
  },
  probeLimiter: ProbeLimiter.make(),
  startRateLimiter: StartRateLimiter.make(Duration.zero)
}

/** A media server that is there until the test says otherwise. */
export interface FakeServer {
  isThere: boolean
}

export const layer = (
  engines: ReadonlyArray<FakeEngine>,
  rows: ReadonlyArray<CameraRow>,
  server: FakeServer = { isThere: true },
  more: Partial<SupervisorOptions> = {},
  source: (own: CameraSource["Service"]) => CameraSource["Service"] = (own) => own
) => {
  const [first, ...rest] = engines.map(({ engine }) => engine)
  if (first === undefined) throw new Error("a tree needs an engine")
  return Supervisor.layer({
    ...options,
    probeLimiter: ProbeLimiter.make(),
    startRateLimiter: StartRateLimiter.make(Duration.zero),
    ...more
  }).pipe(
    Layer.provide(Layer.effect(CameraSource, Effect.map(CameraSource, source))),
    Layer.provideMerge(MemoryCameraSource.layer(rows)),
    Layer.provideMerge(Layer.provideMerge(StatusLog.layer, StatusStore.layer)),
    Layer.provide(CameraTypes.layer()),
    Layer.provide(Engines.layer([first, ...rest])),
    Layer.provideMerge(
      Layer.effect(
        MediaServer,
        MediaServer.make({
          address: new StreamUrl({ scheme: "rtsp", host: "127.0.0.1", port: 8554 }),
          // so seldom that what a test sees comes from a camera's suspicion
          checkInterval: "1 hour",
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
