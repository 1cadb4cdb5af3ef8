import { assert, describe, it } from "@effect/vitest"
import { type CameraId, CameraState, Metrics, Reason, StatusStore } from "@restream/core"
import { Effect, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { layer, row, setRows } from "../kit/Tree.ts"

/** The value of each series, by its name and its distinguishing attribute. */
const values = Effect.map(Metric.snapshot, (snapshot) => {
  const all: Record<string, number> = {}
  for (const series of snapshot) {
    const attributes = Object.values(series.attributes ?? {}).join()
    const name = series.id + (attributes === "" ? "" : ` ${attributes}`)
    if (series.type === "Gauge") all[name] = Number(series.state.value)
    else if (series.type === "Counter") all[name] = Number(series.state.count)
    else if (series.type === "Histogram") all[name] = series.state.count
  }
  return all
})

describe("Metrics", () => {
  it.each(["monitoring.md", "ru/monitoring.md"])(
    "of docs/%s have the states that exist",
    (name) => {
      const text = readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8")
      const row = /^\| `restream_cameras\{state\}`(.*)$/m.exec(text)?.[1] ?? ""
      const documented = [...row.matchAll(/`([a-z]+)`/g)].map(([, state]) => state)
      const states = CameraState.tags.map((tag) => tag.toLowerCase())
      assert.includeMembers(documented, states)
      const rules = readFileSync(new URL("../../ops/prometheus/rules.yml", import.meta.url), "utf8")
      const queried = [...rules.matchAll(/restream_cameras\{state!?=~?"([^"]+)"/g)].flatMap(
        ([, value]) => value!.split("|")
      )
      assert.isNotEmpty(queried)
      assert.includeMembers(states, queried)
    }
  )

  it.effect("count cameras, restarts, stalls, traffic and probes as they happen", () => {
    const fake = FakeEngine.make()
    const answer = fake.answer
    fake.answer = (camera) =>
      camera.id === "2"
        ? Effect.fail(new Reason.NotFound())
        : Effect.andThen(Effect.sleep("100 millis"), answer(camera))
    return Effect.gen(function* () {
      yield* TestClock.adjust("900 millis")
      assert.deepInclude(yield* values, {
        "restream_cameras live": 1,
        "restream_cameras unreachable": 1,
        "restream_cameras invalid": 1,
        "restream_cameras stopping": 0,
        "restream_cameras restarting": 0,
        "restream_probe_duration_seconds answered": 1,
        "restream_probe_duration_seconds failed": 1
      })
      const store = yield* StatusStore
      const counters = { bytes: 1500, packets: 3, lost: 2, dropped: 1, lastVideoAt: undefined }
      yield* store.attachRelay("1" as CameraId, { counters: () => counters })
      yield* TestClock.adjust("5 seconds")
      yield* fake.relays[0]!.end(new Reason.Stalled({ side: "input", afterMs: 10_000 }))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* values, {
        "restream_cameras restarting": 1,
        "restream_restarts_total Stalled": 1,
        restream_database_up: 1,
        restream_media_server_up: 1,
        restream_stalls_total: 1,
        restream_lost_packets_total: 2,
        restream_dropped_packets_total: 1
      })
      const { restream_relayed_bytes_total: bytes } = yield* values
      yield* setRows([])
      yield* TestClock.adjust("10 seconds")
      const after = yield* values
      assert.deepInclude(after, { "restream_cameras restarting": 0, "restream_cameras live": 0 })
      // what a camera has counted stays counted when the camera is gone
      assert.isAtLeast(after["restream_relayed_bytes_total"]!, bytes!)
      assert.isAtMost(after["restream_snapshot_age_seconds"]!, 10)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(Metrics.layer, layer([fake], [row(1), row(2), row(3, { url: null })]))
      ),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  })
})
