/**
 * The operator's view: a camera's state in one of five words, and a summary of all cameras. Pure.
 *
 * The dashboard imports this file, so this file imports only types.
 *
 * A camera that does not respond alternates between unreachable and probing. Meanwhile the operator's word stays
 * `down`, with the last reason.
 */
import type { Reason } from "../camera/Reason.ts"
import type { CameraState } from "./CameraState.ts"

/**
 * - `ok`: media reaches the media server.
 * - `starting`: about to be live, without a problem so far.
 * - `down`: the camera, its relay or its path has a problem; restream retries.
 * - `waiting`: the camera has no problem; it waits for the media server, for another daemon or for an operator.
 * - `invalid`: the row makes no camera.
 */
export type Word = (typeof words)[number]

/** All words, the worst first. */
export const words = ["down", "invalid", "waiting", "starting", "ok"] as const

/** @param reason why the camera is not live, as long as {@link reasonAfter} keeps it. */
export const wordOf = (state: CameraState, reason: Reason | undefined): Word => {
  switch (state._tag) {
    case "Live":
      return "ok"
    case "Invalid":
      return "invalid"
    case "Stopping":
      return "waiting"
    case "Waiting":
      switch (state.for) {
        case "media server":
        case "operator":
        case "ownership":
          return "waiting"
        case "turn":
        case "session":
        case "previous relay":
          return reason === undefined ? "starting" : "down"
      }
    case "Unreachable":
    case "Restarting":
      return "down"
    case "Probing":
    case "Starting":
      return reason === undefined ? "starting" : "down"
  }
}

/**
 * Why a camera is not live, after it entered a state. The last reason is kept until the camera is live, or until the
 * reason is obsolete, because the row changed or an operator stopped the camera.
 */
export const reasonAfter = (state: CameraState, before: Reason | undefined): Reason | undefined => {
  switch (state._tag) {
    case "Unreachable":
    case "Restarting":
      return state.reason
    case "Live":
    case "Invalid":
    case "Stopping":
      return undefined
    case "Waiting":
      return state.for === "operator" ? undefined : before
    case "Probing":
    case "Starting":
      return before
  }
}

/** The time of the next attempt, in milliseconds since 1970; `undefined` if no time is set. */
export const retryAtOf = (state: CameraState): number | undefined => {
  switch (state._tag) {
    case "Unreachable":
      return state.retryAt
    case "Restarting":
      return state.at
    default:
      return undefined
  }
}

/** The number of cameras per word, including zeros. */
export type Tally = Readonly<Record<Word, number>>

export const tallyOf = (cameras: Iterable<{ readonly word: Word }>): Tally => {
  const tally = { down: 0, invalid: 0, waiting: 0, starting: 0, ok: 0 }
  for (const { word } of cameras) tally[word]++
  return tally
}

/** The sum of tallies. */
export const sumOf = (tallies: Iterable<Tally>): Tally => {
  const sum = { ...tallyOf([]) }
  for (const tally of tallies) for (const word of words) sum[word] += tally[word]
  return sum
}

/** The causes as far as they are counted here. `media-server` counts the cameras that wait for the server. */
export type CountedCauses = ReadonlyArray<{ readonly kind: string; readonly count: number }>

/** How many cameras need an operator, including those that wait for an unreachable media server. */
export const countNeedingAttention = (tally: Tally, causes: CountedCauses): number => {
  const forServer = causes.reduce(
    (sum, { count, kind }) => (kind === "media-server" ? sum + count : sum),
    0
  )
  return tally.down + tally.invalid + Math.min(tally.waiting, forServer)
}

/** A stream in a list. */
interface ListedStream {
  readonly id: string
  readonly path: string | null
  readonly word: Word
}

/** A camera in a list, with its further streams. */
interface ListedCamera extends ListedStream {
  readonly name: string
  readonly host: string | null
  /** The node of the cluster that relays the camera. */
  readonly node?: string
  readonly substreams?: ReadonlyArray<ListedStream>
}

/** The main stream of a camera, then its further streams. */
export const streamsOf = <Camera, Substream = never>(
  camera: Camera & { readonly substreams?: ReadonlyArray<Substream> }
): ReadonlyArray<Camera | Substream> => [camera, ...(camera.substreams ?? [])]

export const isFailing = ({ word }: { readonly word: Word }): boolean =>
  word === "down" || word === "invalid"

/** How many further streams of live cameras fail. A tally counts only main streams. */
export const countFailingSubstreams = (
  cameras: Iterable<Pick<ListedCamera, "substreams" | "word">>
): number => {
  let sum = 0
  for (const { substreams = [], word } of cameras) {
    if (word === "ok") sum += substreams.filter(isFailing).length
  }
  return sum
}

/** The filter of a camera list. */
export interface Filter {
  /** Only cameras with this word; unless the word is `ok`, also cameras with such a further stream. */
  readonly word?: Word | undefined
  /** Only cameras with the text, in any case, in id, name, path, host or node, or in a further stream's id or path. */
  readonly q?: string | undefined
  /** Only cameras of this node of the cluster. */
  readonly node?: string | undefined
}

/** Makes the predicate of a filter. */
export const matches = ({
  node: filterNode,
  q = "",
  word: filterWord
}: Filter): ((camera: ListedCamera) => boolean) => {
  const text = q.trim().toLowerCase()
  const contains = (field: string | null | undefined) =>
    field?.toLowerCase().includes(text) === true
  return (camera) => {
    const { host, name, node, substreams = [], word } = camera
    // a problem of a further stream counts as a problem of a live camera
    const hasWord =
      filterWord === undefined ||
      word === filterWord ||
      (filterWord !== "ok" && substreams.some(({ word }) => word === filterWord))
    return (
      hasWord &&
      (filterNode === undefined || node === filterNode) &&
      (text === "" ||
        [name, host, node].some(contains) ||
        streamsOf(camera).some(({ id, path }) => contains(id) || contains(path)))
    )
  }
}

const number = new Intl.NumberFormat("en-US")

/**
 * All cameras in one sentence: `988 of 1,000 cameras are live; 12 need attention.`
 *
 * @param failingSubstreams how many further streams of live cameras fail; the tally counts only main streams.
 */
export const sentenceOf = (
  tally: Tally,
  failingSubstreams = 0,
  causes: CountedCauses = []
): string => {
  const all = words.reduce((sum, word) => sum + tally[word], 0)
  if (all === 0) return "The camera list is empty."
  const live =
    tally.ok < all
      ? `${number.format(tally.ok)} of ${number.format(all)} cameras ${tally.ok === 1 ? "is" : "are"} live`
      : all === 1
        ? "The camera is live"
        : `All ${number.format(all)} cameras are live`
  const problems = countNeedingAttention(tally, causes)
  return `${[
    live,
    ...(problems === 0
      ? []
      : [`${number.format(problems)} ${problems === 1 ? "needs" : "need"} attention`]),
    ...(failingSubstreams === 0
      ? []
      : [
          `${number.format(failingSubstreams)} further ${failingSubstreams === 1 ? "stream is" : "streams are"} down`
        ])
  ].join("; ")}.`
}
