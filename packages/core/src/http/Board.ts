/** What the handlers read: the services of the tree, as documents of the API. */
import { redact } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { CameraId } from "../camera/Camera.ts"
import { MediaServer, type MediaServerStatus } from "../media-server/MediaServer.ts"
import { ServerPaths } from "../media-server/ServerPaths.ts"
import { playerUrls } from "../player/PlayerUrls.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { CameraSource, type SourceHealth } from "../source/CameraSource.ts"
import { CameraLog } from "../status/CameraLog.ts"
import { causesOf } from "../status/Causes.ts"
import { tallyOf } from "../status/OperatorView.ts"
import { Rates } from "../status/Rates.ts"
import type { CameraStatus } from "../status/CameraStatus.ts"
import { StatusStore } from "../status/StatusStore.ts"
import { Ownership } from "../cluster/Ownership.ts"
import type * as Api from "./Api.ts"
import * as Views from "./Views.ts"

export class Board extends Context.Service<
  Board,
  {
    readonly boot: string
    readonly revision: Effect.Effect<number>
    readonly overview: Effect.Effect<Api.Overview>
    readonly cameras: Effect.Effect<ReadonlyArray<Api.CameraSummary>>
    readonly camera: (id: CameraId) => Effect.Effect<Api.CameraDetail | undefined>
    /** The bitrates of the last hour, by the minute. */
    readonly bitrates: (id: CameraId) => ReadonlyArray<number>
    /** What changed after a revision; 0 gives all cameras. */
    readonly changesSince: (
      revision: number
    ) => Effect.Effect<{ readonly isComplete: boolean; readonly changes: Api.CameraChanges }>
  }
>()("@restream/core/http/Board") {
  /** @param version of the program, for the overview. */
  static readonly layer = (
    version: string
  ): Layer.Layer<
    Board,
    never,
    CameraLog | CameraSource | LiveSettings | MediaServer | Rates | StatusStore
  > =>
    Layer.effect(
      Board,
      Effect.gen(function* () {
        const store = yield* StatusStore
        const rates = yield* Rates
        const log = yield* CameraLog
        const mediaServer = yield* MediaServer
        const source = yield* CameraSource
        const settings = yield* LiveSettings
        const serverPaths = yield* ServerPaths
        const { node } = yield* Ownership
        const sources: Views.StreamSources = {
          bitrateOf: rates.current,
          reportOf: (path) => serverPaths.get(path)
        }
        const summaryOf = (status: CameraStatus) => Views.summaryOf(status, sources)
        const startedAt = yield* Clock.currentTimeMillis

        return Board.of({
          boot: store.boot,
          revision: store.revision,
          cameras: Effect.map(store.all, (all) => all.map(summaryOf)),
          bitrates: (id) => rates.history(id).minutes,
          camera: Effect.fnUntraced(function* (id) {
            const status = yield* store.get(id)
            if (status === undefined) return undefined
            const { mediaServer } = SubscriptionRef.getUnsafe(settings)
            const { path } = status
            return Views.detailOf(status, {
              ...sources,
              history: rates.history(id),
              timeline: yield* store.timeline(id),
              log: log.lines(id),
              playerUrls: path === undefined ? undefined : playerUrls({ path }, mediaServer)
            })
          }),
          overview: Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            const all = yield* store.all
            const server = yield* mediaServer.status
            const health = yield* source.health
            const causes = causesOf(all, {
              mediaServer: server,
              api: serverPaths.apiStatus(),
              offlinePaths: serverPaths.offlinePaths(),
              source: health,
              now
            })
            return {
              version,
              ...(node !== undefined && { node }),
              boot: store.boot,
              revision: yield* store.revision,
              now,
              startedAt,
              tally: tallyOf(all),
              causes: causes.map(Views.causeOf),
              bitrate: rates.total(),
              mediaServer: serverOf(server),
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
                tally: tallyOf(yield* store.all),
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
