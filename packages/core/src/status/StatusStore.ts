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
import { kindOf, type Reason } from "../camera/Reason.ts"
import type { RelayCounters } from "../engine/RunningRelay.ts"
import { nowMs } from "../time/Monotonic.ts"
import * as CameraState from "./CameraState.ts"
import { describe as describeHistory, type Health, health, History } from "./History.ts"

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
  /** The trouble that it is in, until it has stayed live for long enough. */
  trouble: Trouble | undefined
}

/** What was told of a trouble so far, from its first failure on. */
interface Trouble {
  /** The kinds of failures, see `kindOf`. */
  readonly kinds: Set<string>
  /** Whether it was told that the camera is live again. */
  hasRecovered: boolean
  /** Whether it was told that the camera comes and goes; from then on only new kinds are told. */
  comesAndGoes: boolean
}

const noCounters: RelayCounters = {
  bytes: 0,
  packets: 0,
  lost: 0,
  dropped: 0,
  lastVideoAt: undefined
}

export class StatusStore extends Context.Service<
  StatusStore,
  {
    /**
     * Writes a camera's state down and says it in the log. A transition that is not legal is a defect.
     *
     * Name and type are taken from the first camera of an id only, and changed by `rename`: whoever enters
     * a state may know a camera by an older name.
     */
    readonly transition: (
      camera: Camera | InvalidCamera,
      state: CameraState.CameraState
    ) => Effect.Effect<void>
    /** Says that what runs for a camera is being ended. Nothing runs for one that is invalid or not there. */
    readonly stopping: (id: CameraId) => Effect.Effect<void>
    /** Takes over what people see of a camera: its name and its type. */
    readonly rename: (camera: Camera | InvalidCamera) => Effect.Effect<void>
    /** Says that a camera has been live for so long that its trouble, if it had one, is over. */
    readonly markStable: (id: CameraId) => Effect.Effect<void>
    /** The counters of the relay that was started for a camera. */
    readonly attachCounters: (id: CameraId, counters: () => RelayCounters) => Effect.Effect<void>
    /** Forgets a camera. */
    readonly remove: (id: CameraId) => Effect.Effect<void>
    /** Every camera, in the order in which they were first seen. */
    readonly all: Effect.Effect<ReadonlyArray<CameraStatus>>
    readonly get: (id: CameraId) => Effect.Effect<CameraStatus | undefined>
    /** How many cameras are in each state. */
    readonly countByState: Effect.Effect<Readonly<Partial<Record<CameraState.Tag, number>>>>
    /** Changes from now on. A reader that does not keep up misses the oldest. */
    readonly changes: Stream.Stream<StatusChange>
  }
>()("@restream/core/status/StatusStore") {
  static readonly layer = Layer.effect(
    StatusStore,
    Effect.gen(function* () {
      const entries = new Map<CameraId, Entry>()
      const published = yield* PubSub.sliding<StatusChange>(16_384)

      const transition = Effect.fnUntraced(function* (
        camera: Camera | InvalidCamera,
        state: CameraState.CameraState
      ) {
        const now = yield* readClocks
        const entry = entries.get(camera.id)
        const from = entry?.state
        if (!CameraState.isLegal(from?._tag, state._tag)) {
          return yield* Effect.die(
            new Error(`camera ${camera.id}: illegal transition from ${from?._tag} to ${state._tag}`)
          )
        }
        const next: Entry = entry ?? newEntry(camera, state)
        next.camera = shownAs(camera, next.camera)
        next.state = state
        next.enteredAt = now.wallMs
        if (entry === undefined) entries.set(camera.id, next)
        if (state._tag === "Restarting") {
          next.history.count("restart", now.monotonicMs)
          if (state.reason._tag === "Stalled") next.history.count("stall", now.monotonicMs)
        }
        yield* PubSub.publish(published, {
          id: camera.id,
          name: next.camera.name,
          from,
          to: state
        })
        yield* tell(next, now)
      })

      const statusOf = (entry: Entry, now: Clocks): CameraStatus => {
        const { health, restarts, stalls } = lastHourOf(entry, now)
        return {
          id: entry.camera.id,
          name: entry.camera.name,
          type: entry.camera.type,
          path: entry.camera._tag === "Camera" ? entry.camera.path : undefined,
          address: entry.camera._tag === "Camera" ? entry.camera.url.toString() : undefined,
          state: entry.state,
          enteredAt: entry.enteredAt,
          restarts: { total: entry.history.restarts, lastHour: restarts },
          stalls: { total: entry.history.stalls, lastHour: stalls },
          health,
          counters: entry.counters()
        }
      }

      return StatusStore.of({
        transition,
        stopping: (id) =>
          Effect.suspend(() => {
            const entry = entries.get(id)
            return entry === undefined || entry.state._tag === "Invalid"
              ? Effect.void
              : transition(entry.camera, { _tag: "Stopping" })
          }),
        rename: (camera) =>
          Effect.sync(() => {
            const entry = entries.get(camera.id)
            if (entry !== undefined) entry.camera = shownAs(entry.camera, camera)
          }),
        markStable: Effect.fnUntraced(function* (id) {
          const entry = entries.get(id)
          if (entry === undefined) return
          const { comesAndGoes } = entry.trouble ?? { comesAndGoes: false }
          entry.trouble = undefined
          if (!comesAndGoes) return
          const now = yield* readClocks
          yield* Effect.logInfo(
            `camera ${label(entry.camera)}: stays live; ${historyOf(entry, now)}`
          ).pipe(annotated(entry.camera))
        }),
        attachCounters: (id, counters) =>
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
        all: Effect.map(readClocks, (now) =>
          [...entries.values()].map((entry) => statusOf(entry, now))
        ),
        get: (id) =>
          Effect.map(readClocks, (now) => {
            const entry = entries.get(id)
            return entry === undefined ? undefined : statusOf(entry, now)
          }),
        countByState: Effect.sync(() => {
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

/** What people read, and what durations are measured by: the clock on the wall may be set. */
interface Clocks {
  /** Since 1970. */
  readonly wallMs: number
  readonly monotonicMs: number
}

const readClocks: Effect.Effect<Clocks> = Clock.clockWith((clock) =>
  Effect.succeed({
    wallMs: clock.currentTimeMillisUnsafe(),
    monotonicMs: nowMs(clock)
  })
)

const newEntry = (camera: Camera | InvalidCamera, state: CameraState.CameraState): Entry => ({
  camera,
  state,
  enteredAt: 0,
  history: new History(),
  counters: () => noCounters,
  trouble: undefined
})

/** A camera under the name and the type of another. */
const shownAs = <C extends Camera | InvalidCamera>(
  camera: C,
  { name, type }: Camera | InvalidCamera
): C => (camera.name === name && camera.type === type ? camera : { ...camera, name, type })

/** Whether a camera is live or on its way there; a restart that follows soon is on its way. */
const isUp = (state: CameraState.CameraState): boolean => {
  switch (state._tag) {
    case "Invalid":
    case "Unreachable":
      return false
    case "Restarting":
      return state.reason.pace === "backoff" || state.reason.pace === "evicted"
    default:
      return true
  }
}

const lastHourOf = ({ history, state }: Entry, { monotonicMs }: Clocks) => {
  const restarts = history.lastHour("restart", monotonicMs)
  return {
    restarts,
    stalls: history.lastHour("stall", monotonicMs),
    health: health(restarts, isUp(state))
  }
}

const historyOf = (entry: Entry, now: Clocks): string => {
  const { health, restarts, stalls } = lastHourOf(entry, now)
  return describeHistory(health, restarts, stalls)
}

const label = ({ id, name }: Camera | InvalidCamera): string =>
  name === id ? id : `${id} "${name}"`

const annotated = (camera: Camera | InvalidCamera) =>
  Effect.annotateLogs({
    module: "camera",
    camera: camera.id,
    ...(camera._tag === "Camera" ? { path: camera.path } : {})
  })

/**
 * One line for each change. What an operator has to know stands at `info` and `warn`, and the steps on
 * the way at `debug`.
 *
 * A trouble is told when it begins and when it ends, however often the camera fails in between: a camera
 * that is away for a week must not write twenty thousand lines, nor one that flaps. A camera that fails
 * again soon after it was live comes and goes; that is told once, and its end when it has stayed live.
 */
const tell = (entry: Entry, now: Clocks): Effect.Effect<void> => {
  const { camera, state } = entry
  const line = `camera ${label(camera)}: ${CameraState.describe(state, now.wallMs)}`
  const say = Effect.fnUntraced(function* () {
    switch (state._tag) {
      case "Live": {
        const { trouble } = entry
        if (trouble !== undefined && (trouble.hasRecovered || trouble.comesAndGoes)) {
          return yield* Effect.logDebug(line)
        }
        if (trouble !== undefined) trouble.hasRecovered = true
        const hasHistory = entry.history.lastHour("restart", now.monotonicMs) > 0
        return yield* Effect.logInfo(hasHistory ? `${line}; ${historyOf(entry, now)}` : line)
      }
      case "Stopping": {
        // what comes next has another address, or nothing comes
        entry.trouble = undefined
        return yield* Effect.logInfo(line)
      }
      case "Invalid":
        return yield* Effect.logWarning(line)
      case "Unreachable":
        return yield* tellTrouble(entry, state.reason, line)
      case "Restarting":
        return yield* tellTrouble(entry, state.reason, `${line}; ${historyOf(entry, now)}`)
      default:
        return yield* Effect.logDebug(line)
    }
  })
  return say().pipe(annotated(camera))
}

const tellTrouble = (entry: Entry, reason: Reason, line: string): Effect.Effect<void> => {
  const kind = kindOf(reason)
  const { trouble } = entry
  if (trouble === undefined) {
    entry.trouble = { kinds: new Set([kind]), hasRecovered: false, comesAndGoes: false }
    return Effect.logWarning(line)
  }
  const isNews = !trouble.kinds.has(kind)
  trouble.kinds.add(kind)
  if (trouble.hasRecovered && !trouble.comesAndGoes) {
    trouble.comesAndGoes = true
    return Effect.logWarning(`${line}; it comes and goes: the next line follows when it stays live`)
  }
  return isNews ? Effect.logWarning(line) : Effect.logDebug(line)
}
