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
import {
  bracketed,
  isLoopback,
  isWildcard,
  mediaServersOf,
  parseTableName,
  type Settings,
  type TableName
} from "@restream/config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { FileSystem } from "effect/FileSystem"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { hostname } from "node:os"
import type { CameraType } from "./camera-type/CameraType.ts"
import { CameraTypes } from "./camera-type/CameraTypes.ts"
import * as Cluster from "./cluster/Cluster.ts"
import * as OneHolder from "./cluster/OneHolder.ts"
import { Ownership } from "./cluster/Ownership.ts"
import { DesiredCameras } from "./desired/DesiredCameras.ts"
import { knownColumns } from "./desired/KnownColumns.ts"
import { Engines } from "./engine/Engines.ts"
import * as FfmpegEngine from "./engine/ffmpeg/FfmpegEngine.ts"
import * as NativeEngine from "./engine/native/NativeEngine.ts"
import { MediaServers } from "./media-server/MediaServers.ts"
import * as ServerChoice from "./media-server/ServerChoice.ts"
import * as ProcessLauncher from "./process/ProcessLauncher.ts"
import { ProbeScheduler } from "./probing/ProbeScheduler.ts"
import { LiveSettings } from "./settings/LiveSettings.ts"
import type { CameraSource } from "./source/CameraSource.ts"
import * as CameraTable from "./source/CameraTable.ts"
import * as FileCameraSource from "./source/FileCameraSource.ts"
import * as PgCameraSource from "./source/PgCameraSource.ts"
import { CameraLog } from "./status/CameraLog.ts"
import * as Metrics from "./status/Metrics.ts"
import { Rates } from "./status/Rates.ts"
import * as SafeLoggers from "./status/SafeLoggers.ts"
import * as StatusLog from "./status/StatusLog.ts"
import { StatusStore } from "./status/StatusStore.ts"
import * as StatusTable from "./status/StatusTable.ts"
import { Supervisor } from "./supervision/Supervisor.ts"

/**
 * Plain settings, or a reference that the program sets. With a reference the tree follows the changes: a
 * policy is read where an attempt begins. A setting whose `appliedBy` is `restart` is read once.
 */
export type LiveOrFixedSettings = Settings | SubscriptionRef.SubscriptionRef<Settings>

/**
 * Relays the cameras of the source in context, for as long as the layer lives. Closing it ends every
 * relay and waits for their ends.
 *
 * A registry of `Engines` in context replaces the built-in engines. With an `Ownership` in context only the
 * cameras that it calls ours are relayed.
 *
 * @param types camera types besides the built-in ones and the settings' templates.
 */
export const layer = (
  settings: LiveOrFixedSettings,
  types: Iterable<CameraType> = []
): Layer.Layer<
  CameraLog | MediaServers | Rates | StatusStore | Supervisor,
  never,
  CameraSource | ChildProcessSpawner
> =>
  // fresh: two trees in one program must not share a supervisor or a store
  Layer.fresh(
    Supervisor.layer.pipe(
      Layer.provideMerge(
        Layer.mergeAll(StatusLog.layer, Metrics.layer, Rates.layer).pipe(
          Layer.provideMerge(CameraLog.layer),
          Layer.provideMerge(StatusStore.layer)
        )
      ),
      Layer.provide(ProbeScheduler.layer),
      Layer.provide(DesiredCameras.layer),
      Layer.provide(engines),
      Layer.provideMerge(MediaServers.layer),
      Layer.provide(CameraTypes.layer(types)),
      Layer.provide(LiveSettings.layer(settings)),
      Layer.provide(SafeLoggers.layer())
    )
  )

/**
 * The cameras of the settings' table or query, read with the client in context. With the `Ownership` of a node in
 * context only the rows of its shards are read, where there are 20,000 or more.
 *
 * @param types the same as of {@link layer}: only the columns that a type reads are fetched. Default: all
 * columns are fetched.
 */
export const cameraTable = (
  settings: LiveOrFixedSettings,
  types?: ReadonlyArray<CameraType>
): Layer.Layer<CameraSource, never, PgClient> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const live = yield* LiveSettings
      const { shards } = yield* Ownership
      const { database } = yield* SubscriptionRef.get(live)
      return PgCameraSource.layer({
        query: cameraQuery({ database }),
        isTable: database.query === undefined,
        shards,
        channel: database.listen ? database.channel : undefined,
        known: types && known(live, types),
        massStopDelay: massStopDelay(live),
        timing: Effect.map(SubscriptionRef.get(live), ({ database }) => ({
          pollInterval: database.pollInterval,
          fetchTimeout: database.queryTimeout
        }))
      })
    })
  ).pipe(Layer.provide([LiveSettings.layer(settings), SafeLoggers.layer()]))

const known = (live: LiveSettings["Service"], types: ReadonlyArray<CameraType>) =>
  Effect.map(SubscriptionRef.get(live), (current) => knownColumns(current, types))

const massStopDelay = (live: LiveSettings["Service"]) =>
  Effect.map(SubscriptionRef.get(live), ({ supervisor }) =>
    supervisor.maxStopFraction === 1 ? undefined : supervisor.massStopDelay
  )

/**
 * The cameras of a YAML or CSV file.
 *
 * @param types the same as of {@link layer}: a column that no type reads is logged. Default: none is.
 */
export const cameraFile = (
  file: string,
  settings: LiveOrFixedSettings,
  types?: ReadonlyArray<CameraType>
): Layer.Layer<CameraSource, never, FileSystem> =>
  Layer.unwrap(
    Effect.map(LiveSettings, (live) =>
      FileCameraSource.layer({
        file,
        known: types && known(live, types),
        massStopDelay: massStopDelay(live)
      })
    )
  ).pipe(Layer.provide([LiveSettings.layer(settings), SafeLoggers.layer()]))

type GuardSettings = Pick<Settings, "database" | "mediaServer" | "mediaServers">

/**
 * Relays the cameras only as long as this program holds the locks for its table and its media servers; until
 * then it is a standby. Provide it to `layer`. Does nothing where `database.guard` is off.
 */
export const guard = (settings: GuardSettings): Layer.Layer<never, never, PgClient> => {
  const options = guardOf(settings)
  return options === undefined ? Layer.empty : OneHolder.layer(options)
}

const guardOf = (settings: GuardSettings): OneHolder.OneHolderOptions | undefined => {
  const { database } = settings
  if (!database.guard) return undefined
  return {
    cameras:
      database.query === undefined
        ? { table: CameraTable.tableSql(tableOf(database)) }
        : { query: database.query },
    // two machines, each with a media server of its own, are no rivals
    mediaServers: mediaServersOf(settings).map(
      ({ settings: { host, port } }) =>
        `${isLoopback(host) ? `localhost of ${hostname()}` : host.toLowerCase()}:${port}`
    ),
    hostname: hostname()
  }
}

/**
 * Shares the cameras with the other nodes of the cluster; instead of `guard`. Provide it to `layer`, with a client
 * of its own, so that no other query delays the locks.
 */
export const cluster = (
  settings: GuardSettings & Pick<Settings, "cluster" | "http">
): Layer.Layer<Cluster.Cluster, never, PgClient> =>
  Cluster.layer({
    ...settings.cluster,
    name: nodeNameOf(settings),
    servers: ServerChoice.digestOf(settings),
    apiUrl: apiUrlOf(settings),
    machine: hostname(),
    refusalsKey: settings.database.dsn?.password ?? Redacted.make(""),
    guard: guardOf(settings)
  })

/** The name of this node: the setting, else the host name. */
export const nodeNameOf = ({ cluster }: Pick<Settings, "cluster">): string =>
  cluster.name ?? hostname()

/** Where the other nodes reach the HTTP API of this node. `undefined`: nowhere. */
export const apiUrlOf = ({
  cluster,
  http
}: Pick<Settings, "cluster" | "http">): string | undefined => {
  if (!http.enabled) return undefined
  if (cluster.apiUrl !== undefined) return cluster.apiUrl
  // any free port
  if (http.port === 0) return undefined
  return `http://${isWildcard(http.host) ? hostname() : bracketed(http.host)}:${http.port}`
}

/**
 * Keeps the state of the cameras in the table of `database.statusTable`, with the client in context. Does
 * nothing where that is not set.
 */
export const statusTable = ({
  database: { statusTable }
}: Pick<Settings, "database">): Layer.Layer<
  never,
  never,
  PgClient | Rates | StatusStore | Supervisor
> => {
  const table = statusTable === undefined ? undefined : parseTableName(statusTable)
  return table === undefined ? Layer.empty : StatusTable.layer({ table, hostname: hostname() })
}

/** The SELECT that gives all rows. */
export const cameraQuery = ({ database }: Pick<Settings, "database">): string =>
  database.query ?? CameraTable.selectAll(tableOf(database))

/** An embedding program may pass a name that is not valid: it is quoted as one identifier. */
const tableOf = ({ table }: Settings["database"]): TableName =>
  parseTableName(table) ?? { schema: undefined, name: table }

/** The built-in engines by the settings in force, `native` first. */
export const builtInEngines: Layer.Layer<Engines, never, ChildProcessSpawner | LiveSettings> =
  Layer.effect(
    Engines,
    Effect.gen(function* () {
      const launcher = yield* ProcessLauncher.make
      const live = yield* LiveSettings
      let madeFor: Settings | undefined
      let registry: Engines["Service"]
      /** Made again only after the settings have changed. */
      const current = () => {
        const settings = SubscriptionRef.getUnsafe(live)
        if (settings !== madeFor) {
          const common = {
            openTimeout: settings.probe.timeout,
            stallTimeout: settings.relay.stallTimeout
          }
          const ffmpeg = FfmpegEngine.makeWith(launcher, {
            ...common,
            ffmpegPath: settings.ffmpeg.path,
            ffprobePath: settings.ffmpeg.ffprobePath,
            killGrace: settings.relay.killGrace
          })
          registry = Engines.make([NativeEngine.make(common), ffmpeg])
          madeFor = settings
        }
        return registry
      }
      return Engines.of({
        choices: current().choices,
        select: (source) => current().select(source)
      })
    })
  )

/** The registry in context, else the built-in engines. */
const engines: Layer.Layer<Engines, never, ChildProcessSpawner | LiveSettings> = Layer.unwrap(
  Effect.map(
    Effect.serviceOption(Engines),
    Option.match({
      onNone: () => builtInEngines,
      onSome: (service) => Layer.succeed(Engines, service)
    })
  )
)
