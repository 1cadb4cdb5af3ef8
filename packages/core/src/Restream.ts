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
import type { EngineChoice, Settings } from "@restream/config"
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { CameraType } from "./camera-type/CameraType.ts"
import { CameraTypes } from "./camera-type/CameraTypes.ts"
import * as UrlTemplate from "./camera-type/UrlTemplate.ts"
import * as Roster from "./camera/Roster.ts"
import { StreamUrl } from "./camera/StreamUrl.ts"
import { type Engine, Engines } from "./engine/Engine.ts"
import * as FfmpegEngine from "./engine/ffmpeg/FfmpegEngine.ts"
import * as NativeEngine from "./engine/native/NativeEngine.ts"
import { MediaServer } from "./media-server/MediaServer.ts"
import { rtspCheck } from "./media-server/RtspCheck.ts"
import * as ProbeLimits from "./probe/ProbeLimits.ts"
import * as StartPacing from "./relay/StartPacing.ts"
import type { Trust } from "./rtsp/client/Dialer.ts"
import type { CameraSource } from "./source/CameraSource.ts"
import * as CameraTable from "./source/CameraTable.ts"
import * as PgCameraSource from "./source/PgCameraSource.ts"
import { StatusBoard } from "./status/StatusBoard.ts"
import { Supervisor } from "./supervision/Supervisor.ts"

/**
 * Relays the cameras of the source in context, for as long as the layer lives. Closing it ends every
 * relay and waits for their ends.
 *
 * @param types camera types besides the built-in ones and the settings' templates.
 */
export const layer = (
  settings: Settings,
  types: Iterable<CameraType> = []
): Layer.Layer<Supervisor | StatusBoard | MediaServer, never, CameraSource | ChildProcessSpawner> =>
  supervisor(settings).pipe(
    Layer.provideMerge(StatusBoard.layer),
    Layer.provide(
      Layer.unwrap(Effect.map(MediaServer, ({ isAnswering }) => engines(settings, isAnswering)))
    ),
    Layer.provideMerge(mediaServer(settings)),
    Layer.provide(cameraTypes(settings, types))
  )

/** The cameras of the settings' table or query, read with the client in context. */
export const cameraTable = (settings: Settings): Layer.Layer<CameraSource, never, PgClient> =>
  PgCameraSource.layer({
    query: cameraQuery(settings),
    channel: settings.database.listen ? settings.database.channel : undefined,
    pollInterval: settings.database.pollInterval,
    queryTimeout: settings.database.queryTimeout
  })

/** The SELECT that gives all rows. */
export const cameraQuery = ({ database }: Settings): string => {
  const table = CameraTable.parseTableName(database.table)
  // the settings have checked the name; whatever they take and we don't read is one identifier
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

/** The built-in camera types, the settings' templates, and those given. */
export const cameraTypes = (
  settings: Settings,
  types: Iterable<CameraType> = []
): Layer.Layer<CameraTypes> => CameraTypes.layer(allTypes(settings, types))

/** The media server of the settings, and the watch over it. */
export const mediaServer = (settings: Settings): Layer.Layer<MediaServer> => {
  const server = settings.mediaServer
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
      checkInterval: server.checkInterval,
      checkTimeout: server.checkTimeout
    })
  )
}

const trustOf = (options: {
  readonly insecure: boolean
  readonly fingerprint: string | undefined
}): Trust => {
  if (options.fingerprint !== undefined) return { _tag: "Fingerprint", sha256: options.fingerprint }
  return options.insecure ? { _tag: "Insecure" } : { _tag: "Verify" }
}

/**
 * The engines, by the settings. `auto` tries them in order.
 *
 * @param isServerAnswering tells a stalled relay whether the media server is to blame.
 */
export const engines = (
  settings: Settings,
  isServerAnswering: Effect.Effect<boolean>
): Layer.Layer<Engines, never, ChildProcessSpawner> =>
  Layer.effect(
    Engines,
    Effect.gen(function* () {
      const ffmpeg: Engine = yield* FfmpegEngine.make({
        ffmpegPath: settings.ffmpeg.path,
        ffprobePath: settings.ffmpeg.ffprobePath,
        probeTimeout: settings.probe.timeout,
        stallTimeout: settings.relay.stallTimeout,
        killGrace: settings.relay.killGrace,
        serverTrust: trustOf(settings.mediaServer),
        isServerAnswering
      })
      const native = NativeEngine.make({
        probeTimeout: settings.probe.timeout,
        stallTimeout: settings.relay.stallTimeout,
        serverTrust: trustOf(settings.mediaServer),
        isServerAnswering
      })
      const choices: Record<EngineChoice, NonEmptyReadonlyArray<Engine>> = {
        auto: [native, ffmpeg],
        native: [native],
        ffmpeg: [ffmpeg]
      }
      return Engines.of({ select: (choice) => choices[choice] })
    })
  )

/** The supervisor, by the settings. */
export const supervisor = (settings: Settings) => {
  const { probe, relay } = settings
  const slow = { lockoutDelay: probe.lockoutDelay, rejectedDelay: relay.rejectedDelay }
  return Supervisor.layer({
    ...rosterOptions(settings),
    retry: { delays: probe.retryDelays, jitter: probe.jitter, ...slow },
    restart: {
      delay: relay.restartDelay,
      backoff: relay.restartBackoff,
      maxDelay: relay.restartMaxDelay,
      ...slow
    },
    probeLimits: ProbeLimits.make({ concurrency: probe.concurrency, perHost: probe.perHost }),
    startPacing: StartPacing.make(relay.startSpacing)
  })
}
