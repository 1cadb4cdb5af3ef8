/**
 * The metrics, which are updated by the events of the status store and by a sampler.
 *
 * No code here runs per packet. Effect's exporters for Prometheus and OTLP read these metrics.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PubSub from "effect/PubSub"
import { MediaServers, type RunningServer } from "../media-server/MediaServers.ts"
import { CameraSource } from "../source/CameraSource.ts"
import { tags } from "./CameraState.ts"
import type { StatusEvent } from "./CameraStatus.ts"
import { StatusStore } from "./StatusStore.ts"

/** The attribute `state` is the state in lower case; every state has a value, even 0. */
export const cameras = Metric.gauge("restream_cameras", {
  description: "Cameras by state"
})

/** Made once, because they are updated at each change of a state. */
const camerasInState = tags.map(
  (tag) => [tag, Metric.withAttributes(cameras, { state: tag.toLowerCase() })] as const
)

/** The attribute `reason` is the tag of the reason. */
export const restarts = Metric.counter("restream_restarts_total", {
  description: "Relays that ended and were restarted, by reason",
  incremental: true
})

export const stalls = Metric.counter("restream_stalls_total", {
  description: "Relays that ended because nothing advanced for the stall timeout",
  incremental: true
})

export const relayedBytes = Metric.counter("restream_relayed_bytes_total", {
  description: "Media sent to the media server, in bytes",
  incremental: true
})

export const relayedPackets = Metric.counter("restream_relayed_packets_total", {
  description: "RTP packets sent to the media server",
  incremental: true
})

export const lostPackets = Metric.counter("restream_lost_packets_total", {
  description: "RTP packets that cameras sent and that never arrived",
  incremental: true
})

export const droppedPackets = Metric.counter("restream_dropped_packets_total", {
  description: "RTP packets that the media server was too slow for",
  incremental: true
})

/** In seconds; the same boundaries for all durations. */
const boundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** In seconds. The attribute `outcome` is `answered` or `failed`. */
export const probeDuration = Metric.histogram("restream_probe_duration_seconds", {
  description: "Time from the start of a probe to its result",
  boundaries
})

/** In seconds. */
export const reconcileDuration = Metric.histogram("restream_reconcile_duration_seconds", {
  description: "Time to apply a set of desired cameras",
  boundaries
})

export const snapshotAge = Metric.gauge("restream_snapshot_age_seconds", {
  description: "Time since the last successful read of the camera list"
})

/** 1 while the camera list can be read, otherwise 0. */
export const databaseUp = Metric.gauge("restream_database_up", {
  description: "Whether the last read of the camera list succeeded"
})

/** 1 while the media server is reachable, otherwise 0. */
export const mediaServerUp = Metric.gauge("restream_media_server_up", {
  description: "Whether the media server is reachable"
})

/** 1 while the API of the media server responds, otherwise 0; only with `mediaServer.apiUrl`. */
export const mediaServerApiUp = Metric.gauge("restream_media_server_api_up", {
  description: "Whether the API of the media server responds"
})

/** Only with `mediaServer.apiUrl`. */
export const offlineCameras = Metric.gauge("restream_cameras_offline_at_media_server", {
  description:
    "Live cameras whose path is not online for the stall timeout, as the media server says"
})

/** The interval at which counters and ages are read. */
const sampleInterval = "5 seconds"

/** A gauge of a media server; if there are several, the attribute `media_server` is its name. */
const ofServer = (gauge: Metric.Gauge<number>, name: string | undefined) =>
  name === undefined ? gauge : Metric.withAttributes(gauge, { media_server: name })

/** Sets the series of a removed server to NaN, because series cannot be removed. */
const forgetServer = (name: string) =>
  Effect.forEach(
    [mediaServerUp, mediaServerApiUp, offlineCameras],
    (gauge) => Metric.update(ofServer(gauge, name), Number.NaN),
    { discard: true }
  )

const sampleServers = (servers: ReadonlyArray<RunningServer>) =>
  Effect.forEach(
    servers,
    Effect.fnUntraced(function* ({ health, name, paths }) {
      const { _tag } = yield* health.status
      yield* Metric.update(ofServer(mediaServerUp, name), _tag === "Up" ? 1 : 0)
      const api = paths.apiStatus()
      if (api._tag === "Off") return
      yield* Metric.update(ofServer(mediaServerApiUp, name), api._tag === "Up" ? 1 : 0)
      yield* Metric.update(ofServer(offlineCameras, name), paths.offlinePaths().size)
    }),
    { discard: true }
  )

/** Updates the metrics in the layer's scope. */
export const layer: Layer.Layer<never, never, CameraSource | MediaServers | StatusStore> =
  Layer.effectDiscard(
    Effect.gen(function* () {
      const store = yield* StatusStore
      const source = yield* CameraSource
      const mediaServers = yield* MediaServers
      const subscription = yield* store.subscribe
      let sampled = yield* store.traffic
      let sampledServers: ReadonlySet<string> = new Set()

      const countStates = Effect.flatMap(store.countByState, (counts) =>
        Effect.forEach(camerasInState, ([tag, gauge]) => Metric.update(gauge, counts[tag] ?? 0), {
          discard: true
        })
      )
      const sample = Effect.gen(function* () {
        const traffic = yield* store.traffic
        yield* Metric.update(relayedBytes, traffic.bytes - sampled.bytes)
        yield* Metric.update(relayedPackets, traffic.packets - sampled.packets)
        yield* Metric.update(lostPackets, traffic.lost - sampled.lost)
        yield* Metric.update(droppedPackets, traffic.dropped - sampled.dropped)
        sampled = traffic
        const servers = mediaServers.all()
        yield* sampleServers(servers)
        const names = new Set(servers.flatMap(({ name }) => name ?? []))
        for (const name of sampledServers) if (!names.has(name)) yield* forgetServer(name)
        sampledServers = names
        const health = yield* source.health
        yield* Metric.update(databaseUp, health._tag === "Up" ? 1 : 0)
        const lastSnapshotAt = health._tag === "Connecting" ? undefined : health.lastSnapshotAt
        if (lastSnapshotAt === undefined) return
        const now = yield* Clock.currentTimeMillis
        yield* Metric.update(snapshotAge, (now - lastSnapshotAt) / 1000)
      })
      const onEvents = (events: ReadonlyArray<StatusEvent>) =>
        Effect.andThen(Effect.forEach(events, onEvent, { discard: true }), countStates)

      yield* countStates
      yield* sample
      yield* Effect.forkScoped(
        Effect.forever(Effect.flatMap(PubSub.takeAll(subscription), onEvents))
      )
      yield* Effect.forkScoped(Effect.forever(Effect.delay(sample, sampleInterval)))
    })
  )

const onEvent = Effect.fnUntraced(function* (event: StatusEvent) {
  if (event._tag !== "StateChanged") return
  const { elapsedMs, from, to } = event
  if (to._tag === "Restarting") {
    yield* Metric.update(Metric.withAttributes(restarts, { reason: to.reason._tag }), 1)
    if (to.reason._tag === "Stalled") yield* Metric.update(stalls, 1)
  }
  if (from?._tag === "Probing" && (to._tag === "Starting" || to._tag === "Unreachable")) {
    const outcome = to._tag === "Starting" ? "answered" : "failed"
    yield* Metric.update(Metric.withAttributes(probeDuration, { outcome }), elapsedMs / 1000)
  }
})
