/**
 * The state of every camera, as data, and the events that changed it.
 *
 * Only `supervision/` writes to the store. The log, the metrics, the command line and the HTTP API read states only
 * from the store. The store logs nothing.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Camera, CameraId, InvalidCamera } from "../camera/Camera.ts"
import type { Reason } from "../camera/Reason.ts"
import type { RelayCounters, RunningRelay } from "../engine/RunningRelay.ts"
import type { Keyframe } from "../picture/KeyframeTap.ts"
import type { StreamInfo } from "../engine/StreamInfo.ts"
import { nowMs } from "../time/Monotonic.ts"
import * as CameraState from "./CameraState.ts"
import type { CameraStatus, StatusChange, StatusEvent } from "./CameraStatus.ts"
import { health, History } from "./History.ts"
import { reasonAfter, type Tally, tallyOf, type Word, wordOf } from "./OperatorView.ts"
import { Timeline, type TimelineEntry } from "./Timeline.ts"
import { Tombstones } from "./Tombstones.ts"

/** The changes after a revision of the store. */
export interface StatusDelta {
  /** The revision to pass to the next call. */
  readonly revision: number
  /** Whether `cameras` are all cameras, because the store no longer knows all removals since the revision. */
  readonly isComplete: boolean
  readonly cameras: ReadonlyArray<CameraStatus>
  readonly removed: ReadonlyArray<CameraId>
}

/** Counters of relays since the start, including ended relays. Never decreases. */
export type Traffic = Omit<RelayCounters, "lastVideoAt">

interface Entry {
  camera: Camera | InvalidCamera
  state: CameraState.CameraState
  enteredAt: number
  enteredMonotonicMs: number
  revision: number
  readonly history: History
  readonly timeline: Timeline
  counters: () => RelayCounters
  keyframe: RunningRelay["keyframe"]
  /** The counters of the camera's earlier relays. */
  before: Traffic
  /** When the last video of the earlier relays arrived. */
  lastVideoAt: number | undefined
  /** When the camera was last live, or first seen; `undefined` while it is live. */
  downSince: number | undefined
  reason: Reason | undefined
  engine: string | undefined
  offer: StreamInfo | undefined
  probeMs: number | undefined
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
     * Enters a state. An illegal transition is performed as well, and marked in its event: the state was observed, and
     * a camera must not depend on the table of transitions.
     *
     * Name and type are taken only from the first camera with an id, and are changed by `rename`: the caller may have
     * an older name of the camera.
     */
    readonly transition: (
      camera: Camera | InvalidCamera,
      state: CameraState.CameraState
    ) => Effect.Effect<void>
    /** Enters `Stopping`; does nothing for an invalid or unknown camera, which has no fiber to stop. */
    readonly stopping: (id: CameraId) => Effect.Effect<void>
    /** Changes the name and the type of a camera, and whether its alerts are muted. */
    readonly rename: (camera: Camera | InvalidCamera) => Effect.Effect<void>
    /** Records that a camera has been live long enough that its last problem counts as resolved. */
    readonly markStable: (id: CameraId) => Effect.Effect<void>
    /** Sets the relay whose counters and keyframes are read. */
    readonly attachRelay: (
      id: CameraId,
      relay: Pick<RunningRelay, "counters" | "keyframe">
    ) => Effect.Effect<void>
    /**
     * The next keyframe of a live camera. Fails if the camera is not live, or if its engine provides no keyframes.
     * Waits until the camera sends a keyframe.
     */
    readonly keyframe: (id: CameraId) => Effect.Effect<Keyframe, "NotLive" | "NoKeyframes">
    /** Removes a camera. */
    readonly remove: (id: CameraId) => Effect.Effect<void>
    /**
     * All cameras, in the order in which they were first seen. Further streams are listed in the status of their
     * camera.
     */
    readonly all: Effect.Effect<ReadonlyArray<CameraStatus>>
    /** A camera, or a further stream by its own id. */
    readonly get: (id: CameraId) => Effect.Effect<CameraStatus | undefined>
    /** How many cameras have each word. Further streams do not count. */
    readonly tally: Effect.Effect<Tally>
    /** The number of cameras per state, without zeros. Further streams do not count. */
    readonly countByState: Effect.Effect<Readonly<Partial<Record<CameraState.Tag, number>>>>
    /** The counters of all cameras, including removed cameras. */
    readonly traffic: Effect.Effect<Traffic>
    /** The counters of each camera and each further stream. */
    readonly totals: Effect.Effect<ReadonlyMap<CameraId, Traffic>>
    /** The last changes of the operator's word, the oldest first; empty for an unknown camera. */
    readonly timeline: (id: CameraId) => Effect.Effect<ReadonlyArray<TimelineEntry>>
    /** Identifies this store: revisions of different stores are not comparable. */
    readonly boot: string
    /** The number of events so far. */
    readonly revision: Effect.Effect<number>
    /** The changes after a revision; 0 gives all cameras. Counters change without a new revision. */
    readonly changedSince: (revision: number) => Effect.Effect<StatusDelta>
    /** Events from now on. A slow subscriber misses the oldest events. */
    readonly events: Stream.Stream<StatusEvent>
    /** Subscribes in the scope. Includes all events after this effect, even before the first is taken. */
    readonly subscribe: Effect.Effect<PubSub.Subscription<StatusEvent>, never, Scope.Scope>
    /** The events that change a camera's state. */
    readonly changes: Stream.Stream<StatusChange>
  }
>()("@restream/core/status/StatusStore") {
  static readonly layer = Layer.effect(
    StatusStore,
    Effect.gen(function* () {
      const entries = new Map<CameraId, Entry>()
      const tombstones = new Tombstones<CameraId>(4096)
      const published = yield* PubSub.sliding<StatusEvent>(16_384)
      let revision = 0
      const counts = new Map<CameraState.Tag, number>()
      /** The ids of the further streams of each camera. */
      const substreams = new Map<CameraId, Set<CameraId>>()
      const boot = globalThis.crypto.randomUUID().slice(0, 8)
      /** The counters of removed cameras. */
      let removed: Traffic = noCounters

      const count = ({ camera }: Entry, tag: CameraState.Tag, change: 1 | -1) => {
        if (camera.substream !== undefined) return
        const sum = (counts.get(tag) ?? 0) + change
        if (sum === 0) counts.delete(tag)
        else counts.set(tag, sum)
      }

      /** The camera of a further stream. */
      const parentOf = ({ camera }: Entry) =>
        camera.substream === undefined ? undefined : entries.get(camera.substream.of)

      /** Whether an entry is listed on its own. A stopping stream without its camera is about to be removed, too. */
      const isListed = (entry: Entry) =>
        entry.camera.substream === undefined ||
        (parentOf(entry) === undefined && entry.state._tag !== "Stopping")

      const substreamsOf = (id: CameraId): ReadonlyArray<Entry> =>
        [...(substreams.get(id) ?? [])].flatMap((key) => {
          const entry = entries.get(key)
          return entry?.camera.substream?.of === id ? [entry] : []
        })

      /** The fields that all events share; the event gets the next revision. */
      const subject = (entry: Entry, now: Clocks) => {
        const { camera } = entry
        revision++
        // a camera changes with its further streams
        const parent = parentOf(entry)
        if (parent !== undefined) parent.revision = revision
        return {
          revision,
          at: now.wallMs,
          id: camera.id,
          ...(camera.substream !== undefined && { of: camera.substream.of }),
          name: camera.name,
          path: camera._tag === "Camera" ? camera.path : undefined,
          ...serverOf(camera),
          host: camera._tag === "Camera" ? camera.url.authority : undefined
        }
      }

      const transition = Effect.fnUntraced(function* (
        camera: Camera | InvalidCamera,
        state: CameraState.CameraState
      ) {
        const now = yield* readClocks
        const known = entries.get(camera.id)
        const entry = known ?? newEntry(camera, state, now)
        const from = known?.state
        const elapsedMs = now.monotonicMs - entry.enteredMonotonicMs
        if (known === undefined) {
          entries.set(camera.id, entry)
          tombstones.delete(camera.id)
        }
        if (from !== undefined) count(entry, from._tag, -1)
        entry.camera = withNamesOf(camera, entry.camera)
        count(entry, state._tag, 1)
        if (camera.substream !== undefined) {
          const { of } = camera.substream
          substreams.set(of, (substreams.get(of) ?? new Set()).add(camera.id))
        }
        updateOperatorView(entry, state, now, elapsedMs)
        entry.state = state
        entry.enteredAt = now.wallMs
        entry.enteredMonotonicMs = now.monotonicMs
        if (state._tag === "Restarting") {
          entry.history.count("restart", now.monotonicMs)
          if (state.reason._tag === "Stalled") entry.history.count("stall", now.monotonicMs)
        }
        const fields = subject(entry, now)
        entry.revision = fields.revision
        yield* PubSub.publish(published, {
          _tag: "StateChanged",
          ...fields,
          ...lastHourOf(entry, now),
          from,
          to: state,
          isLegal: CameraState.isLegal(from?._tag, state._tag),
          elapsedMs
        })
      })

      const statusOf = (entry: Entry, now: Clocks): CameraStatus => {
        const further = substreamsOf(entry.camera.id)
        const status = streamStatusOf(entry, now)
        return further.length === 0
          ? status
          : {
              ...status,
              substreams: further.map((substream) => ({
                ...streamStatusOf(substream, now),
                stream: substream.camera.substream?.name ?? ""
              }))
            }
      }

      const streamStatusOf = (entry: Entry, now: Clocks): CameraStatus => {
        const { camera, history, state } = entry
        const { health, restarts, stalls } = lastHourOf(entry, now)
        const { bytes, dropped, lastVideoAt, lost, packets } = entry.counters()
        return {
          id: camera.id,
          name: camera.name,
          type: camera.type,
          path: camera._tag === "Camera" ? camera.path : undefined,
          ...serverOf(camera),
          address: camera._tag === "Camera" ? camera.url.toString() : undefined,
          host: camera._tag === "Camera" ? camera.url.authority : undefined,
          state,
          problem: CameraState.problemOf(state),
          enteredAt: entry.enteredAt,
          restarts: { total: history.restarts, lastHour: restarts },
          stalls: { total: history.stalls, lastHour: stalls },
          health,
          counters: { bytes, packets, lost, dropped, lastVideoAt },
          word: wordOf(state, entry.reason),
          since: entry.downSince ?? entry.enteredAt,
          reason: entry.reason,
          engine: entry.engine,
          offer: entry.offer,
          probeMs: entry.probeMs,
          totals: addTraffic(entry.before, { bytes, packets, lost, dropped }),
          lastVideoAt: lastVideoAt ?? entry.lastVideoAt,
          ...(camera.isMuted === true && { isMuted: true }),
          revision: entry.revision
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
        rename: Effect.fnUntraced(function* (camera) {
          const entry = entries.get(camera.id)
          if (entry === undefined) return
          const renamed = withNamesOf(entry.camera, camera)
          if (renamed === entry.camera) return
          entry.camera = renamed
          const fields = subject(entry, yield* readClocks)
          entry.revision = fields.revision
          yield* PubSub.publish(published, { _tag: "Renamed", ...fields })
        }),
        markStable: Effect.fnUntraced(function* (id) {
          const entry = entries.get(id)
          if (entry === undefined) return
          const now = yield* readClocks
          yield* PubSub.publish(published, {
            _tag: "BecameStable",
            ...subject(entry, now),
            ...lastHourOf(entry, now)
          })
        }),
        keyframe: (id) =>
          Effect.suspend(() => {
            const entry = entries.get(id)
            return entry?.state._tag === "Live"
              ? (entry.keyframe ?? Effect.fail("NoKeyframes"))
              : Effect.fail("NotLive")
          }),
        attachRelay: (id, { counters, keyframe }) =>
          Effect.sync(() => {
            const entry = entries.get(id)
            if (entry === undefined) return
            const last = entry.counters()
            entry.before = addTraffic(entry.before, last)
            entry.lastVideoAt = last.lastVideoAt ?? entry.lastVideoAt
            entry.counters = counters
            entry.keyframe = keyframe
          }),
        remove: Effect.fnUntraced(function* (id) {
          const entry = entries.get(id)
          if (entry === undefined) return
          const fields = subject(entry, yield* readClocks)
          removed = addTraffic(removed, totalsOf(entry))
          entries.delete(id)
          count(entry, entry.state._tag, -1)
          const { substream } = entry.camera
          if (substream !== undefined) substreams.get(substream.of)?.delete(id)
          if (substreams.get(substream?.of ?? id)?.size === 0) {
            substreams.delete(substream?.of ?? id)
          }
          tombstones.set(id, fields.revision)
          yield* PubSub.publish(published, {
            _tag: "Removed",
            ...fields,
            from: entry.state,
            to: undefined
          })
        }),
        all: Effect.map(readClocks, (now) =>
          [...entries.values()].filter(isListed).map((entry) => statusOf(entry, now))
        ),
        get: (id) =>
          Effect.map(readClocks, (now) => {
            const entry = entries.get(id)
            return entry === undefined ? undefined : statusOf(entry, now)
          }),
        tally: Effect.sync(() => {
          const words: Array<{ readonly word: Word }> = []
          for (const entry of entries.values()) {
            if (isListed(entry)) words.push({ word: wordOf(entry.state, entry.reason) })
          }
          return tallyOf(words)
        }),
        countByState: Effect.sync(() => Object.fromEntries(counts)),
        traffic: Effect.sync(() => {
          let sum = removed
          for (const entry of entries.values()) sum = addTraffic(sum, totalsOf(entry))
          return sum
        }),
        totals: Effect.sync(
          () => new Map([...entries].map(([id, entry]) => [id, totalsOf(entry)] as const))
        ),
        timeline: (id) => Effect.sync(() => entries.get(id)?.timeline.entries ?? []),
        boot,
        revision: Effect.sync(() => revision),
        changedSince: (since) =>
          Effect.map(readClocks, (now) => {
            const isComplete = since <= 0 || since < tombstones.forgottenRevision
            const changed = [...entries.values()].filter(
              (entry) => isListed(entry) && (isComplete || entry.revision > since)
            )
            return {
              revision,
              isComplete,
              cameras: changed.map((entry) => statusOf(entry, now)),
              removed: isComplete ? [] : tombstones.since(since)
            }
          }),
        events: Stream.fromPubSub(published),
        subscribe: PubSub.subscribe(published),
        changes: Stream.filter(
          Stream.fromPubSub(published),
          (event) => event._tag === "StateChanged" || event._tag === "Removed"
        )
      })
    })
  )
}

/** The wall clock for display, and the monotonic clock for durations, because the wall clock may be set. */
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

const newEntry = (
  camera: Camera | InvalidCamera,
  state: CameraState.CameraState,
  { monotonicMs, wallMs }: Clocks
): Entry => ({
  camera,
  state,
  enteredAt: wallMs,
  enteredMonotonicMs: monotonicMs,
  revision: 0,
  history: new History(),
  timeline: new Timeline(),
  counters: () => noCounters,
  keyframe: undefined,
  before: noCounters,
  lastVideoAt: undefined,
  downSince: wallMs,
  reason: undefined,
  engine: undefined,
  offer: undefined,
  probeMs: undefined
})

const addTraffic = (sum: Traffic, counters: Traffic): Traffic => ({
  bytes: sum.bytes + counters.bytes,
  packets: sum.packets + counters.packets,
  lost: sum.lost + counters.lost,
  dropped: sum.dropped + counters.dropped
})

const totalsOf = ({ before, counters }: Entry): Traffic => addTraffic(before, counters())

/**
 * Updates the fields for the operator's view when a state is entered.
 *
 * @param elapsedMs how long the camera was in its previous state, which the entry still has.
 */
const updateOperatorView = (
  entry: Entry,
  state: CameraState.CameraState,
  { wallMs }: Clocks,
  elapsedMs: number
): void => {
  entry.reason = reasonAfter(state, entry.reason)
  if (state._tag === "Live") {
    entry.downSince = undefined
    entry.offer = state.offer
  } else entry.downSince ??= wallMs
  if (state._tag === "Live" || state._tag === "Starting") entry.engine = state.engine
  if (
    entry.state._tag === "Probing" &&
    (state._tag === "Starting" || state._tag === "Unreachable")
  ) {
    entry.probeMs = elapsedMs
  }
  entry.timeline.add({
    word: wordOf(state, entry.reason),
    at: wallMs,
    reason: state._tag === "Invalid" ? state.problem : entry.reason?.message
  })
}

/** A camera with the name, the type and the muting of another camera. */
const withNamesOf = <C extends Camera | InvalidCamera>(
  camera: C,
  { isMuted, name, type }: Camera | InvalidCamera
): C =>
  camera.name === name && camera.type === type && camera.isMuted === isMuted
    ? camera
    : { ...camera, name, type, isMuted }

/** The media server of a stream, if there are several. */
const serverOf = (camera: Camera | InvalidCamera): { readonly mediaServer?: string } =>
  camera._tag === "Camera" && camera.mediaServer !== undefined
    ? { mediaServer: camera.mediaServer.name }
    : {}

/** Whether a camera is live or about to be live, such as before a restart that follows soon. */
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
