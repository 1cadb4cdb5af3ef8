/**
 * Every camera's state, as data.
 *
 * The supervision writes here and nobody else does; logs, the command line and whatever comes later read
 * here and nowhere else.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Camera, CameraId, InvalidCamera } from "../camera/Camera.ts"
import type { RelayCounters } from "../relay/Relay.ts"
import * as CameraState from "./CameraState.ts"
import { type Health, health, History } from "./History.ts"

/** One camera, as it is now. */
export interface CameraStatus {
  readonly id: CameraId
  readonly name: string
  readonly type: string
  /** Its path on the media server; an invalid camera has none. */
  readonly path: string | undefined
  /** Its address without credentials; an invalid camera has none. */
  readonly address: string | undefined
  readonly state: CameraState.CameraState
  /** When it entered its state, in milliseconds since 1970. */
  readonly enteredAt: number
  /** Since the camera was first seen, and in the last hour. */
  readonly restarts: { readonly total: number; readonly lastHour: number }
  readonly stalls: { readonly total: number; readonly lastHour: number }
  readonly health: Health
  /** Of the relay that is live or was last; zeros before the first. */
  readonly counters: RelayCounters
}

/** A camera went from one state to another. `to` is `undefined` when it left the table. */
export interface StatusChange {
  readonly id: CameraId
  readonly name: string
  readonly from: CameraState.CameraState | undefined
  readonly to: CameraState.CameraState | undefined
}

interface Entry {
  camera: Camera | InvalidCamera
  state: CameraState.CameraState
  enteredAt: number
  readonly history: History
  counters: () => RelayCounters
  /** The last trouble that was told, until the camera was live again. */
  told: string | undefined
}

const noCounters: RelayCounters = { bytes: 0, packets: 0, lost: 0, lastVideoAt: undefined }

export class StatusBoard extends Context.Service<
  StatusBoard,
  {
    /** Writes a camera's state down and says it in the log. A transition that is not legal is a defect. */
    readonly enter: (
      camera: Camera | InvalidCamera,
      state: CameraState.CameraState
    ) => Effect.Effect<void>
    /** Takes over what people see of a camera. */
    readonly rename: (camera: Camera) => Effect.Effect<void>
    /** The counters of the relay that was started for a camera. */
    readonly count: (id: CameraId, counters: () => RelayCounters) => Effect.Effect<void>
    /** Forgets a camera. */
    readonly remove: (id: CameraId) => Effect.Effect<void>
    /** Every camera, in the order in which they were first seen. */
    readonly all: Effect.Effect<ReadonlyArray<CameraStatus>>
    readonly get: (id: CameraId) => Effect.Effect<CameraStatus | undefined>
    /** How many cameras are in each state. */
    readonly tally: Effect.Effect<Readonly<Partial<Record<CameraState.Tag, number>>>>
    /** Changes from now on. A reader that does not keep up misses the oldest. */
    readonly changes: Stream.Stream<StatusChange>
  }
>()("@restream/core/status/StatusBoard") {
  static readonly layer = Layer.effect(
    StatusBoard,
    Effect.gen(function* () {
      const entries = new Map<CameraId, Entry>()
      const published = yield* PubSub.sliding<StatusChange>(16_384)

      const enter = Effect.fnUntraced(function* (
        camera: Camera | InvalidCamera,
        state: CameraState.CameraState
      ) {
        const now = yield* Clock.currentTimeMillis
        const entry = entries.get(camera.id)
        const from = entry?.state
        if (!CameraState.isLegal(from?._tag, state._tag)) {
          return yield* Effect.die(
            new Error(`camera ${camera.id}: illegal transition from ${from?._tag} to ${state._tag}`)
          )
        }
        const next: Entry = entry ?? newEntry(camera, state)
        next.camera = camera
        next.state = state
        next.enteredAt = now
        if (entry === undefined) entries.set(camera.id, next)
        if (state._tag === "Restarting") {
          next.history.count("restart", now)
          if (state.reason._tag === "Stalled") next.history.count("stall", now)
        }
        yield* PubSub.publish(published, { id: camera.id, name: camera.name, from, to: state })
        yield* tell(next, now)
      })

      const statusOf = (entry: Entry, now: number): CameraStatus => {
        const restarts = entry.history.lastHour("restart", now)
        return {
          id: entry.camera.id,
          name: entry.camera.name,
          type: entry.camera.type,
          path: entry.camera._tag === "Camera" ? entry.camera.path : undefined,
          address: entry.camera._tag === "Camera" ? entry.camera.url.toString() : undefined,
          state: entry.state,
          enteredAt: entry.enteredAt,
          restarts: { total: entry.history.restarts, lastHour: restarts },
          stalls: {
            total: entry.history.stalls,
            lastHour: entry.history.lastHour("stall", now)
          },
          health: health(restarts, !isTrouble(entry.state)),
          counters: entry.counters()
        }
      }

      return StatusBoard.of({
        enter,
        rename: (camera) =>
          Effect.sync(() => {
            const entry = entries.get(camera.id)
            if (entry !== undefined) entry.camera = camera
          }),
        count: (id, counters) =>
          Effect.sync(() => {
            const entry = entries.get(id)
            if (entry !== undefined) entry.counters = counters
          }),
        remove: Effect.fnUntraced(function* (id) {
          const entry = entries.get(id)
          if (entry === undefined) return
          entries.delete(id)
          const { name } = entry.camera
          yield* PubSub.publish(published, { id, name, from: entry.state, to: undefined })
          yield* Effect.logInfo(`camera ${label(entry.camera)}: gone`).pipe(annotated(entry.camera))
        }),
        all: Effect.map(Clock.currentTimeMillis, (now) =>
          [...entries.values()].map((entry) => statusOf(entry, now))
        ),
        get: (id) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            const entry = entries.get(id)
            return entry === undefined ? undefined : statusOf(entry, now)
          }),
        tally: Effect.sync(() => {
          const counts: Partial<Record<CameraState.Tag, number>> = {}
          for (const { state } of entries.values())
            counts[state._tag] = (counts[state._tag] ?? 0) + 1
          return counts
        }),
        changes: Stream.fromPubSub(published)
      })
    })
  )
}

const newEntry = (camera: Camera | InvalidCamera, state: CameraState.CameraState): Entry => ({
  camera,
  state,
  enteredAt: 0,
  history: new History(),
  counters: () => noCounters,
  told: undefined
})

const isTrouble = (state: CameraState.CameraState): boolean =>
  state._tag === "Invalid" || state._tag === "Unreachable" || state._tag === "Restarting"

const label = ({ id, name }: Camera | InvalidCamera): string =>
  name === id ? id : `${id} "${name}"`

const annotated = (camera: Camera | InvalidCamera) =>
  Effect.annotateLogs({
    module: "camera",
    camera: camera.id,
    ...(camera._tag === "Camera" ? { path: camera.path } : {})
  })

/**
 * One line for each change. What an operator has to know stands at `info` and `warn`; the steps on the
 * way, and a trouble that was told before, stand at `debug`, so that a camera which is away for a week
 * does not write twenty thousand lines.
 */
const tell = (entry: Entry, now: number): Effect.Effect<void> => {
  const { camera, state } = entry
  const line = `camera ${label(camera)}: ${CameraState.describe(state, now)}`
  const say = Effect.fnUntraced(function* () {
    switch (state._tag) {
      case "Live": {
        entry.told = undefined
        return yield* Effect.logInfo(line)
      }
      case "Stopping":
        return yield* Effect.logInfo(line)
      case "Invalid":
        return yield* Effect.logWarning(line)
      case "Unreachable":
      case "Restarting": {
        const isNews = entry.told !== state.reason.message
        entry.told = state.reason.message
        return yield* isNews ? Effect.logWarning(line) : Effect.logDebug(line)
      }
      default:
        return yield* Effect.logDebug(line)
    }
  })
  return say().pipe(annotated(camera))
}
