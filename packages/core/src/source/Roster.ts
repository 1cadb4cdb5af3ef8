/**
 * Reads the rows of a snapshot as cameras.
 *
 * Each row is read on its own: one that makes no camera becomes an {@link InvalidCamera} with its
 * problem, and all others run.
 */
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import type { CameraTypes } from "../camera-type/CameraTypes.ts"
import type { Columns } from "../camera-type/CameraType.ts"
import type { Camera, CameraId, InvalidCamera } from "../camera/Camera.ts"
import { type CameraOptions, parseOptions, withDefaults } from "../camera/CameraOptions.ts"
import * as MediaPath from "../camera/MediaPath.ts"
import { oneLine, SettingType } from "@restream/config"

/** One row as the source gave it: column names and values. */
export type CameraRow = Readonly<Record<string, unknown>>

/** The cameras that a snapshot asks for. */
export interface Roster {
  readonly cameras: ReadonlyMap<CameraId, Camera | InvalidCamera>
  /** The ids of the rows that are switched off by `enabled`. */
  readonly disabled: ReadonlySet<CameraId>
}

export interface RosterOptions {
  readonly types: CameraTypes["Service"]
  /** The path of a row that has none, such as `cam{id}`. Any scalar column may stand in it. */
  readonly pathTemplate: string
  readonly defaults: CameraOptions
}

/** What a row alone says, before rows are compared with each other. */
type Reading = { readonly _tag: "Disabled"; readonly id: CameraId } | Camera | InvalidCamera

/** The columns that hold something: NULL and empty texts count as missing. */
const holding = (row: CameraRow): Columns => {
  const columns: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(row)) {
    if (value !== null && value !== undefined && value !== "") columns[name] = value
  }
  return columns
}

const shownScalar = (value: unknown): string | undefined => {
  switch (typeof value) {
    case "string":
      return value
    case "number":
    case "bigint":
    case "boolean":
      return String(value)
    default:
      return undefined
  }
}

/** Any value as text: a program may give a date or a list for an id; PostgreSQL's are texts and JSON. */
const shown = (value: unknown): string | undefined => {
  if (typeof value !== "object" || value === null) return shownScalar(value)
  try {
    // JSON would put a date into quotes
    return value instanceof Date ? value.toISOString() : JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** The columns that may stand in a path template; the ones that hold secrets may not. */
const pathValues = (columns: Columns): Record<string, string> => {
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(columns)) {
    const text = name === "id" ? shown(value) : shownScalar(value)
    if (text !== undefined && name !== "password" && name !== "url") values[name] = text
  }
  return values
}

/** What a row is called, whatever else is wrong with it. */
const identify = (columns: Columns, position: number) => {
  const id = shown(columns["id"])
  return {
    id: oneLine(id ?? `row ${position + 1}`) as CameraId,
    name: oneLine(shownScalar(columns["name"]) ?? id ?? `row ${position + 1}`),
    type: oneLine(shownScalar(columns["type"]) ?? "url")
  }
}

/** A row whose reading throws an error makes no camera, and keeps no other from being one. */
const readRow = (row: CameraRow, position: number, options: RosterOptions): Reading => {
  const columns = holding(row)
  const identity = identify(columns, position)
  try {
    return readColumns(columns, identity, options)
  } catch {
    // the message of a thrown error may hold the row's secrets
    const problem = `reading the row as type ${identity.type} threw an error`
    return { _tag: "InvalidCamera", ...identity, problem }
  }
}

const readColumns = (
  columns: Columns,
  identity: ReturnType<typeof identify>,
  options: RosterOptions
): Reading => {
  const id = shown(columns["id"])
  const problems: Array<string> = []

  const enabled =
    columns["enabled"] === undefined
      ? Result.succeed(true)
      : SettingType.boolean.parse(columns["enabled"])
  if (Result.isFailure(enabled)) problems.push(`column enabled: ${enabled.failure}`)
  else if (!enabled.success) return { _tag: "Disabled", id: identity.id }

  if (id === undefined) {
    problems.push(`column id ${"id" in columns ? "has no text that shows it" : "is missing"}`)
  }

  const chosen = parseOptions(columns["options"])
  if (Result.isFailure(chosen)) problems.push(...chosen.failure)

  const given = shownScalar(columns["path"])
  const path =
    given === undefined
      ? MediaPath.fromTemplate(options.pathTemplate, pathValues(columns))
      : MediaPath.parse(given)
  // without an id the template can't be filled, and that was said already
  if (Result.isFailure(path) && !(given === undefined && id === undefined)) {
    problems.push(path.failure)
  }

  const url = options.types.toUrl(identity.type, columns)
  if (Result.isFailure(url)) problems.push(url.failure.message)

  if (
    problems.length > 0 ||
    Result.isFailure(path) ||
    Result.isFailure(url) ||
    Result.isFailure(chosen)
  ) {
    return { _tag: "InvalidCamera", ...identity, problem: oneLine(problems.join("; ")) }
  }
  return {
    _tag: "Camera",
    ...identity,
    url: url.success,
    path: path.success,
    options: withDefaults(chosen.success, options.defaults)
  }
}

const sameRow = (a: CameraRow, b: CameraRow): boolean => {
  const keys = Object.keys(a)
  try {
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => key in b && Equal.equals(a[key], b[key]))
    )
  } catch {
    // jsonb may be nested deeper than the stack, or claim that it compares itself; it is read anew then
    return false
  }
}

/**
 * Makes a reader of rosters. It remembers the last reading of each row, so that a snapshot without
 * changes costs a comparison and not a decoding: most snapshots of most days. Such a snapshot gives
 * the very roster that the one before it gave.
 */
export const makeReader = (
  options: RosterOptions
): ((rows: ReadonlyArray<CameraRow>) => Roster) => {
  let remembered: ReadonlyArray<{ readonly row: CameraRow; readonly reading: Reading }> = []
  let roster: Roster = { cameras: new Map(), disabled: new Set() }
  return (rows) => {
    let byId: ReadonlyMap<string | undefined, (typeof remembered)[number]> | undefined
    const current = rows.map((row, position) => {
      const before = remembered[position]
      if (before !== undefined && sameRow(before.row, row)) return before
      const id = shown(row["id"])
      byId ??= new Map(remembered.map((entry) => [shown(entry.row["id"]), entry]))
      const known = id === undefined ? undefined : byId.get(id)
      return known !== undefined && sameRow(known.row, row)
        ? known
        : { row, reading: readRow(row, position, options) }
    })
    const unchanged =
      current.length === remembered.length &&
      current.every((entry, index) => entry === remembered[index])
    if (!unchanged) roster = compare(current.map((entry) => entry.reading))
    remembered = current
    return roster
  }
}

/** Settles what rows claim against each other: the first row by id keeps an id or a path. */
const compare = (readings: ReadonlyArray<Reading>): Roster => {
  const cameras = new Map<CameraId, Camera | InvalidCamera>()
  const pathOwners = new Map<MediaPath.MediaPath, CameraId>()
  /** By which number the last row of an id that came again is told from the first. */
  const counts = new Map<CameraId, number>()
  const disabled = new Set<CameraId>()
  for (const reading of [...readings].sort(byId)) {
    if (reading._tag === "Disabled") {
      disabled.add(reading.id)
      continue
    }
    let entry = reading
    if (cameras.has(entry.id)) {
      entry = {
        ...asInvalid(entry, `another row has the id ${entry.id}, too`),
        id: unusedId(cameras, counts, entry.id)
      }
    }
    if (entry._tag === "Camera") {
      const owner = pathOwners.get(entry.path)
      if (owner === undefined) pathOwners.set(entry.path, entry.id)
      else entry = asInvalid(entry, `the path ${entry.path} belongs to camera ${owner}`)
    }
    cameras.set(entry.id, entry)
  }
  return { cameras, disabled }
}

const asInvalid = ({ id, name, type }: Camera | InvalidCamera, problem: string): InvalidCamera => ({
  _tag: "InvalidCamera",
  id,
  name,
  type,
  problem
})

/** Goes on from where it stopped for the same id: looking from 2 again takes minutes for 100,000 rows. */
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

/** Numbers by value, texts by letter: `9` stands before `10`. Rows of one id keep the source's order. */
const order = new Intl.Collator("en", { numeric: true })
const byId = (a: Reading, b: Reading): number =>
  order.compare(a._tag === "Disabled" ? "" : a.id, b._tag === "Disabled" ? "" : b.id)
