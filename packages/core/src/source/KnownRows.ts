/**
 * The rows of the last successful read, and a fingerprint that shows whether the table has changed since. Pure.
 *
 * The fingerprint is the number of rows and the sum of the hashes that the server computes of their texts. Reading an
 * unchanged table then costs the server a scan of its rows, and this program nothing.
 */
import type { CameraRow } from "./CameraSource.ts"

/** A row, and the server's hash of its text. */
export interface HashedRow {
  readonly row: CameraRow
  readonly hash: bigint
  /** The shard of the row, in a cluster. */
  readonly shard: number | undefined
}

export interface Fingerprint {
  readonly count: number
  readonly sum: bigint
}

/** A smaller table is read about as fast as its fingerprint, or as some of its rows by their ids. */
const fewestRows = 1_000

/** More rows are not read by their ids. */
const mostIds = 1_000

/** After this many consecutive reads with a change, reading the fingerprint first is not worth its cost. */
const mostChanges = 3

export class KnownRows {
  #statement: string | undefined
  #hashed: ReadonlyArray<HashedRow> = []
  #rows: ReadonlyArray<CameraRow> = []
  #sum = 0n
  /** Consecutive reads that found a change. */
  #changes = 0

  /** The rows. Unchanged rows are identical objects, which makes comparing them cheap. */
  get rows(): ReadonlyArray<CameraRow> {
    return this.#rows
  }

  /** Whether reading the fingerprint of this statement's rows first is worth its cost. */
  isWorthAsking(statement: string): boolean {
    return (
      statement === this.#statement &&
      this.#rows.length >= fewestRows &&
      this.#changes < mostChanges
    )
  }

  /** Whether the rows of the statement are unchanged, in any order. */
  isUnchanged(statement: string, { count, sum }: Fingerprint): boolean {
    const isSame = statement === this.#statement && count === this.#rows.length && sum === this.#sum
    if (isSame) this.#changes = 0
    return isSame
  }

  get count(): number {
    return this.#rows.length
  }

  /** Whether reading only the rows with these ids is worth it. */
  isWorthMerging(ids: ReadonlySet<string>): boolean {
    return this.#rows.length >= fewestRows && ids.size <= mostIds
  }

  /** Whether the rows were read by this statement. */
  isReadBy(statement: string): boolean {
    return statement === this.#statement
  }

  /** The rows with fresh rows in place of those that are left out. */
  replaced(
    isLeftOut: (row: HashedRow) => boolean,
    fresh: ReadonlyArray<HashedRow>
  ): ReadonlyArray<HashedRow> {
    return [...this.#hashed.filter((row) => !isLeftOut(row)), ...fresh]
  }

  /** Stores the rows of a successful read. Returns whether reading the fingerprint first has just become useless. */
  replace(statement: string, hashed: ReadonlyArray<HashedRow>): boolean {
    this.#changes = statement === this.#statement ? this.#changes + 1 : 0
    this.#statement = statement
    this.#store(hashed, fingerprintOf(hashed))
    return this.#changes === mostChanges && hashed.length >= fewestRows
  }

  /**
   * Stores the rows after some of them were read again.
   *
   * @param statement reads all rows from now on.
   */
  update(statement: string, hashed: ReadonlyArray<HashedRow>): void {
    this.#statement = statement
    const fingerprint = fingerprintOf(hashed)
    if (!this.isUnchanged(statement, fingerprint)) this.#store(hashed, fingerprint)
  }

  #store(hashed: ReadonlyArray<HashedRow>, { sum }: Fingerprint): void {
    this.#hashed = hashed
    this.#rows = hashed.map(({ row }) => row)
    this.#sum = sum
  }
}

/**
 * Replaces the rows that have these ids: changed, new or deleted rows. `undefined`: a fresh row has none of these ids,
 * so the server writes its id as another text.
 */
export const mergeByIds = (
  rows: ReadonlyArray<HashedRow>,
  ids: ReadonlySet<string>,
  fresh: ReadonlyArray<HashedRow>
): ReadonlyArray<HashedRow> | undefined => {
  const byId = new Map<string, Array<HashedRow>>()
  for (const hashed of fresh) {
    const id = String(hashed.row["id"])
    if (!ids.has(id)) return undefined
    const known = byId.get(id)
    if (known === undefined) byId.set(id, [hashed])
    else known.push(hashed)
  }
  // rows keep their positions, so that unchanged rows are found by position
  const merged = rows.flatMap((hashed) => {
    const id = String(hashed.row["id"])
    return ids.has(id) ? (byId.get(id)?.splice(0, 1) ?? []) : [hashed]
  })
  return [...merged, ...[...byId.values()].flat()]
}

export const fingerprintOf = (rows: ReadonlyArray<HashedRow>): Fingerprint => {
  let sum = 0n
  for (const { hash } of rows) sum += hash
  return { count: rows.length, sum }
}
