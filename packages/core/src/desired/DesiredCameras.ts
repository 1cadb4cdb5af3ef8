/**
 * The desired state: the cameras that the table asks for, decoded and free of conflicts.
 *
 * A snapshot of the source or a change of the settings gives a new set; whoever reconciles sees cameras
 * and never rows.
 */
import type { Settings } from "@restream/config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { CameraTypes } from "../camera-type/CameraTypes.ts"
import * as UrlTemplate from "../camera-type/UrlTemplate.ts"
import type { Camera, CameraId, InvalidCamera } from "../camera/Camera.ts"
import type * as MediaPath from "../camera/MediaPath.ts"
import { Engines } from "../engine/Engines.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { type CameraRow, CameraSource } from "../source/CameraSource.ts"
import * as CameraDecoder from "./CameraDecoder.ts"

/** All cameras that a snapshot asks for. */
export interface CameraSet {
  readonly cameras: ReadonlyMap<CameraId, Camera | InvalidCamera>
  /** The rows whose `enabled` is false. */
  readonly disabled: ReadonlyMap<CameraId, CameraDecoder.DisabledCamera>
}

export class DesiredCameras extends Context.Service<
  DesiredCameras,
  {
    /**
     * The set now, then every set that follows. It never ends and never fails: where no snapshot can be
     * taken there is no new set, and running relays are unaffected. An unchanged set is the same object.
     */
    readonly changes: Stream.Stream<CameraSet>
    /** Asks the source for a snapshot and waits for it. Many callers at once cost one query. */
    readonly refresh: Effect.Effect<void>
  }
>()("@restream/core/desired/DesiredCameras") {
  /** The cameras of the source in context, by the settings in force. */
  static readonly layer: Layer.Layer<
    DesiredCameras,
    never,
    CameraSource | CameraTypes | Engines | LiveSettings
  > = Layer.effect(
    DesiredCameras,
    Effect.gen(function* () {
      const source = yield* CameraSource
      const types = yield* CameraTypes
      const { choices } = yield* Engines
      const settings = yield* LiveSettings
      return DesiredCameras.of({
        changes: Stream.suspend(() => {
          let rows: ReadonlyArray<CameraRow> | undefined
          let decodedBy: Settings | undefined
          let decode: (rows: ReadonlyArray<CameraRow>) => CameraSet
          const snapshots = Stream.tap(source.snapshots, (snapshot) =>
            Effect.sync(() => {
              rows = snapshot.rows
            })
          )
          const set = Effect.sync(() => {
            const current = SubscriptionRef.getUnsafe(settings)
            if (current !== decodedBy) decode = makeDecoder(decoderOptions(current, types, choices))
            decodedBy = current
            return [decode(rows ?? [])]
          }).pipe(
            // a defect in a row must not end the stream: the next snapshot may be good
            Effect.catchCause((cause) =>
              Effect.as(
                Effect.logError(
                  "internal error while decoding the rows; keeping the cameras",
                  cause
                ),
                []
              )
            )
          )
          const changes = Stream.filter(
            SubscriptionRef.changes(settings),
            (current) => rows !== undefined && current !== decodedBy
          )
          return Stream.merge(snapshots, changes, { haltStrategy: "left" }).pipe(
            Stream.mapEffect(() => set),
            Stream.flattenIterable
          )
        }),
        refresh: Effect.ignore(source.refresh)
      })
    })
  )
}

/** The built-in types and those given, and the templates of the settings. */
const decoderOptions = (
  { camera, cameraTypes, mediaServer }: Settings,
  types: CameraTypes["Service"],
  engines: ReadonlyArray<string>
): CameraDecoder.DecoderOptions => ({
  types: CameraTypes.make([
    ...types.all.values(),
    ...Object.entries(cameraTypes).map(([name, template]) => UrlTemplate.cameraType(name, template))
  ]),
  engines,
  pathTemplate: mediaServer.pathTemplate,
  defaults: { ...camera, fingerprint: undefined }
})

const isSameRow = (a: CameraRow, b: CameraRow): boolean => {
  const keys = Object.keys(a)
  try {
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => key in b && Equal.equals(a[key], b[key]))
    )
  } catch {
    // jsonb may be nested deeper than the stack, or pose as an object with an `equals` of its own
    return false
  }
}

/**
 * Makes a decoder of whole snapshots. It remembers each row's result, so a snapshot without changes costs
 * a comparison and gives the very set that the one before it gave.
 */
export const makeDecoder = (
  options: CameraDecoder.DecoderOptions
): ((rows: ReadonlyArray<CameraRow>) => CameraSet) => {
  let remembered: ReadonlyArray<{
    readonly row: CameraRow
    readonly decoded: CameraDecoder.DecodedRow
  }> = []
  let set: CameraSet = { cameras: new Map(), disabled: new Map() }
  return (rows) => {
    let byId: ReadonlyMap<string | undefined, (typeof remembered)[number]> | undefined
    const current = rows.map((row, position) => {
      const before = remembered[position]
      if (before !== undefined && isSameRow(before.row, row)) return before
      const id = CameraDecoder.displayId(row["id"])
      byId ??= new Map(remembered.map((entry) => [CameraDecoder.displayId(entry.row["id"]), entry]))
      const known = id === undefined ? undefined : byId.get(id)
      return known !== undefined && isSameRow(known.row, row)
        ? known
        : { row, decoded: CameraDecoder.decodeRow(row, position, options) }
    })
    const isUnchanged =
      current.length === remembered.length &&
      current.every((entry, index) => entry === remembered[index])
    if (!isUnchanged) set = resolveConflicts(current.map(({ decoded }) => decoded))
    remembered = current
    return set
  }
}

/** Two rows may claim one id or one path: the first row by id keeps it, the other is invalid. */
const resolveConflicts = (rows: ReadonlyArray<CameraDecoder.DecodedRow>): CameraSet => {
  const cameras = new Map<CameraId, Camera | InvalidCamera>()
  const disabled = new Map<CameraId, CameraDecoder.DisabledCamera>()
  const pathOwners = new Map<MediaPath.MediaPath, CameraId>()
  /** The last number that told a row from an earlier row of the same id. */
  const counts = new Map<CameraId, number>()
  for (const row of [...rows].sort(byId)) {
    if (row._tag === "DisabledCamera") {
      disabled.set(row.id, row)
      continue
    }
    let entry = row
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

/** Continues from the last number of the same id: starting from 2 each time takes minutes for 100,000 rows. */
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

/** Numbers by value, text by letter: `9` comes before `10`. Rows of one id keep the source's order. */
const order = new Intl.Collator("en", { numeric: true })
const byId = (a: CameraDecoder.DecodedRow, b: CameraDecoder.DecodedRow): number =>
  order.compare(a.id, b.id)
