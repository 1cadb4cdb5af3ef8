/**
 * Resolves conflicts between rows that claim the same id or the same path. Pure.
 *
 * The order of the rows does not matter, because an UPDATE of any column may move a row in the result.
 */
import {
  type Camera,
  type CameraId,
  destinationKey,
  type InvalidCamera,
  relayKey
} from "../camera/Camera.ts"
import type * as CameraDecoder from "./CameraDecoder.ts"

/** All desired cameras of a snapshot. */
export interface CameraSet {
  readonly cameras: ReadonlyMap<CameraId, Camera | InvalidCamera>
  /** The rows whose `enabled` is false. */
  readonly disabled: ReadonlyMap<CameraId, CameraDecoder.DisabledCamera>
  /** The shards that the set covers, see `Snapshot`. `undefined`: all shards. */
  readonly shards?: ReadonlySet<number> | undefined
}

type EnabledRow = Camera | InvalidCamera

export interface Resolved {
  readonly set: CameraSet
  /** The rows whose id belongs to another row. */
  readonly displaced: ReadonlySet<EnabledRow>
}

export const none: Resolved = {
  set: { cameras: new Map(), disabled: new Map() },
  displaced: new Set()
}

/**
 * Of rows with the same id, the row that had the id before keeps it, and the others are invalid. Of cameras with the
 * same path on one media server, the first by id keeps the path.
 *
 * @param before the result for the same rows, or for earlier rows.
 */
export const resolve = (
  rows: ReadonlyArray<CameraDecoder.DecodedRow>,
  before: Resolved
): Resolved => {
  const cameras = new Map<CameraId, EnabledRow>()
  const disabled = new Map<CameraId, CameraDecoder.DisabledCamera>()
  const displaced = new Set<EnabledRow>()
  const pathOwners = new Map<string, CameraId>()
  /** The last number that was appended to each id to make it unique. */
  const counts = new Map<CameraId, number>()
  const enabled: Array<Numbered> = []
  for (const row of rows) {
    if (row._tag === "DisabledCamera") disabled.set(row.id, row)
    else enabled.push({ row, number: numberOf(row.id) })
  }
  for (const { row } of enabled.sort(byPrecedence(before))) {
    let entry = row
    if (cameras.has(entry.id)) {
      displaced.add(row)
      entry = {
        ...asInvalid(entry, `another row has the id ${entry.id}, too`),
        id: unusedId(cameras, counts, entry.id)
      }
    }
    if (entry._tag === "Camera") {
      const destination = destinationKey(entry)
      const owner = pathOwners.get(destination)
      if (owner === undefined) pathOwners.set(destination, entry.id)
      else {
        const server =
          entry.mediaServer === undefined ? "" : ` on media server ${entry.mediaServer.name}`
        entry = asInvalid(entry, `the path ${entry.path}${server} belongs to camera ${owner}`)
      }
    }
    cameras.set(entry.id, entry)
  }
  return { set: { cameras, disabled }, displaced }
}

const asInvalid = (
  { id, isMuted, name, substream, type }: EnabledRow,
  problem: string
): InvalidCamera => ({
  _tag: "InvalidCamera",
  id,
  name,
  type,
  ...(isMuted === true && { isMuted }),
  ...(substream !== undefined && { substream }),
  problem
})

/** Appends a number to an id. Continues from the last number: starting at 2 takes minutes for 100,000 rows. */
const unusedId = (
  taken: ReadonlyMap<CameraId, unknown>,
  counts: Map<CameraId, number>,
  id: CameraId
): CameraId => {
  for (let n = (counts.get(id) ?? 1) + 1; ; n++) {
    const unused = `${id} (${n})` as CameraId
    if (taken.has(unused)) continue
    counts.set(id, n)
    return unused
  }
}

/** Compares numbers by value and text by letter: `9` comes before `10`. */
const order = new Intl.Collator("en", { numeric: true })

interface Numbered {
  readonly row: EnabledRow
  readonly number: number
}

/** The value of an id that is a whole number, else NaN. Comparing numbers is many times faster than comparing texts. */
const numberOf = (id: CameraId): number =>
  /^(?:0|[1-9]\d{0,14})$/.test(id) ? Number(id) : Number.NaN

/** By id. For the same id: the relayed row first, then by content. */
const byPrecedence = ({ displaced, set }: Resolved) => {
  const rank = (row: EnabledRow): number => {
    const holder = set.cameras.get(row.id)
    if (
      row._tag === "Camera" &&
      holder?._tag === "Camera" &&
      contentOf(row) === contentOf(holder)
    ) {
      return 0
    }
    // the row that had the id may have changed, but displaced rows never had it
    return displaced.has(row) ? 2 : 1
  }
  return ({ number: numberA, row: a }: Numbered, { number: numberB, row: b }: Numbered): number => {
    if (numberA < numberB) return -1
    if (numberA > numberB) return 1
    if (a.id !== b.id) return order.compare(a.id, b.id) || compare(a.id, b.id)
    return rank(a) - rank(b) || compare(contentOf(a), contentOf(b)) || compare(a.name, b.name)
  }
}

const contentOf = (row: EnabledRow): string => (row._tag === "Camera" ? relayKey(row) : row.problem)

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
