/** The list of cameras of the settings: a table of a database, or a file. */
import { type CameraList, Dsn, oneLine, type Settings, type SettingsError } from "@restream/config"
import {
  type CameraRow,
  type CameraSource,
  type CameraType,
  FileCameraSource,
  PgCameraSource,
  type Rates,
  Restream,
  type StatusStore,
  type Supervisor,
  UnreadColumns
} from "@restream/core"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { FileSystem } from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { ignoredParameters, layer as databaseLayer } from "../database/Database.ts"

/** For the log: `database db/cameras`. */
export const describe = (list: CameraList): string =>
  list._tag === "File" ? `camera file ${list.file}` : `database ${Dsn.show(list.dsn)}`

/** One line each, for an operator. */
export const warnings = (
  list: CameraList,
  { cluster, database }: Pick<Settings, "cluster" | "database">
): ReadonlyArray<string> => {
  if (list._tag === "File") {
    const unused = [
      ...(database.statusTable === undefined ? [] : ["database.statusTable"]),
      ...(cluster.enabled ? ["cluster.enabled"] : [])
    ]
    return unused.map(
      (name) => `${name} has no effect: the cameras are listed in a file (source.file)`
    )
  }
  return list.dsn.ignored.length > 0 ? [`database: ${ignoredParameters(list.dsn)}`] : []
}

/**
 * The source of the cameras. The lock that selects one of several daemons is a lock of the database, so a file has
 * none.
 */
export const layer = (
  list: CameraList,
  live: SubscriptionRef.SubscriptionRef<Settings>,
  types: ReadonlyArray<CameraType.CameraType>,
  interrupted: AbortSignal
): Layer.Layer<CameraSource, SettingsError, FileSystem> => {
  if (list._tag === "File") return Restream.cameraFile(list.file, live, types)
  const settings = SubscriptionRef.getUnsafe(live)
  const database = databaseLayer(list.dsn, settings.database, interrupted)
  return Restream.cameraTable(live, types).pipe(
    Layer.provideMerge(
      settings.cluster.enabled
        ? cluster(list.dsn, settings, interrupted)
        : Restream.guard(settings).pipe(Layer.provide(database))
    ),
    Layer.provide(database)
  )
}

/** One connection for the locks, and two for other queries of the cluster. */
const clusterConnections = 3

const cluster = (
  dsn: Dsn.Dsn,
  settings: Settings,
  interrupted: AbortSignal
): Layer.Layer<never, SettingsError, FileSystem> =>
  Restream.cluster(settings).pipe(
    Layer.provide(
      databaseLayer(dsn, settings.database, interrupted, {
        applicationName: `restream@${Restream.nodeNameOf(settings)}`.slice(0, 63),
        maxConnections: clusterConnections
      })
    )
  )

/** Writes the state of the cameras to the database of the list, if the settings enable it. */
export const statusTable = (
  list: CameraList,
  settings: Settings,
  interrupted: AbortSignal
): Layer.Layer<never, SettingsError, FileSystem | Rates | StatusStore | Supervisor> =>
  list._tag === "File"
    ? Layer.empty
    : Restream.statusTable(settings).pipe(
        Layer.provide(databaseLayer(list.dsn, settings.database, interrupted))
      )

/** The list could not be read; one line. */
export class ListProblem extends Data.TaggedError("ListProblem")<{ readonly message: string }> {}

/** Reads all rows once, with warnings for the operator, one line each. */
export const fetch = (
  list: CameraList,
  settings: Settings,
  known: ReadonlySet<string> | undefined
): Effect.Effect<
  { readonly rows: ReadonlyArray<CameraRow>; readonly warnings: ReadonlyArray<string> },
  ListProblem | SettingsError,
  FileSystem
> =>
  Effect.map(
    list._tag === "File" ? fetchFile(list.file) : fetchTable(list.dsn, settings, known),
    ({ columns, rows, warning }) => {
      const label = list._tag === "File" ? "camera file" : "database"
      const unread = known && UnreadColumns.describe(columns, known)?.message
      const all = [warning, unread].flatMap((one) =>
        one === undefined ? [] : [`${label}: ${one}`]
      )
      return { rows, warnings: [...warnings(list, settings), ...all].map(oneLine) }
    }
  )

const fetchFile = (file: string) =>
  Effect.mapError(
    FileCameraSource.fetchResult(file),
    ({ message }) => new ListProblem({ message: `camera file: ${message}` })
  )

const fetchTable = (dsn: Dsn.Dsn, settings: Settings, known: ReadonlySet<string> | undefined) => {
  const problem = (message: string) => new ListProblem({ message: `database: ${message}` })
  const { queryTimeout } = settings.database
  return PgCameraSource.fetchRows(Restream.cameraQuery(settings), known).pipe(
    Effect.timeoutOrElse({
      duration: queryTimeout,
      orElse: () => Effect.fail(problem(`no response within ${Duration.format(queryTimeout)}`))
    }),
    Effect.mapError((error) => (error._tag === "ListProblem" ? error : problem(error.message))),
    Effect.map((result) => ({ ...result, warning: undefined })),
    Effect.provide(databaseLayer(dsn, settings.database))
  )
}
