import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  cameraSeries,
  MediaPath,
  Metrics,
  Reason,
  StatusStore,
  StreamUrl
} from "@restream/core"
import { Effect, Metric, Result } from "effect"
import { serve } from "../http/DaemonServer.ts"
import { options } from "../kit/Tree.ts"
import { problemsOf, valuesOf } from "./ExpositionRules.ts"
import * as Promtool from "./Promtool.ts"

const cameraOf = (id: string, name = `Camera ${id}`): Camera => ({
  _tag: "Camera",
  id: id as CameraId,
  name,
  type: "url",
  url: Result.getOrThrow(StreamUrl.parse("rtsp://10.0.0.5/live")),
  path: Result.getOrThrow(MediaPath.parse(`cam${id}`)),
  options: options.defaults
})

const goLive = Effect.fnUntraced(function* (camera: Camera, bytes: number, lastVideoAt: number) {
  const store = yield* StatusStore
  yield* store.transition(camera, { _tag: "Probing", attempt: 1 })
  yield* store.transition(camera, { _tag: "Starting", engine: "native" })
  yield* store.attachRelay(camera.id, {
    counters: () => ({
      bytes,
      packets: bytes / 100,
      lost: 0,
      dropped: 0,
      lastVideoAt
    })
  })
  yield* store.transition(camera, {
    _tag: "Live",
    engine: "native",
    offer: { video: { codec: "h264" }, audio: undefined },
    since: 0
  })
})

const scrape = Effect.gen(function* () {
  const store = yield* StatusStore
  return cameraSeries(yield* store.all, { now: 20_000, stallTimeoutMs: 10_000 })
})

describe("the series of a camera", () => {
  it.effect("are sums over its relays, and go with the camera", () =>
    Effect.gen(function* () {
      const store = yield* StatusStore
      const camera = cameraOf("7")
      yield* goLive(camera, 1000, 15_000)
      yield* store.transition(camera, {
        _tag: "Restarting",
        reason: new Reason.Stalled({ side: "input", afterMs: 10_000 }),
        at: 0
      })
      yield* goLive(camera, 500, 19_000)
      const values = valuesOf(yield* scrape)
      const labels = '{camera="7",path="cam7"}'
      assert.strictEqual(values.get(`restream_camera_relayed_bytes_total${labels}`), 1500)
      assert.strictEqual(values.get(`restream_camera_restarts_total${labels}`), 1)
      assert.strictEqual(values.get(`restream_camera_stalls_total${labels}`), 1)
      assert.strictEqual(values.get(`restream_camera_up${labels}`), 1)
      assert.strictEqual(values.get(`restream_camera_last_video_timestamp_seconds${labels}`), 19)
      yield* store.remove(camera.id)
      assert.strictEqual(valuesOf(yield* scrape).size, 0)
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("report up only while video arrived within the stall timeout", () =>
    Effect.gen(function* () {
      yield* goLive(cameraOf("1"), 1, 10_000)
      yield* goLive(cameraOf("2"), 1, 9999)
      const values = valuesOf(yield* scrape)
      assert.strictEqual(values.get('restream_camera_up{camera="1",path="cam1"}'), 1)
      assert.strictEqual(values.get('restream_camera_up{camera="2",path="cam2"}'), 0)
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("escape what a name may contain", () =>
    Effect.gen(function* () {
      yield* goLive(cameraOf("1", 'Ворота "A"\\\nB'), 1, 1)
      const text = yield* scrape
      assert.include(text, 'name="Ворота \\"A\\"\\\\\\nB"')
      assert.deepStrictEqual(problemsOf(text), [])
    }).pipe(Effect.provide(StatusStore.layer))
  )

  it.effect("of 1,000 cameras take a few milliseconds", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 1000; i++) yield* goLive(cameraOf(String(i)), i, i)
      yield* scrape
      const before = performance.now()
      const text = yield* scrape
      process.stdout.write(
        `series of 1,000 cameras: ${(performance.now() - before).toFixed(1)} ms, ${Math.round(text.length / 1000)} kB\n`
      )
      assert.deepStrictEqual(problemsOf(text), [])
      assert.strictEqual(valuesOf(text).size, 9000)
    }).pipe(Effect.provide(StatusStore.layer))
  )
})

describe("/metrics", () => {
  it.live("keeps the rules of the format, and passes promtool", () =>
    Effect.gen(function* () {
      const { send } = yield* serve()
      const { body, headers } = yield* send("/metrics")
      assert.strictEqual(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      assert.deepStrictEqual(problemsOf(body), [])
      const values = valuesOf(body)
      assert.strictEqual([...values.keys()].filter((key) => key.includes("_build_info")).length, 1)
      assert.isAbove(values.get("process_resident_memory_bytes")!, 1e6)
      const promtool = Promtool.check(["check", "metrics"], body)
      if (promtool !== undefined) assert.deepStrictEqual(promtool, { status: 0, output: "" })
    })
  )
})

describe("the rules of the format", () => {
  const head = "# HELP a_total A\n# TYPE a_total counter\n"
  const faults: ReadonlyArray<readonly [string, RegExp]> = [
    [`${head}a_total 1\na_total 2\n`, /twice/],
    [`${head}a_total{x="1} 1\n`, /malformed labels/],
    [`${head}a_total one\n`, /not a number/],
    ["a_total 1\n", /no HELP/],
    ["# HELP a A\n# TYPE a counter\na 1\n", /_total is for counters/],
    ["# HELP a_total A\n# TYPE a_total gauge\na_total 1\n", /_total is for counters/],
    ["# HELP a_ms A\n# TYPE a_ms gauge\na_ms 1\n", /base unit/],
    [`${head}a_total 1\n# HELP b B\n# TYPE b gauge\nb 1\na_total{x="1"} 1\n`, /together/],
    ['# HELP h H\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n', /no \+Inf/],
    [`${head}a_total 1`, /no line break/]
  ]
  it.each(faults)("find the fault in %j", (text, expected) => {
    assert.match(problemsOf(text).join("\n"), expected)
  })
})

describe("metrics of modules", () => {
  it.effect("go to the registry of the tree that updates them", () =>
    Effect.gen(function* () {
      const registries = [new Map(), new Map()]
      const stalled = Metric.withAttributes(Metrics.restarts, { reason: "Stalled" })
      const countIn = (registry: Map<string, any>) =>
        Effect.provideService(
          Effect.andThen(Metric.update(stalled, 1), Metric.update(Metrics.stalls, 1)),
          Metric.MetricRegistry,
          registry
        )
      yield* countIn(registries[0]!)
      yield* countIn(registries[1]!)
      yield* countIn(registries[1]!)
      const counts = registries.map((registry) =>
        Effect.map(
          Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry),
          (series) => series.map(({ state }) => (state as { readonly count: number }).count)
        )
      )
      assert.deepStrictEqual(yield* Effect.all(counts), [
        [1, 1],
        [2, 2]
      ])
    })
  )
})
