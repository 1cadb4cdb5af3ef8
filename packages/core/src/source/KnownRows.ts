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
}

export interface Fingerprint {
  readonly count: number
  readonly sum: bigint
}

/** Fewer rows are read about as fast as their fingerprint. */
const fewestRows = 1_000

/** After so many reads in a row that found a change, asking for the fingerprint first does not pay. */
const mostChanges = 3

export class KnownRows {
  #statement: string | undefined
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

  /** Whether these are the rows that the statement gave last, in whatever order. */
  isUnchanged(statement: string, { count, sum }: Fingerprint): boolean {
    const isSame = statement === this.#statement && count === this.#rows.length && sum === this.#sum
    if (isSame) this.#changes = 0
    return isSame
  }

  /** Takes the rows of a good read. Returns whether from now on it is not worth asking first. */
  replace(statement: string, hashed: ReadonlyArray<HashedRow>): boolean {
    this.#changes = statement === this.#statement ? this.#changes + 1 : 0
    this.#statement = statement
    this.#rows = hashed.map(({ row }) => row)
    this.#sum = fingerprintOf(hashed).sum
    return this.#changes === mostChanges && hashed.length >= fewestRows
  }
}

export const fingerprintOf = (rows: ReadonlyArray<HashedRow>): Fingerprint => {
  let sum = 0n
  for (const { hash } of rows) sum += hash
  return { count: rows.length, sum }
}
