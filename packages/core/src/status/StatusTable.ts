/**
 * Writes one row per camera to a table of the database, so that SQL can join the cameras with their state.
 *
 * A change of a camera's state is written within a second, and every row is written again every 30 seconds: an older
 * row belongs to a daemon that does not run or cannot write. The writer follows the revision of the status store, so
 * it needs no queue, and after a failure it writes all rows again.
 *
 * The writer has a separate connection: reads of the cameras stay read-only, and a write that hangs delays no read.
 * Nothing else waits for the writer.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { redact, type TableName } from "@restream/config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { CameraId } from "../camera/Camera.ts"
import { columnLines, createSchema, tableSql } from "../source/CameraTable.ts"
import * as SqlProblem from "../source/SqlProblem.ts"
import { Supervisor } from "../supervision/Supervisor.ts"
import * as Deadline from "../time/Deadline.ts"
import * as Monotonic from "../time/Monotonic.ts"
import type { CameraStatus } from "./CameraStatus.ts"
import { Incidents, suffixOf } from "./Incidents.ts"
import { Rates } from "./Rates.ts"
import { StatusStore } from "./StatusStore.ts"

/** The columns of the table, in order. */
export const columns = [
  ["id", "text primary key", "the camera's id as text"],
  ["name", "text", ""],
  ["state", "text not null", "ok, starting, down, waiting or invalid"],
  ["since", "timestamptz not null", "since when the camera is live, or since when it is not"],
  ["reason", "text", "why the camera is not live"],
  ["bitrate", "bigint not null", "bits per second"],
  ["last_video", "timestamptz", "when the last video arrived"],
  ["updated_at", "timestamptz not null", "older than 90 seconds: the row is not up to date"],
  ["instance", "text not null", "the daemon that wrote the row"]
] as const

/** The statements that create the table. All are idempotent, and none changes rows. */
export const initStatements = (table: TableName): ReadonlyArray<string> => [
  ...(table.schema === undefined ? [] : [createSchema(table.schema)]),
  // free space in each page for new versions of its rows
  `create table if not exists ${tableSql(table)} (\n${columnLines(columns)}\n) with (fillfactor = 50)`
]

/** The statement that grants the rights of the daemon's role. @param role quoted for SQL if needed. */
export const grantStatement = (table: TableName, role: string): string =>
  `grant select, insert, update, delete on ${tableSql(table)} to ${role}`

export interface StatusTableOptions {
  readonly table: TableName
  /** Names this daemon in its rows; the boot id of the status store is appended. */
  readonly hostname: string
  /** Default 1 second. */
  readonly interval?: Duration.Input | undefined
  /** The interval at which unchanged rows are written again. Default 30 seconds. */
  readonly refreshInterval?: Duration.Input | undefined
  /** Timeout of one statement. Default 10 seconds. */
  readonly statementTimeout?: Duration.Input | undefined
  /** Delay after a failure. Default 10 seconds. */
  readonly retryDelay?: Duration.Input | undefined
}

/** How long closing the layer waits for the connection to close. */
const closeTimeout = Duration.millis(500)

/** Rows of other daemons that are older than this are deleted. */
const abandonedAfter = "2 minutes"

/** The maximum number of rows in one statement, and of unchanged rows per round: relays wait meanwhile. */
const chunkSize = 500

interface Problem {
  /** Problems of the same kind are the same problem. */
  readonly kind: string
  readonly message: string
}

const upsert = (table: string): string => `insert into ${table} as kept
    (id, name, state, since, reason, bitrate, last_video, updated_at, instance)
  select id, nullif(name, ''), state, since::timestamptz, nullif(reason, ''), bitrate::bigint,
    nullif(last_video, '')::timestamptz, now(), $8
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    as fresh (id, name, state, since, reason, bitrate, last_video)
  order by id
  on conflict (id) do update set name = excluded.name, state = excluded.state, since = excluded.since,
    reason = excluded.reason, bitrate = excluded.bitrate, last_video = excluded.last_video,
    updated_at = excluded.updated_at, instance = excluded.instance`

const removal = (table: string): string =>
  `delete from ${table} where id = any($1::text[]) and instance = $2`

/** Deletes leftover rows of earlier daemons, and rows of ours whose removal was missed. */
const sweep = (table: string): string => `delete from ${table}
  where not (id = any($1::text[])) and (instance = $2 or updated_at < now() - interval '${abandonedAfter}')`

/** Removes zero bytes, which PostgreSQL cannot store. */
const clean = (text: string): string => text.replaceAll("\0", "")

const timeOf = (at: number | undefined): string =>
  at === undefined ? "" : new Date(at).toISOString()

/** The parameters of {@link upsert}, one array per column; an empty text means null. */
const parametersOf = (
  statuses: ReadonlyArray<CameraStatus>,
  bitrate: (status: CameraStatus) => number
): ReadonlyArray<ReadonlyArray<string>> => [
  statuses.map(({ id }) => clean(id)),
  statuses.map(({ name }) => clean(name)),
  statuses.map(({ word }) => word),
  statuses.map(({ since }) => timeOf(since)),
  statuses.map(({ problem, reason }) => clean(redact(problem ?? reason?.message ?? ""))),
  statuses.map((status) => String(status.word === "ok" ? Math.round(bitrate(status)) : 0)),
  statuses.map(({ lastVideoAt }) => timeOf(lastVideoAt))
]

const problemOf = (table: string, error: SqlError): Problem => {
  const code = SqlProblem.codeOf(error)
  const is = (message: string): Problem => ({ kind: code ?? message, message })
  switch (code) {
    case "42P01":
      return is(`status table ${table} does not exist; create it: restream db init --status`)
    case "42501":
      return is(
        `the role of PG_DSN may not write the status table ${table}; grant it select, insert, update and delete on the table (restream db init --status --print prints the statement)`
      )
    case "42703":
    case "42804":
    case "42P10":
    case "23502":
      return is(
        `status table ${table} has other columns than restream db init --status gives it: ${SqlProblem.describe(error)}`
      )
    case "25006":
      return is(`status table ${table} cannot be written: the database is read-only`)
    default: {
      const detail = SqlProblem.describe(error)
      return {
        kind: code ?? error.reason._tag,
        message: `status table ${table} cannot be written: ${detail}`
      }
    }
  }
}

const make = Effect.fnUntraced(function* (options: StatusTableOptions) {
  const { config } = yield* PgClient.PgClient
  const store = yield* StatusStore
  const rates = yield* Rates
  const supervisor = yield* Supervisor
  const table = tableSql(options.table)
  const label = [options.table.schema, options.table.name]
    .filter((part) => part !== undefined)
    .join(".")
  const instance = `${options.hostname}/${store.boot}`
  const refreshMs = Duration.toMillis(
    Duration.fromInputUnsafe(options.refreshInterval ?? "30 seconds")
  )
  const timeout = options.statementTimeout ?? "10 seconds"
  const incidents = new Incidents<string>()

  const onWritten = Effect.gen(function* () {
    const notice = incidents.succeeded(label, yield* Monotonic.now)
    if (notice === "resolved") yield* Effect.logInfo(`status table ${label} is up to date again`)
    else if (notice === "stable") yield* Effect.logInfo(`status table ${label} is stable`)
  })

  const onFailed = Effect.fnUntraced(function* ({ kind, message }: Problem) {
    const notice = incidents.failed(label, kind, yield* Monotonic.now)
    yield* Effect.logWithLevel(notice === undefined ? "Debug" : "Warn")(
      `${message}; relays are unaffected${suffixOf(notice)}`
    )
  })

  /** One session: writes until a statement fails. */
  const session = Effect.gen(function* () {
    const fail = (error: SqlError) => problemOf(label, error)
    // closed after the connection: a query on a connection that a proxy dropped is not interrupted at once
    const queries = yield* Scope.fork(yield* Effect.scope)
    const connection = yield* Effect.mapError(PgConnection.make(config), fail)

    const run = Effect.fnUntraced(function* (
      statement: string,
      parameters: ReadonlyArray<unknown>
    ) {
      const fiber = yield* Effect.forkIn(connection.query(statement, parameters, false), queries)
      yield* Effect.mapError(Fiber.join(fiber), fail).pipe(
        Deadline.within(timeout, () =>
          Effect.fail<Problem>({
            kind: "timeout",
            message: `status table ${label} cannot be written: no response within ${Duration.format(Duration.fromInputUnsafe(timeout))}`
          })
        )
      )
    })

    let revision = 0
    let sweptAtMs = 0
    /** When each row was written, the oldest first. */
    const written = new Map<CameraId, number>()

    /** The unchanged rows that are due to be written again. */
    const dueRows = Effect.fnUntraced(function* (changed: ReadonlySet<CameraId>, nowMs: number) {
      const due: Array<CameraStatus> = []
      for (const [id, at] of written) {
        if (nowMs - at < refreshMs || due.length === chunkSize) break
        const status = changed.has(id) ? undefined : yield* store.get(id)
        if (status !== undefined) due.push(status)
      }
      return due
    })

    for (;;) {
      const nowMs = yield* Monotonic.now
      const { cameras, isComplete, removed, revision: next } = yield* store.changedSince(revision)
      if (isComplete) written.clear()
      const statuses = [
        ...cameras,
        ...(yield* dueRows(new Set(cameras.map(({ id }) => id)), nowMs))
      ]
      for (let at = 0; at < statuses.length; at += chunkSize) {
        const chunk = statuses.slice(at, at + chunkSize)
        const rows = parametersOf(chunk, ({ id }) => rates.current(id))
        yield* run(upsert(table), [...rows, instance])
        for (const { id } of chunk) {
          written.delete(id)
          written.set(id, nowMs)
        }
      }
      for (const id of removed) written.delete(id)
      if (isComplete || nowMs - sweptAtMs >= refreshMs) {
        yield* run(sweep(table), [[...written.keys()].map(clean), instance])
        sweptAtMs = nowMs
      } else if (removed.length > 0) yield* run(removal(table), [removed.map(clean), instance])
      revision = next
      yield* onWritten
      yield* Effect.sleep(options.interval ?? "1 second")
    }
  }).pipe(Effect.scoped)

  const writer = yield* session.pipe(
    Effect.catch(onFailed),
    Effect.catchDefect((defect) =>
      Effect.logError(`status table ${label}: internal error`, defect)
    ),
    Effect.andThen(Effect.sleep(options.retryDelay ?? "10 seconds")),
    Effect.forever,
    // before the first read the store is empty, which says nothing about the cameras
    (forever) => Effect.andThen(supervisor.ready, forever),
    Effect.annotateLogs("module", "daemon"),
    Effect.forkDetach
  )
  // the relays end after this, so a statement that hangs must not delay the shutdown
  yield* Effect.addFinalizer(() => {
    writer.interruptUnsafe()
    return Effect.timeoutOption(Fiber.await(writer), closeTimeout)
  })
})

/** Updates the table in the layer's scope. Never fails: problems are logged once. */
export const layer = (
  options: StatusTableOptions
): Layer.Layer<never, never, PgClient.PgClient | Rates | StatusStore | Supervisor> =>
  Layer.effectDiscard(make(options))
