/**
 * The media servers of the settings, each with its own health check and its own API.
 *
 * They follow the settings: a server whose settings change becomes another server, with another key. The cameras of
 * the old server keep it until the supervisor has moved them.
 */
import { type ConfiguredServer, mediaServersOf, type Settings } from "@restream/config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { CameraServer } from "../camera/Camera.ts"
import { type Trust, trustOf } from "../rtsp/client/Dialer.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { format } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as Failover from "./Failover.ts"
import { MediaServer, type MediaServerStatus, pathAddress, serverAddress } from "./MediaServer.ts"
import type { PathReport } from "./MediaMtxApi.ts"
import { rtspCheck } from "./RtspCheck.ts"
import * as ServerChoice from "./ServerChoice.ts"
import * as ServerPaths from "./ServerPaths.ts"
import type { ApiStatus } from "./ServerPaths.ts"

/** One of the media servers. */
export interface RunningServer {
  /** The name of the server; `undefined` if there is only one media server. */
  readonly name: string | undefined
  readonly health: MediaServer["Service"]
  /** The paths of the server, as reported by its API. */
  readonly paths: ServerPaths.ServerPathsService
  /** Which certificates of the server are accepted. */
  readonly trust: Trust
}

export class MediaServers extends Context.Service<
  MediaServers,
  {
    /** The servers of the settings, in their order. */
    readonly all: () => ReadonlyArray<RunningServer>
    /** The server of a camera. Waits until the settings by which the server was chosen are in force. */
    readonly get: (server: CameraServer | undefined) => Effect.Effect<RunningServer>
    /** The names of the servers whose cameras are published elsewhere, by `failover.after`. */
    readonly failedOver: SubscriptionRef.SubscriptionRef<ReadonlySet<string>>
  }
>()("@restream/core/media-server/MediaServers") {
  /** The servers of the settings in force. The scope owns the health checks. */
  static readonly layer: Layer.Layer<MediaServers, never, LiveSettings> = Layer.effect(
    MediaServers,
    Effect.suspend(() => make)
  )

  /** Only the media server in context. */
  static readonly layerOne: Layer.Layer<MediaServers, never, MediaServer> = Layer.effect(
    MediaServers,
    Effect.gen(function* () {
      const health = yield* MediaServer
      const trust = { _tag: "Verify" } as const
      const server = { name: undefined, health, paths: ServerPaths.unknown, trust }
      const failedOver = yield* SubscriptionRef.make<ReadonlySet<string>>(new Set())
      return MediaServers.of({ all: () => [server], get: () => Effect.succeed(server), failedOver })
    })
  )
}

/** The key of the only server, which has no name. */
const unnamed = ""

interface Owned {
  readonly server: RunningServer
  readonly scope: Scope.Closeable
}

interface Running {
  /** The settings from which the servers were made. */
  readonly settings: Settings
  /** By the key of the server. */
  readonly servers: ReadonlyMap<string, Owned>
}

const make = Effect.gen(function* () {
  const live = yield* LiveSettings
  const parent = yield* Effect.scope

  const start = Effect.fnUntraced(function* (configured: ConfiguredServer) {
    const { name, settings } = configured
    const scope = yield* Scope.fork(parent)
    const server = yield* Effect.gen(function* () {
      const address = serverAddress(settings)
      const trust = trustOf(settings)
      const health = yield* MediaServer.make({
        name,
        address,
        destination: pathAddress(settings),
        check: rtspCheck(address, trust),
        timing: Effect.map(SubscriptionRef.get(live), ({ mediaServer }) => mediaServer)
      })
      const paths = yield* ServerPaths.makeFor(configured, live, health.checkNow)
      return { name, health, paths, trust }
    }).pipe(Scope.provide(scope))
    return { server, scope }
  })

  /** Keeps the servers that are still configured, starts new servers, and ends the others. */
  const follow = Effect.fnUntraced(function* (
    settings: Settings,
    before: Running["servers"]
  ): Effect.fn.Return<Running> {
    const keys = ServerChoice.candidatesOf(settings).map(({ server }) => server.key)
    const servers = new Map<string, Owned>()
    for (const [index, configured] of mediaServersOf(settings).entries()) {
      const key = keys[index] ?? unnamed
      servers.set(key, before.get(key) ?? (yield* start(configured)))
    }
    for (const [key, { scope }] of before) {
      if (!servers.has(key)) yield* Scope.close(scope, Exit.void)
    }
    return { settings, servers }
  })

  const running = yield* SubscriptionRef.make(
    yield* follow(SubscriptionRef.getUnsafe(live), new Map())
  )
  yield* SubscriptionRef.changes(live).pipe(
    Stream.runForEach((settings) =>
      SubscriptionRef.updateEffect(running, (before) =>
        settings === before.settings ? Effect.succeed(before) : follow(settings, before.servers)
      )
    ),
    Effect.forkScoped
  )

  const find = (server: CameraServer | undefined) =>
    SubscriptionRef.getUnsafe(running).servers.get(server?.key ?? unnamed)?.server

  const all = () =>
    Array.from(SubscriptionRef.getUnsafe(running).servers.values(), ({ server }) => server)
  const failedOver = yield* SubscriptionRef.make<ReadonlySet<string>>(new Set())
  yield* followFailover(live, all, failedOver).pipe(
    Effect.annotateLogs("module", "media-server"),
    Effect.forkScoped
  )

  return MediaServers.of({
    all,
    failedOver,
    get: (server) =>
      Effect.suspend(() => {
        const found = find(server)
        if (found !== undefined) return Effect.succeed(found)
        // never ends for a server that is no longer configured: its camera is about to be moved or stopped
        return SubscriptionRef.changes(running).pipe(
          Stream.map(() => find(server)),
          Stream.filter((one) => one !== undefined),
          Stream.runHead,
          Effect.flatMap(Option.match({ onNone: () => Effect.never, onSome: Effect.succeed }))
        )
      })
  })
})

/** The interval at which the health of the servers is evaluated, while failover is set. */
const failoverInterval = "1 second"

/** Updates `failedOver` by the health of the servers, while `failover.after` is set. */
const followFailover = (
  live: LiveSettings["Service"],
  all: () => ReadonlyArray<RunningServer>,
  failedOver: SubscriptionRef.SubscriptionRef<ReadonlySet<string>>
) =>
  Effect.gen(function* () {
    let standings: Failover.Standings = new Map()

    const update = Effect.fnUntraced(function* (
      next: Failover.Standings,
      nowMs: number,
      {
        after,
        backAfter
      }: { readonly after: Duration.Duration; readonly backAfter: Duration.Duration }
    ) {
      standings = next
      const before = SubscriptionRef.getUnsafe(failedOver)
      const now = Failover.awayOf(next)
      const moved = [...now].filter((name) => !before.has(name))
      const returned = [...before].filter((name) => !now.has(name))
      for (const name of moved) {
        yield* Effect.logWarning(
          `media server ${name} has been unreachable for at least ${format(after)}: moving its cameras to other media servers (failover.after)`
        )
      }
      for (const name of returned) {
        const standing = next.get(name)
        const why =
          standing?.isUp !== true
            ? "has other settings"
            : nowMs - standing.startedMs >= Duration.toMillis(backAfter)
              ? `has been reachable for ${format(backAfter)} (failover.backAfter)`
              : "is reachable again, and no other media server is"
        yield* Effect.logInfo(`media server ${name} ${why}: its cameras return`)
      }
      if (moved.length + returned.length > 0) yield* SubscriptionRef.set(failedOver, now)
    })

    for (;;) {
      const settings = yield* SubscriptionRef.get(live)
      const { after, backAfter } = settings.failover
      if (after === undefined || mediaServersOf(settings).length < 2) {
        if (standings.size > 0) yield* SubscriptionRef.set(failedOver, new Set())
        standings = new Map()
        yield* SubscriptionRef.changes(live).pipe(
          Stream.filter((current) => current !== settings),
          Stream.runHead
        )
        continue
      }
      const views = yield* viewsOf(all())
      const named = views.flatMap(({ name, status }) =>
        name === undefined ? [] : [{ name, status }]
      )
      const timing = {
        afterMs: Duration.toMillis(after),
        backAfterMs: Duration.toMillis(backAfter)
      }
      const nowMs = yield* Monotonic.now
      yield* update(Failover.next(standings, named, nowMs, timing), nowMs, {
        after,
        backAfter
      })
      yield* Effect.sleep(failoverInterval)
    }
  })

/** The current state of a media server. */
export interface ServerView {
  /** `undefined` if there is only one media server. */
  readonly name: string | undefined
  readonly status: MediaServerStatus
  readonly api: ApiStatus
  /** The paths of live cameras that are not online, as reported by the media server. */
  readonly offlinePaths: ReadonlySet<string>
}

/** The current states of the media servers. */
export const viewsOf = (
  servers: ReadonlyArray<RunningServer>
): Effect.Effect<ReadonlyArray<ServerView>> =>
  Effect.forEach(servers, ({ health, name, paths }) =>
    Effect.map(health.status, (status) => ({
      name,
      status,
      api: paths.apiStatus(),
      offlinePaths: paths.offlinePaths()
    }))
  )

/** The name of a media server in messages. */
export const serverLabel = (name: string | undefined): string =>
  name === undefined ? "media server" : `media server ${name}`

/** The name of the settings group of a media server. */
export const settingsGroup = (name: string | undefined): string =>
  name === undefined ? "mediaServer" : `mediaServers.${name}`

/** The media server and the path of a stream. */
export interface StreamOnServer {
  /** The name of the media server; `undefined` if there is only one media server. */
  readonly mediaServer?: string | undefined
  readonly path: string | undefined
}

/** The report of the media server about a stream's path, if known. */
export const reportOf = (
  servers: ReadonlyArray<RunningServer>,
  { mediaServer, path }: StreamOnServer
): PathReport | undefined =>
  path === undefined ? undefined : servers.find(({ name }) => name === mediaServer)?.paths.get(path)
