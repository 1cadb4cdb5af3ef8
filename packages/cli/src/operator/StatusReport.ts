/** The report of `restream status` as text. Pure. */
import { DurationText, OperatorView } from "@restream/core"
import {
  type CameraDetail,
  type CameraSummary,
  type Overview,
  streamsOf,
  type Substream
} from "@restream/core/http"
import { colored } from "../text/Color.ts"
import { table } from "../text/Table.ts"

export interface Report {
  readonly overview: Overview
  readonly cameras: ReadonlyArray<CameraSummary>
}

const byId = new Intl.Collator("en", { numeric: true })

type Stream = CameraSummary | Substream

/** The rank of the worst stream of a camera; 0 is the worst. */
const rankOf = (camera: CameraSummary): number =>
  Math.min(...streamsOf(camera).map(({ word }) => OperatorView.words.indexOf(word)))

/** The worst first, then by the id. */
const inOrder = (cameras: Report["cameras"]): Report["cameras"] =>
  [...cameras].sort((a, b) => rankOf(a) - rankOf(b) || byId.compare(a.id, b.id))

const bitrate = (bits: number): string => {
  if (bits === 0) return "-"
  return bits < 1e6 ? `${Math.round(bits / 1000)} kbit/s` : `${(bits / 1e6).toFixed(1)} Mbit/s`
}

const streamOf = ({ stream }: Pick<CameraSummary, "stream">): string => {
  if (stream === null) return ""
  const size = stream.width === null ? "" : ` ${stream.width}x${stream.height}`
  return `${stream.video}${size}${stream.audio === null ? ", no audio" : ` + ${stream.audio}`}`
}

const hasProblem = (camera: CameraSummary): boolean =>
  streamsOf(camera).some(({ word }) => word !== "ok")

/** The number of readers, as reported by the media server. */
const readersOf = ({ mediaServer }: Stream): string =>
  mediaServer?.isOnline === true ? String(mediaServer.readers) : "-"

/** The details besides the state: the problem and the next attempt, or the stream. */
const detailOf = (stream: Stream, now: number): string => {
  const { problem, retryAt, word } = stream
  if (word === "ok") {
    return stream.mediaServer?.isOnline === false
      ? `${streamOf(stream)}; not online at the media server`
      : streamOf(stream)
  }
  const message = problem?.message ?? ("state" in stream ? stream.state : word)
  if (retryAt !== null) {
    return `${message}; retrying in ${DurationText.formatMillis(retryAt - now)}`
  }
  return word === "down" ? `${message}; retrying now` : message
}

/** The table of cameras, the worst first; a further stream has a row below its camera. */
const cameraTable = (
  cameras: Report["cameras"],
  { now, nodes = [] }: Pick<Overview, "nodes" | "now">,
  width?: number,
  hasColor = false
): string => {
  const streams = inOrder(cameras).flatMap(({ node = "", ...camera }) =>
    streamsOf(camera).map((stream: Stream) => ({ ...stream, node }))
  )
  const showsReaders = streams.some(({ mediaServer }) => mediaServer !== null)
  const showsServers = streams.some(({ mediaServerName }) => mediaServerName !== undefined)
  const showsNode = nodes.length > 1
  const rows = streams.map((stream) => [
    stream.id,
    stream.name,
    colored(stream.word, hasColor),
    DurationText.formatElapsed(now - stream.since),
    ...(showsServers ? [stream.mediaServerName ?? "-"] : []),
    bitrate(stream.bitrate),
    ...(showsReaders ? [readersOf(stream)] : []),
    ...(showsNode ? [stream.node] : []),
    "restarts" in stream ? String(stream.restarts.lastHour) : "-",
    detailOf(stream, now)
  ])
  const readers = showsReaders ? ["READERS"] : []
  const servers = showsServers ? ["SERVER"] : []
  const node = showsNode ? ["NODE"] : []
  const titles = [
    "ID",
    "NAME",
    "STATE",
    "SINCE",
    ...servers,
    "BITRATE",
    ...readers,
    ...node,
    "RESTARTS/H",
    "DETAIL"
  ]
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
  const { nodes = [] } = overview
  const silent = nodes.filter(({ tally }) => tally === null).map(({ name }) => name)
  const node =
    nodes.length > 1
      ? `${nodes.length} nodes: `
      : overview.node === undefined
        ? ""
        : `Node ${overview.node}: `
  return [
    node +
      (isRead(overview)
        ? (noCamera(overview) ??
          OperatorView.sentenceOf(tally, OperatorView.countFailingSubstreams(cameras), causes))
        : "The camera list has not been read yet.") +
      (silent.length === 0 ? "" : ` Those of ${silent.join(", ")} are not known.`),
    ...nodes.flatMap(({ name, problem, state, url }) => {
      if (state === "unknown") return [`- the cameras of node ${name} are not known: ${problem}`]
      // an address that does not respond is among the causes
      return state === "unreachable" && url === null ? [`- node ${name}: ${problem}`] : []
    }),
    ...causes.flatMap((cause) => [
      `- ${cause.message}${placeOf(cause)}${affected(cause.count)}, since ${DurationText.formatElapsed(now - cause.since)}`,
      `  ${cause.advice}`
    ]),
    ...(listed.length === 0
      ? []
      : ["", ...cameraTable(listed, overview, options.width, options.hasColor).split("\n")])
  ]
}

/** The host of a cause, unless its message contains it. The message of a DnsError names the host without its port. */
const placeOf = ({ host, kind, message }: Overview["causes"][number]): string =>
  host === null || kind === "DnsError" || message.includes(host) ? "" : ` at ${host}`

const isRead = ({ database }: Overview): boolean => database.lastReadAt !== null

/** Why a node relays no camera although the list has some; `undefined`: it does, or the list is empty. */
const noCamera = ({ cluster, nodes = [], tally }: Overview): string | undefined => {
  if (cluster === undefined || OperatorView.words.some((word) => tally[word] > 0)) return undefined
  if (!cluster.hasJoined) return "It has not joined the cluster yet."
  if (!cluster.hasOthers || nodes.every((node) => node.tally !== null)) return undefined
  return cluster.shards === 0
    ? "The cameras are relayed by other nodes."
    : "No camera is in the shards of this node."
}

/** Whether every stream of every camera is live, and each node can take part in its cluster. */
export const isWell = ({ cameras, overview }: Report): boolean => {
  const { causes, nodes = [], tally } = overview
  if (cameras.some(hasProblem) || nodes.some(({ state }) => state === "unreachable")) return false
  if (causes.some(({ kind }) => kind === "cluster")) return false
  return isRead(overview) && OperatorView.words.every((word) => word === "ok" || tally[word] === 0)
}

/** The details of one camera, and where to watch it. @param now in milliseconds since 1970. */
export const cameraLines = (camera: CameraDetail, now: number): ReadonlyArray<string> => {
  const { address, advice, id, name, playerUrls, substreams = [], word } = camera
  const facts: ReadonlyArray<readonly [title: string, fact: string | null]> = [
    [word === "ok" ? "stream" : "problem", detailOf(camera, now)],
    ["advice", advice],
    ["bitrate", word === "ok" ? bitrate(camera.bitrate) : null],
    ["readers", camera.mediaServer === null ? null : readersOf(camera)],
    ["server", camera.mediaServerName ?? null],
    ["node", camera.node ?? null],
    ["camera", address],
    ...substreams.map(
      (stream) => [stream.name, `${stream.word}, ${detailOf(stream, now)}`] as const
    ),
    ...Object.entries(playerUrls ?? {})
  ]
  const rows = facts.filter(([, fact]) => fact !== null && fact !== "")
  const width = Math.max(...rows.map(([title]) => title.length))
  return [
    `camera ${id} "${name}": ${word} for ${DurationText.formatElapsed(now - camera.since)}`,
    ...rows.map(([title, fact]) => `  ${title.padEnd(width)}  ${fact}`)
  ]
}
