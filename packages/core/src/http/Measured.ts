/** Applies the measurements in the events of `/api/events` to cameras. Pure. */
import type { CameraSummary, Substream } from "./Api.ts"

type AnyStream = CameraSummary | Substream

/** New measurements of one stream. */
export type Measure = (stream: AnyStream) => Partial<Pick<Substream, "bitrate" | "mediaServer">>

/** A camera with new measurements of each of its streams. */
export const measured = (camera: CameraSummary, measure: Measure): CameraSummary => ({
  ...camera,
  ...measure(camera),
  ...(camera.substreams !== undefined && {
    substreams: camera.substreams.map((substream) => ({ ...substream, ...measure(substream) }))
  })
})

/** The bitrates of an event. */
export const withRates =
  (rates: Readonly<Record<string, number>>): Measure =>
  ({ id }) => ({ bitrate: rates[id] ?? 0 })

/** The readers of an event. */
export const withReaders =
  (readers: Readonly<Record<string, number>> | null): Measure =>
  ({ id, mediaServer }) => ({
    mediaServer:
      readers === null
        ? null
        : {
            since: null,
            inboundBytes: 0,
            ...mediaServer,
            isOnline: id in readers,
            readers: readers[id] ?? 0
          }
  })
