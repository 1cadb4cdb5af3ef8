/**
 * The rows of the last good read, and a fingerprint that tells whether the table has changed since. Pure.
 *
 * The fingerprint is the number of the rows and the sum of the hashes that the server makes of their texts. A
 * table without changes then costs the server a pass over its rows, and this program nothing.
 */
import type { CameraRow } from "./CameraSource.ts"

/** A row, and the server's hash of its text. */
export interface HashedRow {
  readonly row: CameraRow
  readonly hash: bigint
  /** Its shard, in a cluster. */
  readonly shard: number | undefined
}

export interface Fingerprint {
  readonly count: number
  readonly sum: bigint
}

/** Fewer rows are read about as fast as their fingerprint, or as some of them by their ids. */
const fewestRows = 1_000

/** More rows are not read by their ids. */
const mostIds = 1_000

/** After this many reads in a row that found a change, reading the fingerprint first does not pay. */
const mostChanges = 3

export class KnownRows {
  #statement: string | undefined
  #hashed: ReadonlyArray<HashedRow> = []
  #rows: ReadonlyArray<CameraRow> = []
  #sum = 0n
  /** How many reads in a row found a change. */
  #changes = 0

  /** The rows themselves. Unchanged rows are the very same objects, which are compared at once. */
  get rows(): ReadonlyArray<CameraRow> {
    return this.#rows
  }

  /** Whether the rows are worth asking for their fingerprint first, where this statement reads them. */
  isWorthAsking(statement: string): boolean {
    return (
      statement === this.#statement &&
      this.#rows.length >= fewestRows &&
      this.#changes < mostChanges
    )
  }

  /** Whether these are the last rows of the statement, in any order. */
  isUnchanged(statement: string, { count, sum }: Fingerprint): boolean {
    const isSame = statement === this.#statement && count === this.#rows.length && sum === this.#sum
    if (isSame) this.#changes = 0
    return isSame
  }

  /** How many rows there are. */
  get count(): number {
    return this.#rows.length
  }

  /** Whether it is worth reading no rows but those with these ids. */
  isWorthMerging(ids: ReadonlySet<string>): boolean {
    return this.#rows.length >= fewestRows && ids.size <= mostIds
  }

  /** Whether the statement is the one that the rows were read by. */
  isReadBy(statement: string): boolean {
    return statement === this.#statement
  }

  /** The rows with some of them read again: those that are left out, and those in their place. */
  replaced(
    isLeftOut: (row: HashedRow) => boolean,
    fresh: ReadonlyArray<HashedRow>
  ): ReadonlyArray<HashedRow> {
    return [...this.#hashed.filter((row) => !isLeftOut(row)), ...fresh]
  }

  /** Takes the rows of a good read. Returns whether from now on it is not worth asking first. */
  replace(statement: string, hashed: ReadonlyArray<HashedRow>): boolean {
    this.#changes = statement === this.#statement ? this.#changes + 1 : 0
    this.#statement = statement
    this.#take(hashed, fingerprintOf(hashed))
    return this.#changes === mostChanges && hashed.length >= fewestRows
  }

  /**
   * Takes the rows after some of them were read again.
   *
   * @param statement reads all of them from now on.
   */
  update(statement: string, hashed: ReadonlyArray<HashedRow>): void {
    this.#statement = statement
    const fingerprint = fingerprintOf(hashed)
    if (!this.isUnchanged(statement, fingerprint)) this.#take(hashed, fingerprint)
  }

  #take(hashed: ReadonlyArray<HashedRow>, { sum }: Fingerprint): void {
    this.#hashed = hashed
    this.#rows = hashed.map(({ row }) => row)
    this.#sum = sum
  }
}

/**
 * Rows after those with some ids were read again: changed, new or gone. `undefined`: a row has none of these ids, so
 * its id as text is another one for the server.
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
  // a row keeps its place: then those that did not change are found without looking for them
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
