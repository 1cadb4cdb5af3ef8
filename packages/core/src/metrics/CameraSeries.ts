/**
 * The series of each camera, rendered from the status store at a scrape. Pure.
 *
 * The series are not metrics of a registry: a camera that leaves the store also leaves the exposition, its counters
 * are sums over all its relays, and the text of 1,000 cameras takes a few milliseconds.
 */
import type { PathReport } from "../media-server/MediaMtxApi.ts"
import { type CameraStatus, everyStream } from "../status/CameraStatus.ts"
import { family, labels, type Sample } from "./Exposition.ts"

export interface SeriesOptions {
  /** In milliseconds since 1970. */
  readonly now: number
  /** A live camera is up while its last video is not older than this. */
  readonly stallTimeoutMs: number
  /** The report of the media server about a path, if known. Default: none. */
  readonly report?: ((stream: CameraStatus) => PathReport | undefined) | undefined
}

/** Whether media reaches the media server, by the last video and not by the state alone. */
const isUp = ({ lastVideoAt, word }: CameraStatus, { now, stallTimeoutMs }: SeriesOptions) =>
  word === "ok" && lastVideoAt !== undefined && now - lastVideoAt <= stallTimeoutMs

/**
 * The families of all cameras and of their further streams. Labels: the id and the path; names and types in
 * `restream_camera_info`.
 */
export const cameraSeries = (
  cameras: ReadonlyArray<CameraStatus>,
  options: SeriesOptions
): string => {
  const streams = everyStream(cameras)
  const known = streams.map((status) => ({
    status,
    labels: labels({ camera: status.id, path: status.path ?? "" })
  }))
  const of = (value: (status: CameraStatus) => number | undefined): ReadonlyArray<Sample> =>
    known.flatMap(({ labels, status }) => {
      const number = value(status)
      return number === undefined ? [] : [{ labels, value: number }]
    })
  return [
    family(
      "restream_camera_info",
      "gauge",
      "Name and type of a camera; always 1",
      streams.map(({ id, mediaServer, name, path = "", type }) => ({
        labels: labels({
          camera: id,
          path,
          name,
          type,
          ...(mediaServer !== undefined && { media_server: mediaServer })
        }),
        value: 1
      }))
    ),
    family(
      "restream_camera_up",
      "gauge",
      "Whether video of the camera arrived within the stall timeout",
      of((status) => (isUp(status, options) ? 1 : 0))
    ),
    family(
      "restream_camera_relayed_bytes_total",
      "counter",
      "Media of the camera sent to the media server, in bytes, over all relays",
      of(({ totals }) => totals.bytes)
    ),
    family(
      "restream_camera_relayed_packets_total",
      "counter",
      "RTP packets of the camera sent to the media server, over all relays",
      of(({ totals }) => totals.packets)
    ),
    family(
      "restream_camera_lost_packets_total",
      "counter",
      "RTP packets that the camera sent and that never arrived",
      of(({ totals }) => totals.lost)
    ),
    family(
      "restream_camera_dropped_packets_total",
      "counter",
      "RTP packets of the camera that the media server was too slow for",
      of(({ totals }) => totals.dropped)
    ),
    family(
      "restream_camera_restarts_total",
      "counter",
      "Relays of the camera that ended and were restarted",
      of(({ restarts }) => restarts.total)
    ),
    family(
      "restream_camera_stalls_total",
      "counter",
      "Relays of the camera that ended because nothing advanced for the stall timeout",
      of(({ stalls }) => stalls.total)
    ),
    ...serverSeries(known, options),
    family(
      "restream_camera_last_video_timestamp_seconds",
      "gauge",
      "When the last video of the camera arrived, in seconds since 1970; missing before the first",
      of(({ lastVideoAt }) => (lastVideoAt === undefined ? undefined : lastVideoAt / 1000))
    )
  ].join("")
}

/** The families from the reports of the media server; none without reports. */
const serverSeries = (
  cameras: ReadonlyArray<{ readonly labels: string; readonly status: CameraStatus }>,
  { report = () => undefined }: SeriesOptions
): ReadonlyArray<string> => {
  const known = cameras.flatMap(({ labels, status }) => {
    const said = report(status)
    return said === undefined ? [] : [{ labels, said }]
  })
  if (known.length === 0) return []
  const of = (value: (said: PathReport) => number): ReadonlyArray<Sample> =>
    known.map(({ labels, said }) => ({ labels, value: value(said) }))
  return [
    family(
      "restream_camera_online",
      "gauge",
      "Whether the path of the camera is online, as the media server says",
      of(({ isOnline }) => (isOnline ? 1 : 0))
    ),
    family(
      "restream_camera_readers",
      "gauge",
      "Readers of the path of the camera at the media server",
      of(({ readers }) => readers)
    ),
    family(
      "restream_camera_server_received_bytes_total",
      "counter",
      "What the media server has received on the path of the camera, in bytes",
      of(({ inboundBytes }) => inboundBytes)
    )
  ]
}
