/** Reads the services of this daemon as documents of the API, for the handlers. */
import { redact } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { CameraId } from "../camera/Camera.ts"
import type { MediaServerStatus } from "../media-server/MediaServer.ts"
import { MediaServers, reportOf, type ServerView, viewsOf } from "../media-server/MediaServers.ts"
import { serverSettings } from "../media-server/ServerChoice.ts"
import { playerUrls } from "../player/PlayerUrls.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { CameraSource, type SourceHealth } from "../source/CameraSource.ts"
import { CameraLog } from "../status/CameraLog.ts"
import { causesOf } from "../status/Causes.ts"
import { tallyOf } from "../status/OperatorView.ts"
import { Rates } from "../status/Rates.ts"
import type { CameraStatus } from "../status/CameraStatus.ts"
import { StatusStore } from "../status/StatusStore.ts"
import { type Membership, Ownership } from "../cluster/Ownership.ts"
import type * as Api from "./Api.ts"
import * as Views from "./Views.ts"

export interface BoardService {
  readonly boot: string
  readonly revision: Effect.Effect<number>
  readonly overview: Effect.Effect<Api.Overview>
  readonly cameras: Effect.Effect<ReadonlyArray<Api.CameraSummary>>
  /** The bitrates of the last hour, one per minute. */
  readonly bitrates: (
    cameras: ReadonlyArray<Api.CameraSummary>
  ) => Effect.Effect<ReadonlyMap<CameraId, ReadonlyArray<number>>>
  /** The changes after a revision; 0 gives all cameras. */
  readonly changesSince: (
    revision: number
  ) => Effect.Effect<{ readonly isComplete: boolean; readonly changes: Api.CameraChanges }>
  /** Done when the board is complete. */
  readonly ready: Effect.Effect<void>
}

/** The cameras of this daemon. */
export class Board extends Context.Service<
  Board,
  BoardService & {
    readonly camera: (id: CameraId) => Effect.Effect<Api.CameraDetail | undefined>
  }
>()("@restream/core/http/Board") {
  /**
   * @param version of the program, for the overview.
   * @param workers of this machine. Default: there are none.
   */
  static readonly layer = (
    version: string,
    workers?: Api.Overview["workers"]
  ): Layer.Layer<
    Board,
    never,
    CameraLog | CameraSource | LiveSettings | MediaServers | Rates | StatusStore
  > =>
    Layer.effect(
      Board,
      Effect.gen(function* () {
        const store = yield* StatusStore
        const rates = yield* Rates
        const log = yield* CameraLog
        const servers = yield* MediaServers
        const source = yield* CameraSource
        const settings = yield* LiveSettings
        const { membership, node } = yield* Ownership
        const sources: Views.StreamSources = {
          node,
          bitrateOf: rates.current,
          reportOf: (stream) => reportOf(servers.all(), stream)
        }
        const summaryOf = (status: CameraStatus) => Views.summaryOf(status, sources)
        const startedAt = yield* Clock.currentTimeMillis

        return Board.of({
          boot: store.boot,
          revision: store.revision,
          cameras: Effect.map(store.all, (all) => all.map(summaryOf)),
          ready: Effect.void,
          bitrates: (cameras) =>
            Effect.sync(() => new Map(cameras.map(({ id }) => [id, rates.minutes(id)] as const))),
          camera: Effect.fnUntraced(function* (id) {
            const status = yield* store.get(id)
            if (status === undefined) return undefined
            const { path } = status
            const server = serverSettings(SubscriptionRef.getUnsafe(settings), status.mediaServer)
            return Views.detailOf(status, {
              ...sources,
              history: rates.history(id),
              timeline: yield* store.timeline(id),
              log: log.lines(id),
              playerUrls:
                path === undefined || server === undefined
                  ? undefined
                  : playerUrls({ path }, server)
            })
          }),
          overview: Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            const all = yield* store.all
            const mediaServers = yield* viewsOf(servers.all())
            const health = yield* source.health
            const member = membership?.()
            const causes = causesOf(all, {
              cluster: member?.problem,
              mediaServers,
              source: health,
              now
            })
            return {
              version,
              ...(node !== undefined && { node }),
              ...(member !== undefined && { cluster: clusterOf(member) }),
              ...(workers !== undefined && { workers }),
              boot: store.boot,
              revision: yield* store.revision,
              now,
              startedAt,
              tally: tallyOf(all),
              causes: causes.map(Views.causeOf),
              bitrate: rates.total(),
              ...serversOf(mediaServers),
              database: databaseOf(health)
            }
          }),
          changesSince: Effect.fnUntraced(function* (since) {
            const { cameras, isComplete, removed, revision } = yield* store.changedSince(since)
            return {
              isComplete,
              changes: {
                boot: store.boot,
                revision,
                tally: yield* store.tally,
                cameras: cameras.map(summaryOf),
                removed
              }
            }
          })
        })
      })
    )
}

const serverOf = (status: MediaServerStatus): Api.Overview["mediaServer"] => {
  switch (status._tag) {
    case "Unknown":
      return { state: "unknown", since: null, detail: null }
    case "Up":
      return { state: "up", since: status.since, detail: null }
    case "Down":
      return { state: "down", since: status.since, detail: redact(status.detail) }
  }
}

/** The only media server, or the worst of several, and each by its name. */
const serversOf = (
  views: ReadonlyArray<ServerView>
): Pick<Api.Overview, "mediaServer" | "mediaServers"> => {
  const named = views.flatMap(({ name, status }) =>
    name === undefined ? [] : [{ name, ...serverOf(status) }]
  )
  const worst =
    views.find(({ status }) => status._tag === "Down") ??
    views.find(({ status }) => status._tag === "Unknown") ??
    views[0]
  return {
    mediaServer: serverOf(worst?.status ?? { _tag: "Unknown" }),
    ...(named.length > 0 && { mediaServers: named })
  }
}

const clusterOf = ({
  hasJoined,
  hasOthers,
  shards
}: Membership): NonNullable<Api.Overview["cluster"]> => ({ hasJoined, hasOthers, shards })

const databaseOf = (health: SourceHealth): Api.Overview["database"] => {
  switch (health._tag) {
    case "Connecting":
      return { state: "connecting", since: null, lastReadAt: null, detail: null }
    case "Up":
      return { state: "up", since: null, lastReadAt: health.lastSnapshotAt, detail: null }
    case "Down":
      return {
        state: "down",
        since: health.since,
        lastReadAt: health.lastSnapshotAt ?? null,
        detail: redact(health.error.message)
      }
  }
}
