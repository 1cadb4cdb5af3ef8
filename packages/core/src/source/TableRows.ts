/**
 * Reads the rows of the table that this daemon needs, as cheaply as possible: by their fingerprint, by the ids
 * that a notification named, or, in a cluster with a large table, by the shards of this node.
 *
 * A full read is authoritative. If a smaller read is inconclusive, all rows are read.
 */
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import type { OwnedShards } from "../cluster/Ownership.ts"
import * as Shard from "../cluster/Shard.ts"
import type { CameraRow, CameraSourceError } from "./CameraSource.ts"
import { fingerprintOf, type HashedRow, KnownRows, mergeByIds } from "./KnownRows.ts"
import type { TableHint } from "./Notifications.ts"
import type { Hint, PollingOptions } from "./Polling.ts"
import * as RowQuery from "./RowQuery.ts"
import { codeOf } from "./SqlProblem.ts"

/** Runs a statement, unprepared. */
export type Run = (statement: string) => Effect.Effect<PgConnection.Result, SqlError>

/** The result of statements that read rows. */
export interface Read<A> {
  readonly value: A
  /** Fails if the rows do not have the expected shape. */
  readonly check: (rows: ReadonlyArray<CameraRow>) => Effect.Effect<unknown, CameraSourceError>
}

export interface TableRowsOptions {
  /**
   * Sends statements to the server, in one transaction.
   *
   * @param fetch gets the statement that reads all rows, and its columns.
   */
  readonly read: <A>(
    fetch: (
      run: Run,
      statement: string,
      columns: ReadonlyArray<RowQuery.Column>
    ) => Effect.Effect<A, SqlError>
  ) => Effect.Effect<Read<A>, CameraSourceError>
  /** Whether a row depends on no other row, and has the id by which a trigger names it. */
  readonly isTable: boolean
  /** The shards of this node, in a cluster. */
  readonly shards: OwnedShards | undefined
  readonly notifications: Stream.Stream<TableHint>
}

/** From this many rows on, a node reads only the rows of its shards. */
const fewestSplit = 20_000

/** Below this number of rows, a node that reads only the rows of its shards reads all rows again. */
const fewestStillSplit = 15_000

const undefinedFunction = "42883"

/** How many rows are decoded before other fibers run. */
const rowsInARow = 500

const rowsOf = (hashed: ReadonlyArray<HashedRow>) => hashed.map(({ row }) => row)

/** The shards that were read, each with its object from `OwnedShards.ours`. */
type Shards = ReadonlyMap<number, object>

/** The part of the polling options that reads the rows. */
export const make = Effect.fnUntraced(function* (
  options: TableRowsOptions
): Effect.fn.Return<Pick<PollingOptions, "fetchChanged" | "fetchRows" | "hints" | "shards">> {
  const { read, shards } = options
  const kept = new KnownRows()
  const rereads = yield* Queue.sliding<Hint>(1)
  const moves = yield* Queue.sliding<Hint>(1)
  /** Whether the server has `hashtextextended`: PostgreSQL 11 or later. */
  let hasHashes = true
  /** The ids that notifications named since the last read; `any`: all rows may have changed. */
  let changed: Set<string> | "any" = "any"
  /** The shards whose rows are known; `undefined`: all rows are known. */
  let known: Shards | undefined

  const readHashed = Effect.fnUntraced(function* (
    rows: ReadonlyArray<Readonly<Record<string, unknown>>>
  ) {
    const hashed: Array<HashedRow> = []
    for (const { hash, row: text } of rows) {
      const row = RowQuery.read(String(text))
      const shard = shards && Shard.shardOf(String(row["id"]), shards.count)
      hashed.push({ row, hash: BigInt(String(hash ?? 0)), shard })
      if (hashed.length % rowsInARow === 0) yield* Effect.yieldNow
    }
    return hashed
  })

  /** The shards to read; `undefined`: all rows. */
  const shardsToRead = Effect.fnUntraced(function* (
    run: Run,
    statement: string,
    columns: ReadonlyArray<RowQuery.Column>
  ): Effect.fn.Return<Shards | undefined, SqlError> {
    if (shards === undefined || !hasHashes || !RowQuery.hasPlainId(columns)) return undefined
    const count = kept.isReadBy(statement)
      ? kept.count
      : Number((yield* run(RowQuery.asCount(statement))).rows[0]?.["count"])
    return count >= (known === undefined ? fewestSplit : fewestStillSplit)
      ? shards.ours()
      : undefined
  })

  const ownStatement = (
    statement: string,
    columns: ReadonlyArray<RowQuery.Column>,
    own: Shards | undefined
  ) =>
    own === undefined || shards === undefined
      ? statement
      : RowQuery.withOwn(statement, columns, { shards: own.keys(), count: shards.count })

  const fetchAll = Effect.gen(function* () {
    changed = new Set()
    const hadHashes = hasHashes
    const { check, value } = yield* read((run, all, columns) =>
      Effect.gen(function* () {
        const own = yield* shardsToRead(run, all, columns)
        const statement = ownStatement(all, columns, own)
        if (hasHashes && kept.isWorthAsking(statement)) {
          const { rows } = yield* run(RowQuery.asFingerprint(statement))
          if (kept.isUnchanged(statement, RowQuery.readFingerprint(rows[0]))) {
            return { own, statement, rows: undefined }
          }
        }
        if (!hasHashes) return { own, statement, rows: (yield* run(statement)).rows }
        const { rows } = yield* Effect.tapError(run(RowQuery.asHashedRows(statement)), (error) =>
          Effect.sync(() => {
            hasHashes = codeOf(error) !== undefinedFunction
          })
        )
        return { own, statement, rows }
      })
    ).pipe(Effect.retry({ times: 1, while: () => hadHashes && !hasHashes }))
    const { own, rows, statement } = value
    if (rows !== undefined) {
      const hashed = yield* readHashed(rows)
      if (!hasHashes || !kept.isUnchanged(statement, fingerprintOf(hashed))) {
        yield* check(rowsOf(hashed))
        if (kept.replace(statement, hashed)) yield* logFrequentChanges
      }
    }
    if (own !== undefined && known === undefined) yield* logSplit
    known = own
    if (own !== undefined && !isSameMap(shards?.ours() ?? own, own)) {
      yield* Queue.offer(moves, "back")
    }
    return kept.rows
  })

  /**
   * Reads the rows with these ids, and the rows of gained shards. `undefined`: the result is inconclusive, and all
   * rows have to be read.
   */
  const fetchSome = Effect.fnUntraced(function* (
    ids: ReadonlySet<string>,
    ours: Shards | undefined
  ) {
    const before = known
    const gained =
      shards === undefined || ours === undefined
        ? undefined
        : {
            count: shards.count,
            shards: [...ours].flatMap(([shard, held]) =>
              before?.get(shard) === held ? [] : [shard]
            )
          }
    const { check, value } = yield* read((run, all, columns) =>
      Effect.gen(function* () {
        const isSame = kept.isReadBy(ownStatement(all, columns, before))
        if (!isSame || !RowQuery.hasPlainId(columns)) return undefined
        const fetch = (statement: string) =>
          Effect.map(run(RowQuery.asHashedRows(statement)), ({ rows }) => rows)
        return {
          statement: ownStatement(all, columns, ours),
          ofShards:
            gained === undefined || gained.shards.length === 0
              ? []
              : yield* fetch(RowQuery.withShards(all, gained)),
          withIds: ids.size === 0 ? [] : yield* fetch(RowQuery.withIds(all, ids))
        }
      })
    )
    if (value === undefined) return undefined
    const fresh = yield* readHashed(value.ofShards)
    const isReplaced = ({ shard }: HashedRow) =>
      ours !== undefined && shard !== undefined && before?.get(shard) !== ours.get(shard)
    const merged = mergeByIds(
      kept.replaced(isReplaced, fresh),
      ids,
      yield* readHashed(value.withIds)
    )
    if (merged === undefined) return undefined
    yield* check(rowsOf(merged))
    kept.update(value.statement, merged)
    known = ours
    if (!options.isTable && ids.size > 0) yield* Queue.offer(rereads, "changed")
    return kept.rows
  })

  const fetchChanged = Effect.suspend(() => {
    const named = changed
    if (named === "any" || !hasHashes) return fetchAll
    const ours = known && shards?.ours()
    const count = shards?.count ?? 1
    const ids =
      ours === undefined
        ? named
        : new Set([...named].filter((id) => ours.has(Shard.shardOf(id, count))))
    const hasMoved = ours !== undefined && !isSameMap(ours, known)
    if (ids.size > 0 && !kept.isWorthMerging(ids)) return fetchAll
    if (ids.size === 0 && !hasMoved) return Effect.succeed(kept.rows)
    changed = new Set()
    return fetchSome(ids, ours).pipe(
      // fails if an id of another table is not valid for this table's type
      Effect.orElseSucceed(() => undefined),
      Effect.flatMap((rows) => (rows === undefined ? fetchAll : Effect.succeed(rows)))
    )
  })

  const markAllOnError = <A, E>(fetch: Effect.Effect<A, E>) =>
    Effect.onError(fetch, () =>
      Effect.sync(() => {
        changed = "any"
      })
    )

  const record = (hint: TableHint): Hint => {
    if (typeof hint === "string") {
      changed = "any"
      return hint
    }
    if (changed !== "any") for (const id of hint.ids) changed.add(id)
    return "changed"
  }

  return {
    fetchRows: markAllOnError(fetchAll),
    fetchChanged: markAllOnError(fetchChanged),
    shards: () => known && new Set(known.keys()),
    hints: Stream.mergeAll(
      [
        Stream.map(Stream.merge(options.notifications, Stream.fromQueue(rereads)), record),
        Stream.fromQueue(moves),
        ...(shards === undefined
          ? []
          : [
              shards.came.pipe(
                Stream.filter(() => known !== undefined),
                Stream.map((): Hint => "back")
              )
            ])
      ],
      { concurrency: "unbounded" }
    )
  }
})

const isSameMap = (a: Shards, b: Shards | undefined): boolean =>
  a.size === b?.size && [...a].every(([shard, held]) => b.get(shard) === held)

const logged = Effect.annotateLogs("module", "source")

const logFrequentChanges = logged(
  Effect.logDebug(
    "database: the rows differ at every read, so they are read without asking whether they have changed"
  )
)

const logSplit = logged(
  Effect.logInfo("database: the table is large; reading only the rows of this node's shards")
)
