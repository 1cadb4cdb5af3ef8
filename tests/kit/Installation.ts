/**
 * A whole installation: the tree that `restream run` runs, on a real PostgreSQL, between cameras and a
 * media server on real sockets, with its log and the history of its cameras.
 */
import { NodeServices } from "@effect/platform-node"
import type { PgClient } from "@effect/sql-pg"
import { databaseLayer, Programs } from "@restream/cli/demo"
import { load, parseTableName, requireDsn, type Settings } from "@restream/config"
import {
  type CameraId,
  type CameraRow,
  CameraSource,
  type CameraState,
  type CameraStatus,
  CameraTable,
  type MediaServer,
  MediaServers,
  Restream,
  StatusStore,
  type StatusChange,
  Supervisor
} from "@restream/core"
import { Context, Effect, Layer, Redacted, Result, type Scope, Stream } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { client, freshDatabase, type Postgres } from "./Postgres.ts"
import * as Log from "./Log.ts"

/** What a file of settings would say. */
export type Given = Record<string, Record<string, unknown>>

export interface Installation {
  readonly settings: Settings
  readonly log: Log.Log
  readonly status: StatusStore["Service"]
  readonly source: CameraSource["Service"]
  readonly mediaServer: MediaServer["Service"]
  readonly supervisor: Supervisor["Service"]
  /** Every change of a state so far, with its time in milliseconds since 1970. */
  readonly history: ReadonlyArray<StatusChange & { readonly at: number }>
  /** Done when a camera is in a state that fits, or has been since the nth change of all. */
  readonly awaitState: <Tag extends CameraState.Tag>(
    id: number,
    tag: Tag,
    fits?: (state: Extract<CameraState.CameraState, { readonly _tag: Tag }>) => boolean
  ) => Effect.Effect<Extract<CameraState.CameraState, { readonly _tag: Tag }>>
  /** Done when a condition on the cameras holds; it is looked at after each change of a state. */
  readonly until: (
    condition: (cameras: ReadonlyMap<string, CameraStatus>) => boolean
  ) => Effect.Effect<void>
}

/** The settings for a database and a media server, with whatever else is given. */
export const settingsOf = (
  dsn: Redacted.Redacted,
  mediaServerPort: number,
  given: Given = {}
): Settings => {
  const text = JSON.stringify({
    ...given,
    mediaServer: { port: mediaServerPort, ...given["mediaServer"] },
    ffmpeg: { path: Programs.ffmpeg(), ffprobePath: Programs.ffprobe(), ...given["ffmpeg"] }
  })
  return Result.getOrThrow(
    load({ file: { name: "test", text }, env: { PG_DSN: Redacted.value(dsn) } })
  ).settings
}

/** Starts the tree in the scope. */
export const start = Effect.fnUntraced(function* (
  settings: Settings
): Effect.fn.Return<Installation, never, Scope.Scope> {
  const log = Log.make()
  const dsn = Result.getOrThrow(requireDsn(settings))
  const tree = Restream.statusTable(settings).pipe(
    Layer.provideMerge(Restream.layer(settings)),
    Layer.provideMerge(Restream.cameraTable(settings, [])),
    Layer.provide(databaseLayer(dsn, settings.database)),
    Layer.provide(NodeServices.layer),
    Layer.orDie
  )
  const services = yield* log.capture(Layer.build(tree))
  const status = Context.get(services, StatusStore)

  const history: Array<StatusChange & { readonly at: number }> = []
  const watchers = new Set<() => void>()
  const runSync = Effect.runSyncWith(yield* Effect.context<never>())
  yield* status.changes.pipe(
    Stream.runForEach((change) =>
      Effect.sync(() => {
        history.push({ ...change, at: Date.now() })
        for (const watcher of watchers) watcher()
      })
    ),
    Effect.forkScoped({ startImmediately: true })
  )
  const until = (
    condition: (cameras: ReadonlyMap<string, CameraStatus>) => boolean,
    what = "the cameras' states"
  ) =>
    Effect.callback<void>((resume) => {
      const look = () => {
        const all = runSync(status.all)
        if (!condition(new Map(all.map((camera) => [camera.id, camera])))) return
        watchers.delete(look)
        // the state is published before its line is written: the camera's fiber first
        resume(Effect.sleep(0))
      }
      watchers.add(look)
      look()
      const startedAt = performance.now()
      return Effect.sync(() => {
        watchers.delete(look)
        Log.sayWaited(startedAt, what, log.lines())
      })
    })

  return {
    settings,
    log,
    status,
    source: Context.get(services, CameraSource),
    mediaServer: Context.get(services, MediaServers).all()[0]!.health,
    supervisor: Context.get(services, Supervisor),
    history,
    until,
    awaitState: (id, tag, fits = () => true) => {
      type Wanted = Parameters<typeof fits>[0]
      let found: Wanted | undefined
      return Effect.map(
        until((cameras) => {
          const state = cameras.get(String(id))?.state
          if (state?._tag !== tag || !fits(state as Wanted)) return false
          found = state as Wanted
          return true
        }, `camera ${id} to be ${tag}`),
        () => found!
      )
    }
  }
})

const table = parseTableName("cameras")!

/** A database of its own with the default table, and its owner's client. */
export const database: Effect.Effect<
  { readonly dsn: Redacted.Redacted; readonly sql: PgClient.PgClient },
  SqlError,
  Postgres | Scope.Scope
> = Effect.gen(function* () {
  const dsn = yield* freshDatabase
  const sql = yield* client(dsn)
  yield* makeTable(sql)
  return { dsn, sql }
})

/** Makes the default table with its trigger. */
export const makeTable = (sql: PgClient.PgClient) =>
  Effect.forEach(
    CameraTable.initStatements(table, "restream_cameras"),
    (statement) => sql.unsafe(statement),
    { discard: true }
  )

/** Adds rows in one statement. */
export const addRows = (
  sql: PgClient.PgClient,
  rows: ReadonlyArray<CameraRow>
): Effect.Effect<void, SqlError> =>
  Effect.asVoid(
    sql`insert into cameras overriding system value
      select * from json_populate_recordset(null::cameras, ${JSON.stringify(
        rows.map((row) => ({ type: "url", enabled: true, ...row }))
      )}::json)`
  )

/** A row with an address. */
export const row = (id: number, url: string, more: CameraRow = {}): CameraRow => ({
  id,
  name: `Camera ${id}`,
  url,
  ...more
})

export const idOf = (id: number): CameraId => String(id) as CameraId
