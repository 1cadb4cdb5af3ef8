/** What the page knows: the cameras, the overview, and how old both are. Fed by `/api/events`. */
import { batch, computed, effect, type Signal, signal } from "@preact/signals"
import type { CameraChanges, CameraSummary, Overview, Substream } from "@restream/core/http"
import {
  countFailingSubstreams,
  countNeedingAttention,
  streamsOf
} from "@restream/core/operator-view"
import { isSignedIn } from "./api.ts"

export type Camera = CameraSummary
export type Node = NonNullable<Overview["nodes"]>[number]
export type { Substream }

/** What a camera and a further stream of it have in common. */
export type CameraStream = Camera | Substream

/** A beat comes every 5 seconds; without two of them the page is old. */
const staleAfterMs = 12_000
/** A hidden page gives its connection back: a browser has six to one host. */
const closeHiddenAfterMs = 60_000
const retryMs = 2000

/** Each camera is a signal of its own, so that a change redraws one row. */
export const cameras = signal<ReadonlyMap<string, Signal<Camera>>>(new Map())
export const failingSubstreams = computed(() =>
  countFailingSubstreams([...cameras.value.values()].map(({ value }) => value))
)
export const overview = signal<Overview | undefined>(undefined)
export const needAttention = computed(() =>
  overview.value === undefined
    ? 0
    : countNeedingAttention(overview.value.tally, overview.value.causes)
)
/** The nodes of the cluster; empty where there is one node or none. */
export const nodes = computed((): ReadonlyArray<Node> => {
  const known = overview.value?.nodes ?? []
  return known.length > 1 ? known : []
})
/** The names of the nodes that do not respond. Their cameras may be missing, or shown as they were last. */
export const silentNodes = computed(() =>
  nodes.value.flatMap(({ name, state }) => (state === "unreachable" ? [name] : []))
)
/** The bitrates of the streams that send; apart from the cameras, because all of them change every 5 seconds. */
const rates = signal<Readonly<Record<string, number>> | undefined>(undefined)
export const bitrateOf = ({ bitrate, id, word }: CameraStream): number => {
  const known = rates.value
  return word !== "ok" ? 0 : known === undefined ? bitrate : (known[id] ?? 0)
}
/** How many readers the media server has for each stream that is online there; `null` while that is not known. */
export const readers = signal<Readonly<Record<string, number>> | null>(null)
/** The readers of a camera and its further streams; `undefined` where the media server has none of them. */
export const readersOf = (camera: Pick<Camera, "id" | "substreams">): number | undefined => {
  const counts = streamsOf(camera).flatMap(({ id }) => readers.value?.[id] ?? [])
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0)
}
/** The server's time, in milliseconds since 1970; advances every second. */
export const now = signal(Date.now())
/** When the daemon was last heard, if that is too long ago to trust the page. */
export const staleSince = signal<number | undefined>(undefined)
export const needsToken = signal(false)
/** The total bitrate, one value every 5 seconds since the page was opened. */
export const totals = signal<ReadonlyArray<readonly [at: number, bitrate: number, live: number]>>(
  []
)

export interface Change {
  readonly at: number
  /** The name of the camera, and of the stream if it is a further one. */
  readonly name: string
  readonly stream: CameraStream
}

/** What changed last, the newest first. */
export const changes = signal<ReadonlyArray<Change>>([])

const mostTotals = 720
const mostChanges = 10

/** The server's clock minus ours. */
let skew = 0
let lastHeard = Date.now()
let isComplete = false

const heard = (serverTime?: number) => {
  lastHeard = Date.now()
  if (serverTime !== undefined) skew = serverTime - lastHeard
  staleSince.value = undefined
}

const noteChange = (camera: Camera, before: Camera | undefined) => {
  if (!isComplete) return
  const wordsBefore = new Map(
    [before ?? [], before?.substreams ?? []].flat().map(({ id, word }) => [id, word])
  )
  for (const stream of streamsOf(camera)) {
    if (wordsBefore.get(stream.id) === stream.word) continue
    const name = stream === camera ? camera.name : `${camera.name}, ${stream.name}`
    changes.value = [{ at: Date.now() + skew, name, stream }, ...changes.value].slice(
      0,
      mostChanges
    )
  }
}

const applyChanges = ({ cameras: changed, removed }: CameraChanges, isSnapshot: boolean) =>
  batch(() => {
    const before = cameras.value
    let next: Map<string, Signal<Camera>> | undefined
    if (isSnapshot) next = new Map()
    for (const camera of changed) {
      const known = before.get(camera.id)
      noteChange(camera, known?.value)
      if (known !== undefined) known.value = camera
      if (isSnapshot || known === undefined) {
        next ??= new Map(before)
        next.set(camera.id, known ?? signal(camera))
      }
    }
    for (const id of removed) {
      next ??= new Map(before)
      next.delete(id)
    }
    if (next !== undefined) cameras.value = next
    isComplete = true
  })

const applyBeat = (beat: Overview) =>
  batch(() => {
    overview.value = beat
    totals.value = [...totals.value, [beat.now, beat.bitrate, beat.tally.ok] as const].slice(
      -mostTotals
    )
  })

let source: EventSource | undefined
let retry: ReturnType<typeof setTimeout> | undefined

const close = () => {
  source?.close()
  source = undefined
  clearTimeout(retry)
}

/** Opens the stream of events, if it is not open. */
export const connect = () => {
  close()
  const events = new EventSource("./api/events")
  source = events
  const on = <Data>(name: string, apply: (data: Data) => void) =>
    events.addEventListener(name, ({ data }: MessageEvent<string>) => {
      heard()
      apply(JSON.parse(data) as Data)
    })
  on<CameraChanges>("snapshot", (data) => applyChanges(data, true))
  on<CameraChanges>("cameras", (data) => applyChanges(data, false))
  on<Record<string, number>>("rates", (bitrates) => {
    rates.value = bitrates
  })
  on<Record<string, number> | null>("readers", (counts) => {
    readers.value = counts
  })
  on<Overview>("beat", (beat) => {
    heard(beat.now)
    applyBeat(beat)
  })
  // the daemon stops: say so at once, not after the beats that are missing
  on("bye", () => {
    staleSince.value = Date.now() + skew
  })
  events.addEventListener("error", () => {
    // the browser connects again by itself, except after an answer that is no stream
    if (events.readyState === EventSource.CLOSED) void afterRefusal()
  })
}

const afterRefusal = async () => {
  close()
  if ((await isSignedIn()) === false) needsToken.value = true
  else retry = setTimeout(connect, retryMs)
}

/** Connects, keeps the time, and lets a hidden page go quiet. Called once. */
export const start = () => {
  connect()
  setInterval(() => {
    now.value = Date.now() + skew
    if (source !== undefined && Date.now() - lastHeard > staleAfterMs) {
      staleSince.value ??= lastHeard + skew
    }
  }, 1000)
  let hidden: ReturnType<typeof setTimeout> | undefined
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden)
    if (document.hidden) hidden = setTimeout(close, closeHiddenAfterMs)
    else if (source === undefined && !needsToken.value) {
      lastHeard = Date.now()
      connect()
    }
  })
  effect(() => {
    const wrong = needAttention.value
    const mark = wrong > 0 ? `(${wrong}) ` : silentNodes.value.length > 0 ? "(!) " : ""
    document.title = `${mark}restream`
  })
}
