/** What reads its settings where it uses them, so that a reload is enough. */
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings, type Settings } from "@restream/config"
import {
  CameraTypes,
  DesiredCameras,
  Engines,
  LiveSettings,
  MediaServer,
  MediaServerError,
  MemoryCameraSource,
  Polling,
  ProbeLimiter,
  StartRateLimiter,
  StreamUrl
} from "@restream/core"
import { Clock, Context, Duration, Effect, Fiber, Layer, Stream, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"

describe("after a change of the settings,", () => {
  it.effect("the source is polled by the new interval and given up by the new time-out", () =>
    Effect.gen(function* () {
      const timing = { pollInterval: Duration.hours(1), fetchTimeout: Duration.hours(1) }
      const takes: Array<number> = []
      let isFrozen = false
      const source = yield* Polling.make({
        label: "test",
        fetchRows: Effect.gen(function* () {
          takes.push(yield* Clock.currentTimeMillis)
          return isFrozen ? yield* Effect.never : []
        }),
        timing: Effect.sync(() => ({ ...timing }))
      })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(takes.length, 1)
      timing.pollInterval = Duration.minutes(1)
      timing.fetchTimeout = Duration.seconds(1)
      yield* source.refresh
      yield* TestClock.adjust("10 minutes")
      assert.isAtLeast(takes.length, 10)
      isFrozen = true
      yield* TestClock.adjust("62 seconds")
      assert.strictEqual((yield* source.health)._tag, "Down")
    })
  )

  it.effect("the media server is checked by the new interval", () =>
    Effect.gen(function* () {
      let checkInterval = Duration.hours(1)
      let checks = 0
      const server = yield* MediaServer.make({
        address: new StreamUrl({ scheme: "rtsp", host: "127.0.0.1", port: 8554 }),
        check: Effect.suspend(() => {
          checks++
          return checks > 100 ? Effect.fail(new MediaServerError({ detail: "" })) : Effect.void
        }),
        timing: Effect.sync(() => ({ checkInterval }))
      })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(checks, 1)
      checkInterval = Duration.seconds(10)
      yield* server.reportFailure
      yield* TestClock.adjust("1 minute")
      assert.isAtLeast(checks, 6)
    })
  )

  it.effect("as many probes run as the new limits allow", () =>
    Effect.gen(function* () {
      const options = { concurrency: 1, perHost: 1 }
      const limits = ProbeLimiter.make(() => options)
      let running = 0
      let most = 0
      const prober = { name: "native", slowAfter: Duration.minutes(1), concurrency: 32 }
      const probe = Effect.acquireUseRelease(
        Effect.sync(() => (most = Math.max(most, ++running))),
        () => Effect.sleep("1 second"),
        () => Effect.sync(() => running--)
      )
      const all = Effect.gen(function* () {
        most = 0
        const fiber = yield* Effect.forkChild(
          Effect.forEach([1, 1, 2, 3], (host) => limits.withPermit(String(host), prober)(probe), {
            concurrency: "unbounded"
          })
        )
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
        return most
      })
      assert.strictEqual(yield* all, 1)
      options.concurrency = 3
      assert.strictEqual(yield* all, 3)
      options.concurrency = 4
      options.perHost = 2
      assert.strictEqual(yield* all, 4)
    })
  )

  it.effect("starts are paced by the new time", () =>
    Effect.gen(function* () {
      let spacing: Duration.Input = "10 seconds"
      const pacing = StartRateLimiter.make(() => spacing)
      const three = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          Effect.andThen(
            Effect.forEach([1, 2, 3], () => pacing.acquire),
            Clock.currentTimeMillis
          )
        )
        const before = yield* Clock.currentTimeMillis
        yield* TestClock.adjust("1 hour")
        return (yield* Fiber.join(fiber)) - before
      })
      assert.isAtLeast(yield* three, 10_000)
      spacing = 0
      assert.isBelow(yield* three, 1000)
    })
  )

  it.effect("templates make other addresses", () =>
    Effect.gen(function* () {
      const settings = yield* SubscriptionRef.make<Settings>({
        ...defaultSettings,
        cameraTypes: { acme: "rtsp://{host}/one" }
      })
      const services = yield* Layer.build(
        DesiredCameras.layer.pipe(
          Layer.provide(MemoryCameraSource.layer([{ id: 1, type: "acme", host: "cam" }])),
          Layer.provide(CameraTypes.layer()),
          Layer.provide(Engines.layer([FakeEngine.make().engine])),
          Layer.provide(LiveSettings.layer(settings))
        )
      )
      const sets = yield* Stream.toPull(Context.get(services, DesiredCameras).changes)
      const address = Effect.map(sets, ([set]) => {
        const [camera] = set.cameras.values()
        return camera?._tag === "Camera" ? String(camera.url) : camera?.problem
      })
      assert.strictEqual(yield* address, "rtsp://cam/one")
      yield* SubscriptionRef.update(settings, (before) => ({
        ...before,
        cameraTypes: { acme: "rtsp://{host}/two" }
      }))
      assert.strictEqual(yield* address, "rtsp://cam/two")
    })
  )
})
