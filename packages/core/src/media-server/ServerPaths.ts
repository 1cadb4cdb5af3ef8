/**
 * What the media server itself says about the paths of the cameras, by its API.
 *
 * One poll reads the paths of all cameras. An API that does not answer is no verdict: nothing is known then, and
 * no relay depends on it. Without `mediaServer.apiUrl` nothing is ever known.
 *
 * A relay that is live, while the media server says for the stall timeout that its path is not online, is
 * restarted. The API must have answered at least twice, and it must be the API of our media server: it must have
 * listed a path of ours as online before. A restart that did not help is not repeated, until the path has been
 * online.
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

/** Whose publisher keeps a path. */
export type PathHolder =
  /** A publisher of ours was left over from a daemon that is gone. It was ended. */
  | { readonly _tag: "Ended" }
  /** Somebody else's, or one of ours that may live: it is waited for. */
  | { readonly _tag: "Other"; readonly description: string }

export interface ServerPathsService {
  /** What the media server says about a path now; `undefined` where that is not known. */
  readonly get: (path: string) => PathReport | undefined
  /**
   * Done when a live relay to the path is to be restarted, because the media server says that the path is not
   * online. Call it when the relay becomes live, and interrupt it when the relay ends.
   */
  readonly offline: (path: MediaPath) => Effect.Effect<PathOffline>
  /**
   * Looks who publishes to a path that was refused to us. A publisher that is left over from an earlier daemon is
   * ended, so that the path is free at once; nobody else's is.
   *
   * @param name how the daemons name themselves that may own the camera. Publishers of that name are ended only
   * while no other daemon can own it.
   */
  readonly clear: (
    path: MediaPath,
    name: PublisherName | undefined
  ) => Effect.Effect<PathHolder | undefined>
  /** The paths with a live relay that the media server said are not online, for the stall timeout. */
  readonly offlinePaths: () => ReadonlySet<string>
  readonly apiStatus: () => ApiStatus
}

/** Where there is no API: nothing is known. */
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
  /** Whether the media server responds, by RTSP. While it does not, the API is no problem of its own. */
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
  /** Since when every answer says that the path is not online; `undefined`: the last one said that it is. */
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
  /** The paths whose relay was restarted since they were online last. */
  const restarted = new Set<MediaPath>()
  let paths: ReadonlyMap<string, PathReport> | undefined
  let offlinePaths: ReadonlySet<string> = new Set()
  let status: ApiStatus = { _tag: "Unknown" }
  /** Whether the API has ever listed a path of ours as online. */
  let isOurServer = false

  const forget = () => {
    paths = undefined
    offlinePaths = new Set()
    for (const watch of watches.values()) watch.offlineSinceMs = undefined
  }

  /** Compares the answer with the live relays. @param askedMs when the poll began. */
  const compare = Effect.fnUntraced(function* (askedMs: number) {
    const { stallTimeout } = yield* options.timing
    const stallMs = Duration.toMillis(stallTimeout)
    const now = yield* Monotonic.now
    const offline = new Set<MediaPath>()
    for (const [path, watch] of watches) {
      // the relay became live while the API answered
      if (watch.sinceMs > askedMs) continue
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
    let unmended = 0
    for (const path of offline) {
      if (isOurServer && !restarted.has(path)) {
        restarted.add(path)
        const restart = watches.get(path)?.restart
        if (restart !== undefined) {
          yield* Deferred.succeed(restart, new PathOffline({ afterMs: stallMs }))
        }
      } else unmended++
    }
    yield* reportUnmended(unmended)
  })

  const reportUnmended = Effect.fnUntraced(function* (count: number) {
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
    answer: ReadonlyMap<string, PathReport>,
    asked: number
  ) {
    const now = yield* Clock.currentTimeMillis
    const before = status
    paths = answer
    if (before._tag !== "Up") status = { _tag: "Up", since: now }
    yield* compare(asked)
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

  /** Reads the publishers once at a time, for any number of refused paths. */
  const clearing = yield* Semaphore.make(1)
  let publishers: { readonly readMs: number; readonly of: Map<string, PublishingSession> } = {
    readMs: -Infinity,
    of: new Map()
  }
  /** After a crash all paths are refused at once: one list serves those of a second. */
  const publisherOf = Effect.fnUntraced(function* (path: MediaPath) {
    const now = yield* Monotonic.now
    const known = now - publishers.readMs < maxListAgeMs ? publishers.of.get(path) : undefined
    if (known !== undefined) return known
    const sessions = yield* options.api.publishers
    publishers = { readMs: now, of: new Map(sessions.map((session) => [session.path, session])) }
    return publishers.of.get(path)
  })

  let askedMs = 0
  yield* Poller.make({
    poll: Effect.gen(function* () {
      askedMs = yield* Monotonic.now
      return yield* options.api.paths
    }),
    onResult: Exit.match({
      onSuccess: (answer) => onUp(answer, askedMs),
      onFailure: (cause) => {
        const error = Exit.findErrorOption(Exit.failCause(cause))
        return onDown(error._tag === "Some" ? error.value : brokeDown)
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
          // the next poll reports an API that is away
          Effect.catch(({ detail }) =>
            Effect.as(Effect.logDebug(`${label}: cannot read the publishers: ${detail}`), undefined)
          ),
          Effect.annotateLogs("module", "media-server")
        ),
    offlinePaths: () => offlinePaths,
    apiStatus: () => status
  }
})

/** How a daemon of an instance names its publishers, as `User-Agent`. */
export const userAgentOf = ({ instance }: PublisherName): string =>
  `restream/${version} ${instance}`

/** Whether a session belongs to the daemons of a name, whatever their version. */
const isNamed = ({ userAgent = "" }: PublishingSession, { instance }: PublisherName): boolean =>
  /^restream\/\S+ (\S+)$/.exec(userAgent)?.[1] === instance

const brokeDown = new MediaServerError({ detail: "internal error while reading the API" })

/**
 * Asks the API of a media server of the settings; nothing where its `apiUrl` is not set.
 *
 * @param live the settings in force, for the intervals.
 * @param isServerUp whether the media server responds, by RTSP.
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
