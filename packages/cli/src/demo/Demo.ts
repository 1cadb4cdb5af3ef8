/**
 * The relaying of cameras without any installed service: a real PostgreSQL, simulated cameras, a media server, and
 * the real supervisor.
 *
 * While the demo runs, rows are inserted, changed and deleted. These rows are separate from the healthy cameras,
 * which are all live at the end.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import {
  defaultSettings,
  Dsn,
  type Settings,
  type SettingsError,
  type TableName
} from "@restream/config"
import {
  type CameraRow,
  type CameraStatus,
  CameraTable,
  type MediaServerError,
  Restream,
  StatusStore
} from "@restream/core"
import { EmbeddedPostgres, freePort, type RtspServerError } from "@restream/core/testing"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FileSystem } from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { Path } from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { SqlError } from "effect/sql/SqlError"
import { layer as databaseLayer } from "../database/Database.ts"
import * as HttpServer from "../http/HttpServer.ts"
import * as DemoMediaServer from "./DemoMediaServer.ts"
import * as Programs from "./Programs.ts"
import * as SimulatedCamera from "./SimulatedCamera.ts"

export interface DemoOptions {
  /** The number of cameras that are healthy for the whole demo. */
  readonly cameras: number
  readonly duration: Duration.Duration
  /**
   * The operator's settings. The demo replaces the database, the media server, the FFmpeg programs and the HTTP
   * server.
   */
  readonly settings: Settings
  /** Reports each change of the table and the cameras. */
  readonly onStep: (what: string) => Effect.Effect<void>
}

/** A running demo. */
export interface Demo {
  /** Makes the changes; done at the end of the duration, when the healthy cameras are live. */
  readonly scenario: Effect.Effect<void, SqlError | RtspServerError, Scope.Scope>
  /** Whether the camera with the name is healthy. */
  readonly isHealthy: (name: string) => boolean
  readonly mediaServer: DemoMediaServer.DemoMediaServer
  /** The states of the cameras. */
  readonly status: StatusStore["Service"]
  /** The address of the dashboard while the demo runs. */
  readonly dashboard: string
}

const table: TableName = { schema: undefined, name: "cameras" }

/** Starts everything in the scope. */
export const make = Effect.fnUntraced(function* (
  options: DemoOptions
): Effect.fn.Return<
  Demo,
  | EmbeddedPostgres.EmbeddedPostgresError
  | MediaServerError
  | PlatformError
  | RtspServerError
  | SettingsError
  | SqlError,
  ChildProcessSpawner | FileSystem | Path | Scope.Scope
> {
  const { cluster, mediaServer } = yield* Effect.all(
    { cluster: EmbeddedPostgres.make, mediaServer: DemoMediaServer.make },
    { concurrency: "unbounded" }
  )
  const healthy = yield* Effect.forEach(Array.from({ length: options.cameras }), (_, index) =>
    SimulatedCamera.make({
      name: `Camera ${index + 1}`,
      kind: index,
      hasAudio: index % 2 === 0
    })
  )
  const late = yield* SimulatedCamera.makeOff({ name: "Comes up late", kind: 0, hasAudio: false })
  const locked = yield* SimulatedCamera.make({
    name: "Wrong password",
    kind: 1,
    hasAudio: false,
    wrongPassword: "guess"
  })
  const moving = yield* SimulatedCamera.make({ name: "Changes its URL", kind: 0, hasAudio: true })
  const movedTo = yield* SimulatedCamera.make({ name: moving.name, kind: 0, hasAudio: false })
  const leaving = yield* SimulatedCamera.make({ name: "Is removed", kind: 0, hasAudio: false })
  const joining = yield* SimulatedCamera.make({ name: "Is added", kind: 0, hasAudio: true })

  const dsn = Result.getOrThrow(Dsn.parse(Redacted.value(cluster.dsn)))
  const settings: Settings = {
    ...options.settings,
    database: { ...defaultSettings.database, dsn },
    mediaServer: { ...defaultSettings.mediaServer, port: mediaServer.port },
    ffmpeg: { path: Programs.ffmpeg(), ffprobePath: Programs.ffprobe() },
    // not the default port, which a daemon may use; for this machine only
    http: { ...defaultSettings.http, port: yield* freePort }
  }
  const database = yield* Layer.build(databaseLayer(dsn, settings.database))
  const sql = Context.get(database, PgClient.PgClient)

  const insert = ({ row }: { readonly row: CameraRow }) =>
    sql`insert into cameras ${sql.insert(row)}`
  yield* Effect.forEach(CameraTable.initStatements(table, settings.database.channel), (statement) =>
    sql.unsafe(statement)
  )
  yield* Effect.forEach([...healthy, late, locked, moving, leaving], insert)

  const tree = yield* Layer.build(
    Restream.layer(settings).pipe(
      Layer.provideMerge(Restream.cameraTable(settings, [])),
      Layer.provide(Layer.succeedContext(database))
    )
  )
  const live = yield* SubscriptionRef.make(settings)
  yield* Effect.provideContext(HttpServer.start(live), tree)

  /** Waits for a part of the duration, reports a change, and makes it. */
  const step = <E, R>(part: number, what: string, act: Effect.Effect<unknown, E, R>) =>
    Effect.sleep(Duration.times(options.duration, part)).pipe(
      Effect.andThen(options.onStep(what)),
      Effect.andThen(act)
    )
  const status = Context.get(tree, StatusStore)
  const names = new Set(healthy.map(({ name }) => name))
  /** Waits for a state, at most five times the duration of the demo, because a busy machine is slow. */
  const awaitStatus = (until: (cameras: ReadonlyArray<CameraStatus>) => boolean) =>
    status.all.pipe(
      Effect.repeat({ schedule: Schedule.spaced("50 millis"), until }),
      Effect.timeoutOption(Duration.times(options.duration, 5))
    )
  const lateIsUnreachable = awaitStatus((cameras) =>
    cameras.some(({ name, state }) => name === late.name && state._tag === "Unreachable")
  )
  const healthyAreLive = awaitStatus((cameras) =>
    cameras.every(({ name, state }) => !names.has(name ?? "") || state._tag === "Live")
  )
  const scenario = Effect.gen(function* () {
    // the camera must be seen as unreachable before it is switched on
    const first = Effect.sleep(Duration.times(options.duration, 0.2))
    yield* Effect.all([first, lateIsUnreachable], { concurrency: 2, discard: true })
    yield* step(0, `"${late.name}" is switched on`, late.powerOn)
    yield* step(
      0.15,
      `"${moving.name}" gets another URL in its row`,
      sql`update cameras set url = ${movedTo.row["url"] as string} where name = ${moving.name}`
    )
    yield* step(
      0.15,
      `"${leaving.name}": its row is deleted`,
      sql`delete from cameras where name = ${leaving.name}`
    )
    yield* step(0.1, `"${joining.name}": its row is inserted`, insert(joining))
    yield* Effect.sleep(Duration.times(options.duration, 0.4))
    yield* healthyAreLive
  })

  return {
    scenario,
    isHealthy: (name: string) => names.has(name),
    mediaServer,
    status,
    dashboard: `http://127.0.0.1:${settings.http.port}/`
  }
})
