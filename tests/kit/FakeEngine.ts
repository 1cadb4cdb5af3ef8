/**
 * An engine without cameras: the test says what a probe answers and when a relay ends.
 *
 * For time only. What real cameras, processes and sockets do is tested with real ones.
 */
import {
  type Camera,
  type Engine,
  type StreamInfo,
  type RelayCounters,
  ProbeError,
  type Reason,
  RelayError
} from "@restream/core"
import { Clock, Deferred, Duration, Effect } from "effect"

export interface FakeRelay {
  readonly camera: Camera
  readonly startedAt: number
  endedAt: number | undefined
  /** Lets the first media arrive. */
  readonly flow: Effect.Effect<void>
  /** Ends the relay by itself. */
  readonly end: (reason: Reason.RelayReason) => Effect.Effect<void>
}

export interface FakeEngine {
  readonly engine: Engine
  /** When each camera was probed, in virtual milliseconds. */
  readonly probes: Array<{ readonly id: string; readonly at: number }>
  readonly relays: Array<FakeRelay>
  /** What a probe of a camera answers from now on. Default: h264 with aac. */
  answer: (camera: Camera) => Effect.Effect<StreamInfo, Reason.ProbeReason>
  /** Whether media flow as soon as a relay starts. Default true. */
  flowsAtOnce: boolean
  /** How long a relay takes to end when its scope is closed, in virtual time. Default 0. */
  endingTakes: number
  /** How many relays of each path ran at most at a time. */
  readonly mostAtATime: Map<string, number>
}

export const offer: StreamInfo = {
  video: { codec: "h264", width: 1920, height: 1080 },
  audio: { codec: "aac", copyable: true }
}

export const make = (name: Engine["name"] = "native"): FakeEngine => {
  const running = new Map<string, number>()
  const fake: FakeEngine = {
    probes: [],
    relays: [],
    answer: () => Effect.succeed(offer),
    flowsAtOnce: true,
    endingTakes: 0,
    mostAtATime: new Map(),
    engine: {
      name,
      slowAfter: Duration.seconds(1),
      concurrency: 32,
      open: Effect.fnUntraced(function* (source) {
        const camera = source as Camera
        fake.probes.push({ id: camera.id, at: yield* Clock.currentTimeMillis })
        const info = yield* Effect.mapError(
          fake.answer(camera),
          (reason) => new ProbeError({ reason })
        )
        return { info, publish: () => publish(camera, info) }
      })
    }
  }
  const publish = Effect.fnUntraced(function* (camera: Camera, info: StreamInfo) {
    const flowing = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<never, RelayError>()
    const now = yield* Clock.currentTimeMillis
    const relay: FakeRelay = {
      camera,
      startedAt: now,
      endedAt: undefined,
      flow: Effect.asVoid(Deferred.succeed(flowing, undefined)),
      end: (reason) => Effect.asVoid(Deferred.fail(ended, new RelayError({ reason })))
    }
    const count = (running.get(camera.path) ?? 0) + 1
    running.set(camera.path, count)
    fake.mostAtATime.set(camera.path, Math.max(fake.mostAtATime.get(camera.path) ?? 0, count))
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        if (fake.endingTakes > 0) yield* Effect.sleep(fake.endingTakes)
        relay.endedAt = yield* Clock.currentTimeMillis
        running.set(camera.path, (running.get(camera.path) ?? 1) - 1)
      })
    )
    fake.relays.push(relay)
    if (fake.flowsAtOnce) yield* relay.flow
    const counters: RelayCounters = {
      bytes: 1,
      packets: 1,
      lost: 0,
      dropped: 0,
      lastVideoAt: now
    }
    return {
      flowing: Deferred.await(flowing),
      ended: Deferred.await(ended),
      counters: () => counters,
      published: info,
      notices: []
    }
  })
  return fake
}
