/**
 * The whole tree, from settings.
 *
 * ```ts
 * import { NodeRuntime, NodeServices } from "@effect/platform-node"
 * import { MemoryCameraSource, Restream } from "@restream/core"
 * import { defaultSettings } from "@restream/config"
 * import { Layer } from "effect"
 *
 * const cameras = MemoryCameraSource.layer([{ id: 1, url: "rtsp://10.0.0.5/live" }])
 *
 * Restream.layer(defaultSettings).pipe(
 *   Layer.provide(cameras),
 *   Layer.provide(NodeServices.layer),
 *   Layer.launch,
 *   NodeRuntime.runMain
 * )
 * ```
 */
import type { PgClient } from "@effect/sql-pg/PgClient"
import { parseTableName, type Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { CameraType } from "./camera-type/CameraType.ts"
import { CameraTypes } from "./camera-type/CameraTypes.ts"
import * as UrlTemplate from "./camera-type/UrlTemplate.ts"
import * as Roster from "./source/Roster.ts"
import { StreamUrl } from "./camera/StreamUrl.ts"
import { Engines } from "./engine/Engines.ts"
import * as FollowingEngine from "./engine/FollowingEngine.ts"
import * as FfmpegEngine from "./engine/ffmpeg/FfmpegEngine.ts"
import * as NativeEngine from "./engine/native/NativeEngine.ts"
import { MediaServer } from "./media-server/MediaServer.ts"
import { rtspCheck } from "./media-server/RtspCheck.ts"
import * as ProbeLimiter from "./probing/ProbeLimiter.ts"
import * as StartRateLimiter from "./supervision/StartRateLimiter.ts"
import { trustOf } from "./rtsp/client/Dialer.ts"
import type { CameraSource } from "./source/CameraSource.ts"
import * as CameraTable from "./source/CameraTable.ts"
import * as PgCameraSource from "./source/PgCameraSource.ts"
import * as Metrics from "./status/Metrics.ts"
import * as StatusLog from "./status/StatusLog.ts"
import { StatusStore } from "./status/StatusStore.ts"
import { Supervisor } from "./supervision/Supervisor.ts"

/**
 * Settings, or a function that gives those in force now. With a function the tree follows changes: most
 * are read where they are used, and after one `Supervisor.reread` applies what makes other cameras of the
 * same rows. A setting whose `appliedBy` is `restart` is read once.
 */
export type SettingsInForce = Settings | (() => Settings)

const reader = (settings: SettingsInForce): (() => Settings) =>
  typeof settings === "function" ? settings : () => settings

/**
 * Relays the cameras of the source in context, for as long as the layer lives. Closing it ends every
 * relay and waits for their ends.
 *
 * @param types camera types besides the built-in ones and the settings' templates.
 */
export const layer = (
  settings: SettingsInForce,
  types: Iterable<CameraType> = []
): Layer.Layer<Supervisor | StatusStore | MediaServer, never, CameraSource | ChildProcessSpawner> =>
  supervisor(settings).pipe(
    Layer.provideMerge(
      Layer.merge(StatusLog.layer, Metrics.layer).pipe(Layer.provideMerge(StatusStore.layer))
    ),
    Layer.provide(
      Layer.unwrap(Effect.map(MediaServer, ({ checkNow }) => engines(settings, checkNow)))
    ),
    Layer.provideMerge(mediaServer(settings)),
    Layer.provide(cameraTypes(settings, types))
  )

/** The cameras of the settings' table or query, read with the client in context. */
export const cameraTable = (
  settings: SettingsInForce
): Layer.Layer<CameraSource, never, PgClient> => {
  const now = reader(settings)
  const { channel, listen } = now().database
  return PgCameraSource.layer({
    query: cameraQuery(now()),
    channel: listen ? channel : undefined,
    get pollInterval() {
      return now().database.pollInterval
    },
    get queryTimeout() {
      return now().database.queryTimeout
    }
  })
}

/** The SELECT that gives all rows. */
export const cameraQuery = ({ database }: Settings): string => {
  const table = parseTableName(database.table)
  // an embedding program may pass a name that is not valid: it is quoted as one identifier
  return (
    database.query ?? CameraTable.selectAll(table ?? { schema: undefined, name: database.table })
  )
}

/** Reads rows as the tree would: for those who look at cameras without relaying them. */
export const readRoster = (
  settings: Settings,
  types: Iterable<CameraType>,
  rows: ReadonlyArray<Roster.CameraRow>
): Roster.Roster =>
  Roster.makeReader({
    types: CameraTypes.make(allTypes(settings, types)),
    ...rosterOptions(settings)
  })(rows)

const rosterOptions = ({ camera, mediaServer }: Settings) => ({
  pathTemplate: mediaServer.pathTemplate,
  defaults: { ...camera, fingerprint: undefined }
})

/** What a program adds beside the settings' templates. */
const allTypes = (settings: Settings, types: Iterable<CameraType>): ReadonlyArray<CameraType> => [
  ...types,
  ...Object.entries(settings.cameraTypes).map(([name, template]) =>
    UrlTemplate.cameraType(name, template)
  )
]

/** Made anew only after the settings have changed. */
const whenChanged = <A>(now: () => Settings, make: (settings: Settings) => A): (() => A) => {
  let made: { readonly settings: Settings; readonly value: A } | undefined
  return () => {
    const settings = now()
    if (made?.settings !== settings) made = { settings, value: make(settings) }
    return made.value
  }
}

/** The built-in camera types, the settings' templates, and those given. */
export const cameraTypes = (
  settings: SettingsInForce,
  types: Iterable<CameraType> = []
): Layer.Layer<CameraTypes> => {
  const given = [...types]
  return Layer.succeed(
    CameraTypes,
    CameraTypes.following(
      whenChanged(reader(settings), (now) => CameraTypes.make(allTypes(now, given)))
    )
  )
}

/** The media server of the settings, and the watch over it. */
export const mediaServer = (settings: SettingsInForce): Layer.Layer<MediaServer> => {
  const now = reader(settings)
  const server = now().mediaServer
  const address = new StreamUrl({
    scheme: server.scheme,
    host: server.host,
    port: server.port,
    username: server.username,
    password: server.password
  })
  return Layer.effect(
    MediaServer,
    MediaServer.make({
      address,
      check: rtspCheck(address, trustOf(server)),
      get checkInterval() {
        return now().mediaServer.checkInterval
      },
      get checkTimeout() {
        return now().mediaServer.checkTimeout
      }
    })
  )
}

/**
 * The engines, by the settings. `auto` tries them in order.
 *
 * @param checkServer tells a stalled relay whether the media server is to blame.
 */
export const engines = (
  settings: SettingsInForce,
  checkServer: Effect.Effect<boolean>
): Layer.Layer<Engines, never, ChildProcessSpawner> =>
  Layer.effect(
    Engines,
    Effect.gen(function* () {
      const services = yield* Effect.context<ChildProcessSpawner>()
      const now = reader(settings)
      const ffmpeg = whenChanged(now, (settings) =>
        Effect.runSyncWith(services)(
          FfmpegEngine.make({
            ffmpegPath: settings.ffmpeg.path,
            ffprobePath: settings.ffmpeg.ffprobePath,
            openTimeout: settings.probe.timeout,
            stallTimeout: settings.relay.stallTimeout,
            killGrace: settings.relay.killGrace,
            serverTrust: trustOf(settings.mediaServer),
            checkServer
          })
        )
      )
      const native = whenChanged(now, (settings) =>
        NativeEngine.make({
          openTimeout: settings.probe.timeout,
          stallTimeout: settings.relay.stallTimeout,
          serverTrust: trustOf(settings.mediaServer),
          checkServer
        })
      )
      return Engines.make([
        FollowingEngine.make("native", native),
        FollowingEngine.make("ffmpeg", ffmpeg)
      ])
    })
  )

/**
 * The supervisor, by the settings. Its policies are views of the settings in force: the schedules read them
 * at each step.
 */
export const supervisor = (settings: SettingsInForce) => {
  const now = reader(settings)
  return Supervisor.layer({
    get pathTemplate() {
      return rosterOptions(now()).pathTemplate
    },
    get defaults() {
      return rosterOptions(now()).defaults
    },
    retry: {
      get delays() {
        return now().probe.retryDelays
      },
      get jitter() {
        return now().probe.jitter
      },
      get lockoutDelay() {
        return now().probe.lockoutDelay
      },
      get rejectedDelay() {
        return now().relay.rejectedDelay
      }
    },
    restart: {
      get delay() {
        return now().relay.restartDelay
      },
      get backoff() {
        return now().relay.restartBackoff
      },
      get maxDelay() {
        return now().relay.restartMaxDelay
      },
      get lockoutDelay() {
        return now().probe.lockoutDelay
      },
      get rejectedDelay() {
        return now().relay.rejectedDelay
      }
    },
    probeLimiter: ProbeLimiter.make({
      get concurrency() {
        return now().probe.concurrency
      },
      get perHost() {
        return now().probe.perHost
      }
    }),
    startRateLimiter: StartRateLimiter.make(() => now().relay.startSpacing)
  })
}
