/** The tree over a real database, with an engine that needs no cameras. */
import { NodeServices } from "@effect/platform-node"
import { databaseLayer } from "@restream/cli/demo"
import { requireDsn, type Settings } from "@restream/config"
import {
  CameraTypes,
  DesiredCameras,
  Engines,
  LiveSettings,
  MediaServer,
  MediaServers,
  ProbeScheduler,
  Restream,
  StatusLog,
  StatusStore,
  Supervisor
} from "@restream/core"
import { StreamUrl } from "@restream/core/rtsp"
import { Context, Effect, Layer, Result, type Scope } from "effect"
import * as FakeEngine from "../kit/FakeEngine.ts"
import * as Log from "../kit/Log.ts"
import * as Tree from "../kit/Tree.ts"

/** The tree over rows of a real database, with an engine that is quick: for what many rows cost. */
export const make = Effect.fnUntraced(function* (settings: Settings): Effect.fn.Return<
  {
    readonly fake: FakeEngine.FakeEngine
    readonly log: Log.Log
    readonly status: StatusStore["Service"]
    readonly awaitLive: (live: number) => Effect.Effect<void>
  },
  never,
  Scope.Scope
> {
  const fake = FakeEngine.make()
  const log = Log.make()
  const tree = Supervisor.layer.pipe(
    Layer.provideMerge(Layer.provideMerge(StatusLog.layer, StatusStore.layer)),
    Layer.provide(ProbeScheduler.layer),
    Layer.provide(DesiredCameras.layer),
    Layer.provide(CameraTypes.layer()),
    Layer.provide(Engines.layer([fake.engine])),
    Layer.provide(LiveSettings.layer({ ...Tree.settings, supervisor: settings.supervisor })),
    Layer.provide(MediaServers.layerOne),
    Layer.provide(
      Layer.effect(
        MediaServer,
        MediaServer.make({
          address: new StreamUrl({ scheme: "rtsp", host: "127.0.0.1" }),
          check: Effect.void
        })
      )
    ),
    Layer.provide(Restream.cameraTable(settings, [])),
    Layer.provide(databaseLayer(Result.getOrThrow(requireDsn(settings)), settings.database)),
    Layer.provide(NodeServices.layer),
    Layer.orDie
  )
  const status = Context.get(yield* log.capture(Layer.build(tree)), StatusStore)
  return {
    fake,
    log,
    status,
    awaitLive: (live) =>
      Effect.asVoid(
        Effect.repeat(Effect.delay(status.countByState, "5 millis"), {
          until: (tally) => (tally.Live ?? 0) === live
        })
      )
  }
})
