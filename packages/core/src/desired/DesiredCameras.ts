/**
 * The desired state: the cameras of the table, decoded and free of conflicts.
 *
 * Each snapshot of the source and each change of the settings gives a new set. The supervisor works with cameras,
 * never with rows.
 */
import type { Settings } from "@restream/config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { CameraTypes } from "../camera-type/CameraTypes.ts"
import { Engines } from "../engine/Engines.ts"
import * as Failover from "../media-server/Failover.ts"
import { MediaServers } from "../media-server/MediaServers.ts"
import * as ServerChoice from "../media-server/ServerChoice.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { type CameraRow, CameraSource, type Snapshot } from "../source/CameraSource.ts"
import * as CameraDecoder from "./CameraDecoder.ts"
import * as Conflicts from "./Conflicts.ts"
import type { CameraSet } from "./Conflicts.ts"

export type { CameraSet }

export class DesiredCameras extends Context.Service<
  DesiredCameras,
  {
    /**
     * The current set, then every new set. Never ends and never fails: without a snapshot there is no new set, and
     * running relays are unaffected. In an unchanged set the cameras are identical objects.
     */
    readonly changes: Stream.Stream<CameraSet>
    /** Requests a snapshot from the source and waits for it. Concurrent callers share one query. */
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
      const servers = yield* Effect.serviceOption(MediaServers)
      const failedOver = Option.isSome(servers)
        ? servers.value.failedOver
        : yield* SubscriptionRef.make<ReadonlySet<string>>(new Set())
      return DesiredCameras.of({
        changes: Stream.suspend(() => {
          let latest: Snapshot | undefined
          let decodedBy: Settings | undefined
          let decode: Decoder
          const snapshots = Stream.tap(source.snapshots, (snapshot) =>
            Effect.sync(() => {
              latest = snapshot
            })
          )
          const failOver = makeFailover()
          const set = Effect.suspend(() => {
            const current = SubscriptionRef.getUnsafe(settings)
            if (current !== decodedBy) {
              decode = makeDecoder(decoderOptions(current, types, choices))
            }
            decodedBy = current
            const { rows = [], shards } = latest ?? {}
            return Effect.map(decode(rows), (decoded) => {
              const set = failOver(decoded, SubscriptionRef.getUnsafe(failedOver))
              return [shards === undefined ? set : { ...set, shards }]
            })
          }).pipe(
            // a defect in a row must not end the stream: the next snapshot may decode
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
            (current) => latest !== undefined && current !== decodedBy
          )
          const triggers = Stream.merge(
            changes,
            Stream.filter(
              Stream.drop(SubscriptionRef.changes(failedOver), 1),
              () => latest !== undefined
            )
          )
          return Stream.merge(snapshots, triggers, { haltStrategy: "left" }).pipe(
            Stream.mapEffect(() => set),
            Stream.flattenIterable
          )
        }),
        refresh: Effect.ignore(source.refresh)
      })
    })
  )
}

/** {@link Failover.apply}, but returns the identical object for an unchanged set. */
const makeFailover = () => {
  let before: { readonly set: CameraSet; readonly failedOver: ReadonlySet<string> } | undefined
  let result: CameraSet
  return (set: CameraSet, failedOver: ReadonlySet<string>): CameraSet => {
    if (before?.set !== set || before.failedOver !== failedOver)
      result = Failover.apply(set, failedOver)
    before = { set, failedOver }
    return result
  }
}

/** The decoder's options by the settings, with the given camera types. */
const decoderOptions = (
  { camera, cameraTypes, failover, mediaServer, mediaServers }: Settings,
  types: CameraTypes["Service"],
  engines: ReadonlyArray<string>
): CameraDecoder.DecoderOptions => ({
  types: CameraTypes.withTemplates(cameraTypes, types.all.values()),
  engines,
  pathTemplate: mediaServer.pathTemplate,
  servers: ServerChoice.candidatesOf({ mediaServer, mediaServers }),
  hasFailover: failover.after !== undefined,
  defaults: { ...camera, fingerprint: undefined }
})

const isSameRow = (a: CameraRow, b: CameraRow): boolean => {
  if (a === b) return true
  const keys = Object.keys(a)
  try {
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => key in b && Equal.equals(a[key], b[key]))
    )
  } catch {
    // jsonb may be nested deeper than the stack, or contain a key that looks like a method of Equal
    return false
  }
}

/** How many rows are decoded before other fibers run. */
const rowsInARow = 500

/** Decodes whole snapshots. */
export type Decoder = (rows: ReadonlyArray<CameraRow>) => Effect.Effect<CameraSet>

/**
 * Makes a decoder that remembers the result of each row, so that a snapshot without changes costs only a comparison
 * and gives the identical set. Other fibers run between parts of a long snapshot.
 */
export const makeDecoder = (options: CameraDecoder.DecoderOptions): Decoder => {
  let remembered: ReadonlyArray<Remembered> = []
  let resolved = Conflicts.none
  return Effect.fnUntraced(function* (rows) {
    const isSameRows =
      rows.length === remembered.length &&
      rows.every((row, index) => row === remembered[index]?.row)
    if (isSameRows) return resolved.set
    let byId: ReadonlyMap<string | undefined, Remembered> | undefined
    const current: Array<Remembered> = []
    for (const { number, row } of numberRows(rows, remembered)) {
      const position = current.length
      if (position > 0 && position % rowsInARow === 0) yield* Effect.yieldNow
      const before = remembered[position]
      if (before !== undefined && before.number === number && isSameRow(before.row, row)) {
        current.push(before)
        continue
      }
      byId ??= new Map(remembered.map((entry) => [entryId(entry), entry]))
      const known = byId.get(entryId({ number, row }))
      current.push(
        known !== undefined && isSameRow(known.row, row)
          ? known
          : { number, row, decoded: CameraDecoder.decodeRow(row, number ?? 0, options) }
      )
    }
    const isUnchanged =
      current.length === remembered.length &&
      current.every((entry, index) => entry === remembered[index])
    if (!isUnchanged) {
      resolved = Conflicts.resolve(
        current.flatMap(({ decoded }) => decoded),
        resolved
      )
    }
    remembered = current
    return resolved.set
  })
}

interface NumberedRow {
  /** Identifies a row without an id; `undefined` if the row has an id. */
  readonly number: number | undefined
  readonly row: CameraRow
}

interface Remembered extends NumberedRow {
  readonly decoded: ReadonlyArray<CameraDecoder.DecodedRow>
}

const entryId = ({ number, row }: NumberedRow): string | undefined =>
  number === undefined ? CameraDecoder.displayId(row["id"]) : `\u0000${number}`

/** Gives each row without an id its earlier number, even at another position; a new row gets an unused number. */
const numberRows = (
  rows: ReadonlyArray<CameraRow>,
  remembered: ReadonlyArray<Remembered>
): ReadonlyArray<NumberedRow> => {
  const withoutId = rows.filter((row) => CameraDecoder.displayId(row["id"]) === undefined)
  if (withoutId.length === 0) return rows.map((row) => ({ number: undefined, row }))
  const before = new Map<string, Array<number>>()
  for (const { number, row } of remembered) {
    if (number === undefined) continue
    const content = contentOf(row)
    const known = before.get(content)
    if (known === undefined) before.set(content, [number])
    else known.push(number)
  }
  const numbers = withoutId.map((row) => before.get(contentOf(row))?.shift())
  const taken = new Set(numbers)
  let next = 1
  const all = new Map(
    withoutId.map((row, index) => {
      const known = numbers[index]
      if (known !== undefined) return [row, known]
      while (taken.has(next)) next++
      return [row, next++]
    })
  )
  return rows.map((row) => ({ number: all.get(row), row }))
}

/** Rows whose JSON is nested deeper than the stack count as the same. */
const contentOf = (row: CameraRow): string => {
  try {
    return JSON.stringify(row)
  } catch {
    return ""
  }
}
