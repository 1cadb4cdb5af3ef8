/**
 * The state of the cameras' paths, as reported by the media server's API.
 *
 * One poll reads the paths of all cameras. While the API does not respond, or without `mediaServer.apiUrl`, the state
 * is unknown; no relay depends on it.
 *
 * A live relay is restarted if the media server reports for the stall timeout that its path is not online. The API
 * must have responded at least twice, and must belong to our media server: it must have listed one of our paths as
 * online before. A restart without success is not repeated until the path has been online.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { type ConfiguredServer, oneLine, redact } from "@restream/config"
import type { PublisherName } from "../cluster/Ownership.ts"
import type { MediaPath } from "../camera/MediaPath.ts"
import { PathOffline } from "../camera/Reason.ts"
import { trustOf } from "../rtsp/client/Dialer.ts"
import type { LiveSettings } from "../settings/LiveSettings.ts"
import { Incidents, suffixOf } from "../status/Incidents.ts"
import * as Deadline from "../time/Deadline.ts"
import { formatElapsed } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as Poller from "../time/Poller.ts"
import { version } from "../Version.ts"
import type { MediaMtxApi, PathReport, PublishingSession } from "./MediaMtxApi.ts"
import { addressLabel, MediaServerError } from "./MediaServer.ts"

export type ApiStatus =
  /** `mediaServer.apiUrl` is not set. */
  | { readonly _tag: "Off" }
  /** No poll has ended yet, or the media server itself is unreachable. */
  | { readonly _tag: "Unknown" }
  | { readonly _tag: "Up"; readonly since: number }
  | { readonly _tag: "Down"; readonly since: number; readonly detail: string }

/** The publisher that occupies a path. */
export type PathHolder =
  /** A leftover publisher of a daemon that is gone; its session was ended. */
  | { readonly _tag: "Ended" }
  /** Another program's publisher, or that of a daemon that may be running. The camera has to wait for its end. */
  | { readonly _tag: "Other"; readonly description: string }

export interface ServerPathsService {
  /** The current report about a path; `undefined` if unknown. */
  readonly get: (path: string) => PathReport | undefined
  /**
   * Done when a live relay to the path has to be restarted, because the media server reports that the path is not
   * online. Start this effect when the relay becomes live, and interrupt it when the relay ends.
   */
  readonly offline: (path: MediaPath) => Effect.Effect<PathOffline>
  /**
   * Finds the publisher on a path that the media server refused to us. Only a leftover publisher of an earlier daemon
   * is ended, so that the path is free at once.
   *
   * @param name the publisher name of the daemons that may own the camera. Publishers of that name are ended only
   * while no other daemon can own the camera.
   */
  readonly clear: (
    path: MediaPath,
    name: PublisherName | undefined
  ) => Effect.Effect<PathHolder | undefined>
  /** The paths with a live relay that were reported as not online for the stall timeout. */
  readonly offlinePaths: () => ReadonlySet<string>
  readonly apiStatus: () => ApiStatus
}

/** Without an API: all paths are unknown. */
export const unknown: ServerPathsService = {
  get: () => undefined,
  offline: () => Effect.never,
  clear: () => Effect.succeed(undefined),
  offlinePaths: () => new Set(),
  apiStatus: () => ({ _tag: "Off" })
}

export interface ServerPathsOptions {
  readonly api: MediaMtxApi
  /** The API's address without credentials, for log lines. */
  readonly label: string
  readonly timing: Effect.Effect<{
    readonly interval: Duration.Duration
    readonly stallTimeout: Duration.Duration
  }>
  /** Whether the media server responds by RTSP. If not, a failing API is not reported as a separate problem. */
  readonly isServerUp: Effect.Effect<boolean>
}

/** How long a list of publishers is used for other paths. */
const maxListAgeMs = 1000

/** MediaMTX delays the response to a wrong password by 2 s, which is also the default of `checkTimeout`. */
const minTimeout = Duration.seconds(5)

/** A live relay. */
interface Watch {
  /** By the monotonic clock. */
  readonly sinceMs: number
  /** Since when all responses report the path as not online; `undefined`: the path was online in the last one. */
  offlineSinceMs: number | undefined
  readonly restart: Deferred.Deferred<PathOffline>
}

const offlineReport: PathReport = {
  isOnline: false,
  onlineSince: undefined,
  readers: 0,
  inboundBytes: 0
}

/** Starts polling in the scope. */
export const make = Effect.fnUntraced(function* (
  options: ServerPathsOptions
): Effect.fn.Return<ServerPathsService, never, Scope.Scope> {
  const label = `media server API ${options.label}`
  const incidents = new Incidents<string>()
  const watches = new Map<MediaPath, Watch>()
  /** The paths whose relay was restarted since the path was last online. */
  const restarted = new Set<MediaPath>()
  let paths: ReadonlyMap<string, PathReport> | undefined
  let offlinePaths: ReadonlySet<string> = new Set()
  let status: ApiStatus = { _tag: "Unknown" }
  /** Whether the API has ever listed one of our paths as online. */
  let isOurServer = false

  const forget = () => {
    paths = undefined
    offlinePaths = new Set()
    for (const watch of watches.values()) watch.offlineSinceMs = undefined
  }

  /** Compares the response with the live relays. @param polledMs when the poll started. */
  const compare = Effect.fnUntraced(function* (polledMs: number) {
    const { stallTimeout } = yield* options.timing
    const stallMs = Duration.toMillis(stallTimeout)
    const now = yield* Monotonic.now
    const offline = new Set<MediaPath>()
    for (const [path, watch] of watches) {
      // the relay became live after the poll started
      if (watch.sinceMs > polledMs) continue
      if (paths?.get(path)?.isOnline === true) {
        isOurServer = true
        restarted.delete(path)
        watch.offlineSinceMs = undefined
        continue
      }
      watch.offlineSinceMs ??= now
      if (now - watch.offlineSinceMs >= stallMs) offline.add(path)
    }
    offlinePaths = offline
    let unresolved = 0
    for (const path of offline) {
      if (isOurServer && !restarted.has(path)) {
        restarted.add(path)
        const restart = watches.get(path)?.restart
        if (restart !== undefined) {
          yield* Deferred.succeed(restart, new PathOffline({ afterMs: stallMs }))
        }
      } else unresolved++
    }
    yield* reportUnresolved(unresolved)
  })

  const reportUnresolved = Effect.fnUntraced(function* (count: number) {
    const now = yield* Monotonic.now
    if (count > 0) {
      const notice = incidents.failed("paths", "offline", now)
      if (notice === undefined) return
      yield* Effect.logWarning(
        `${label}: ${count} of ${watches.size} live streams are not online at the media server; check that mediaServer.apiUrl belongs to the server of mediaServer.host${suffixOf(notice)}`
      )
    } else if (incidents.succeeded("paths", now) === "resolved") {
      yield* Effect.logInfo(`${label}: all live streams are online at the media server`)
    }
  })

  const onUp = Effect.fnUntraced(function* (
    reports: ReadonlyMap<string, PathReport>,
    polledMs: number
  ) {
    const now = yield* Clock.currentTimeMillis
    const before = status
    paths = reports
    if (before._tag !== "Up") status = { _tag: "Up", since: now }
    yield* compare(polledMs)
    const notice = incidents.succeeded("api", yield* Monotonic.now)
    if (notice === "stable") yield* Effect.logInfo(`${label} is stable`)
    if (notice === "resolved" && before._tag === "Down") {
      const outage = formatElapsed(now - before.since)
      yield* Effect.logInfo(`${label} responds again after ${outage}`)
    } else if (before._tag === "Unknown") yield* Effect.logDebug(`${label} responds`)
  })

  const onDown = Effect.fnUntraced(function* ({ detail, kind = detail }: MediaServerError) {
    forget()
    if (!(yield* options.isServerUp)) {
      status = { _tag: "Unknown" }
      return
    }
    const now = yield* Clock.currentTimeMillis
    status = { _tag: "Down", since: status._tag === "Down" ? status.since : now, detail }
    const notice = incidents.failed("api", kind, yield* Monotonic.now)
    if (notice === undefined) return
    yield* Effect.logWarning(
      `${label} cannot be read: ${detail}; relays are unaffected, readers are unknown${suffixOf(notice)}`
    )
  })

  /** One request for the publishers at a time, for any number of refused paths. */
  const clearing = yield* Semaphore.make(1)
  let publishers: { readonly readMs: number; readonly of: Map<string, PublishingSession> } = {
    readMs: -Infinity,
    of: new Map()
  }
  /** After a crash all paths are refused at once, so a list of publishers is reused for a second. */
  const publisherOf = Effect.fnUntraced(function* (path: MediaPath) {
    const now = yield* Monotonic.now
    const known = now - publishers.readMs < maxListAgeMs ? publishers.of.get(path) : undefined
    if (known !== undefined) return known
    const sessions = yield* options.api.publishers
    publishers = { readMs: now, of: new Map(sessions.map((session) => [session.path, session])) }
    return publishers.of.get(path)
  })

  let polledMs = 0
  yield* Poller.make({
    poll: Effect.gen(function* () {
      polledMs = yield* Monotonic.now
      return yield* options.api.paths
    }),
    onResult: Exit.match({
      onSuccess: (reports) => onUp(reports, polledMs),
      onFailure: (cause) => {
        const error = Exit.findErrorOption(Exit.failCause(cause))
        return onDown(error._tag === "Some" ? error.value : internalError)
      }
    }),
    interval: () => Effect.map(options.timing, ({ interval }) => interval)
  }).pipe(Effect.annotateLogs("module", "media-server"))

  return {
    get: (path) => (paths === undefined ? undefined : (paths.get(path) ?? offlineReport)),
    offline: (path) =>
      Effect.acquireUseRelease(
        Effect.map(Monotonic.now, (sinceMs) => {
          const watch: Watch = {
            sinceMs,
            offlineSinceMs: undefined,
            restart: Deferred.makeUnsafe()
          }
          watches.set(path, watch)
          return watch
        }),
        ({ restart }) => Deferred.await(restart),
        () => Effect.sync(() => watches.delete(path))
      ),
    clear: (path, name) =>
      clearing
        .withPermit(
          Effect.gen(function* () {
            const session = yield* publisherOf(path)
            if (session === undefined) return undefined
            const isOurs = name !== undefined && isNamed(session, name)
            if (!isOurs || !name.isExclusive) {
              const who = session.userAgent ?? ""
              const agent = who === "" ? "" : `"${oneLine(redact(who)).slice(0, 80)}" `
              return { _tag: "Other", description: `${agent}at ${session.remoteAddr}` } as const
            }
            publishers.of.delete(path)
            yield* options.api.kick(session)
            return { _tag: "Ended" } as const
          })
        )
        .pipe(
          // the next poll reports that the API is unreachable
          Effect.catch(({ detail }) =>
            Effect.as(Effect.logDebug(`${label}: cannot read the publishers: ${detail}`), undefined)
          ),
          Effect.annotateLogs("module", "media-server")
        ),
    offlinePaths: () => offlinePaths,
    apiStatus: () => status
  }
})

/** The `User-Agent` of the publishers of an instance. */
export const userAgentOf = ({ instance }: PublisherName): string =>
  `restream/${version} ${instance}`

/** Whether a session belongs to a daemon of the instance, of any version. */
const isNamed = ({ userAgent = "" }: PublishingSession, { instance }: PublisherName): boolean =>
  /^restream\/\S+ (\S+)$/.exec(userAgent)?.[1] === instance

const internalError = new MediaServerError({ detail: "internal error while reading the API" })

/**
 * Starts polling the API of a configured media server; {@link unknown} if its `apiUrl` is not set.
 *
 * @param live the settings in force, for the intervals.
 * @param isServerUp whether the media server responds by RTSP.
 */
export const makeFor = Effect.fnUntraced(function* (
  { name, settings: server }: ConfiguredServer,
  live: LiveSettings["Service"],
  isServerUp: Effect.Effect<boolean>
): Effect.fn.Return<ServerPathsService, never, Scope.Scope> {
  const { apiUrl } = server
  if (apiUrl === undefined) return unknown
  const MediaMtx = yield* Effect.promise(() => import("./MediaMtxApi.ts"))
  const settings = SubscriptionRef.get(live)
  return yield* make({
    api: MediaMtx.make({
      url: apiUrl,
      trust: trustOf(server),
      timeout: Effect.flatMap(settings, ({ mediaServer }) =>
        Deadline.make(Duration.max(mediaServer.checkTimeout, minTimeout))
      )
    }),
    label: addressLabel(name, MediaMtx.authorityOf(apiUrl)),
    timing: Effect.map(settings, ({ mediaServer, relay }) => ({
      interval: mediaServer.checkInterval,
      stallTimeout: relay.stallTimeout
    })),
    isServerUp
  })
})
