/** The report of `restream status` as text. Pure. */
import { DurationText, OperatorView } from "@restream/core"
import type { CameraSummary, Overview } from "@restream/core/http"
import { colored } from "../text/Color.ts"
import { table } from "../text/Table.ts"

export interface Report {
  readonly overview: Overview
  readonly cameras: ReadonlyArray<CameraSummary>
}

const byId = new Intl.Collator("en", { numeric: true })

/** The worst first, then by the id. */
const inOrder = (cameras: ReadonlyArray<CameraSummary>): ReadonlyArray<CameraSummary> =>
  [...cameras].sort(
    (a, b) =>
      OperatorView.words.indexOf(a.word) - OperatorView.words.indexOf(b.word) ||
      byId.compare(a.id, b.id)
  )

const bitrate = (bits: number): string => {
  if (bits === 0) return "-"
  return bits < 1e6 ? `${Math.round(bits / 1000)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`
}

const streamOf = ({ stream }: Pick<CameraSummary, "stream">): string => {
  if (stream === null) return ""
  const size = stream.width === null ? "" : ` ${stream.width}x${stream.height}`
  return `${stream.video}${size}${stream.audio === null ? ", no audio" : ` + ${stream.audio}`}`
}

/** The stream of the camera, or its problem; the same of its further streams. */
const detailOf = (camera: CameraSummary, now: number): string =>
  [
    mainDetailOf(camera, now),
    ...(camera.substreams ?? []).map(
      (substream) =>
        `${substream.name}: ${mainDetailOf({ ...substream, state: substream.word }, now)}`
    )
  ].join("; ")

const hasProblem = ({ substreams = [], word }: CameraSummary): boolean =>
  word !== "ok" || substreams.some(({ word }) => word !== "ok")

/** How many watch, as the media server says. */
const readersOf = ({ mediaServer }: CameraSummary): string =>
  mediaServer?.isOnline === true ? String(mediaServer.readers) : "-"

/** What an operator wants to know beside the word: the problem and the next attempt, or the stream. */
const mainDetailOf = (
  camera: Pick<CameraSummary, "problem" | "retryAt" | "stream" | "word"> & {
    readonly state: string
    readonly mediaServer?: CameraSummary["mediaServer"]
  },
  now: number
): string => {
  const { problem, retryAt, state, word } = camera
  if (word === "ok") {
    return camera.mediaServer?.isOnline === false
      ? `${streamOf(camera)}; not online at the media server`
      : streamOf(camera)
  }
  const message = problem?.message ?? state
  if (retryAt !== null) {
    return `${message}; retrying in ${DurationText.formatMillis(retryAt - now)}`
  }
  return word === "down" ? `${message}; retrying now` : message
}

/** The table of cameras, the worst first. */
export const cameraTable = (
  cameras: ReadonlyArray<CameraSummary>,
  now: number,
  width?: number,
  hasColor = false
): string => {
  const showsReaders = cameras.some(({ mediaServer }) => mediaServer !== null)
  const rows = inOrder(cameras).map((camera) => [
    camera.id,
    camera.name,
    colored(camera.word, hasColor),
    DurationText.formatElapsed(now - camera.since),
    bitrate(camera.bitrate),
    ...(showsReaders ? [readersOf(camera)] : []),
    String(camera.restarts.lastHour),
    detailOf(camera, now)
  ])
  const readers = showsReaders ? ["READERS"] : []
  const titles = ["ID", "NAME", "STATE", "SINCE", "BITRATE", ...readers, "RESTARTS/H", "DETAIL"]
  return table([titles, ...rows], {
    maxCellWidth: 40,
    ...(width === undefined ? {} : { width })
  })
}

const affected = (count: number): string =>
  count === 0 ? "" : ` (${count} camera${count === 1 ? "" : "s"})`

/** The sentence, the causes, and the cameras with a stream that is not live, or all of them. */
export const statusLines = (
  { cameras, overview }: Report,
  options: {
    readonly all: boolean
    readonly width?: number | undefined
    /** Whether states are colored. Default: no. */
    readonly hasColor?: boolean
  }
): ReadonlyArray<string> => {
  const { causes, now, tally } = overview
  const listed = options.all ? cameras : cameras.filter(hasProblem)
  return [
    isRead(overview) ? OperatorView.sentenceOf(tally) : "The camera list has not been read yet.",
    ...causes.flatMap(({ advice, count, host, message, since }) => [
      `- ${message}${host === null || message.includes(host) ? "" : ` at ${host}`}${affected(count)}, since ${DurationText.formatElapsed(now - since)}`,
      `  ${advice}`
    ]),
    ...(listed.length === 0
      ? []
      : ["", ...cameraTable(listed, now, options.width, options.hasColor).split("\n")])
  ]
}

const isRead = ({ database }: Overview): boolean => database.lastReadAt !== null

/** Whether every stream of every camera is live. */
export const isWell = ({ cameras, overview }: Report): boolean => {
  const { tally } = overview
  if (cameras.some(hasProblem)) return false
  return isRead(overview) && OperatorView.words.every((word) => word === "ok" || tally[word] === 0)
}
