/**
 * Converts statuses to documents of the API. Pure.
 *
 * Texts from cameras, servers and rows are redacted here again.
 */
import { redact } from "@restream/config"
import type { CameraId } from "../camera/Camera.ts"
import type { PathReport } from "../media-server/MediaMtxApi.ts"
import type { StreamOnServer } from "../media-server/MediaServers.ts"
import type { RateHistory } from "../status/Rates.ts"
import type { CameraLogLine } from "../status/CameraLog.ts"
import type { CameraStatus, SubstreamStatus } from "../status/CameraStatus.ts"
import type { TimelineEntry } from "../status/Timeline.ts"
import type { StreamInfo } from "../engine/StreamInfo.ts"
import type { PlayerUrls } from "../player/PlayerUrls.ts"
import { adviceOf } from "../status/Advice.ts"
import type { Cause } from "../status/Causes.ts"
import { type Filter, matches, retryAtOf, words } from "../status/OperatorView.ts"
import * as Api from "./Api.ts"

const streamOf = ({ audio, video }: StreamInfo) => ({
  video: video.codec,
  width: video.width ?? null,
  height: video.height ?? null,
  audio: audio?.codec ?? null
})

const problemOf = ({ reason, state }: CameraStatus) => {
  if (state._tag === "Invalid") return { code: "InvalidUrl", message: redact(state.problem) }
  return reason === undefined ? null : { code: reason._tag, message: redact(reason.message) }
}

const serverWordOf = ({ inboundBytes, isOnline, onlineSince, readers }: PathReport) => ({
  isOnline,
  since: onlineSince ?? null,
  readers,
  inboundBytes
})

/** Sources of data about a stream besides its status. */
export interface StreamSources {
  /** The name of this node. `undefined`: there is no cluster. */
  readonly node: string | undefined
  /** The current bitrate, in bits per second. */
  readonly bitrateOf: (id: CameraId) => number
  /** The report of the media server about the stream's path, if known. */
  readonly reportOf: (stream: StreamOnServer) => PathReport | undefined
}

const measuredOf = (
  status: CameraStatus,
  { bitrateOf, reportOf }: Omit<StreamSources, "node">
): Pick<Api.Substream, "bitrate" | "mediaServer" | "mediaServerName"> => {
  const { id, mediaServer, word } = status
  const report = reportOf(status)
  return {
    bitrate: word === "ok" ? bitrateOf(id) : 0,
    ...(mediaServer !== undefined && { mediaServerName: mediaServer }),
    mediaServer: report === undefined ? null : serverWordOf(report)
  }
}

/** A camera in the list. */
export const summaryOf = (status: CameraStatus, sources: StreamSources): Api.CameraSummary => ({
  id: status.id,
  ...(sources.node !== undefined && { node: sources.node }),
  name: status.name,
  type: status.type,
  path: status.path ?? null,
  host: status.host ?? null,
  word: status.word,
  state: status.state._tag.toLowerCase() as Lowercase<typeof status.state._tag>,
  since: status.since,
  problem: problemOf(status),
  retryAt: retryAtOf(status.state) ?? null,
  engine: status.engine ?? null,
  stream: status.offer === undefined ? null : streamOf(status.offer),
  ...measuredOf(status, sources),
  restarts: status.restarts,
  stalls: status.stalls,
  health: status.health,
  lastVideoAt: status.lastVideoAt ?? null,
  ...(status.substreams !== undefined && {
    substreams: status.substreams.map((substream) => substreamOf(substream, sources))
  }),
  revision: status.revision
})

const substreamOf = (status: SubstreamStatus, sources: StreamSources): Api.Substream => ({
  id: status.id,
  name: status.stream,
  path: status.path ?? null,
  word: status.word,
  since: status.since,
  problem: problemOf(status),
  retryAt: retryAtOf(status.state) ?? null,
  stream: status.offer === undefined ? null : streamOf(status.offer),
  ...measuredOf(status, sources)
})

export interface DetailSources extends StreamSources {
  readonly history: RateHistory
  readonly timeline: ReadonlyArray<TimelineEntry>
  readonly log: ReadonlyArray<CameraLogLine>
  readonly playerUrls: PlayerUrls | undefined
}

export const detailOf = (
  status: CameraStatus,
  { history, log, playerUrls, timeline, ...sources }: DetailSources
): Api.CameraDetail => ({
  ...summaryOf(status, sources),
  address: status.address === undefined ? null : redact(status.address),
  advice: adviceOf(status.state, status.reason) ?? null,
  probeMs: status.probeMs ?? null,
  totals: status.totals,
  bitrates: history,
  timeline: timeline.map(({ reason, ...entry }) => ({
    ...entry,
    reason: reason === undefined ? null : redact(reason)
  })),
  log,
  playerUrls: playerUrls ?? null
})

export const causeOf = (cause: Cause): Api.Overview["causes"][number] => ({
  ...cause,
  message: redact(cause.message),
  host: cause.host ?? null
})

const byText = new Intl.Collator("en", { numeric: true, sensitivity: "base" })
const healthOrder = ["poor", "fair", "good"]

const comparisons: Record<
  (typeof Api.sortKeys)[number],
  (a: Api.CameraSummary, b: Api.CameraSummary) => number
> = {
  id: (a, b) => byText.compare(a.id, b.id),
  name: (a, b) => byText.compare(a.name, b.name),
  word: (a, b) => words.indexOf(a.word) - words.indexOf(b.word),
  since: (a, b) => a.since - b.since,
  bitrate: (a, b) => a.bitrate - b.bitrate,
  restarts: (a, b) => a.restarts.lastHour - b.restarts.lastHour,
  health: (a, b) => healthOrder.indexOf(a.health) - healthOrder.indexOf(b.health)
}

export interface Selection extends Filter {
  readonly sort?: (typeof Api.sortKeys)[number]
  readonly order?: "asc" | "desc"
  readonly limit?: number
  readonly offset?: number
}

/** Filters, sorts and pages; equal cameras are ordered by id. */
export const select = (
  cameras: ReadonlyArray<Api.CameraSummary>,
  { limit = 1000, offset = 0, order = "asc", sort = "id", ...filter }: Selection
): { readonly total: number; readonly page: ReadonlyArray<Api.CameraSummary> } => {
  const matching = cameras.filter(matches(filter))
  const sign = order === "asc" ? 1 : -1
  const compare = comparisons[sort]
  matching.sort((a, b) => sign * compare(a, b) || comparisons.id(a, b))
  return { total: matching.length, page: matching.slice(offset, offset + limit) }
}
