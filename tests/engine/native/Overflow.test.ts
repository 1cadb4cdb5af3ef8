/** How long a native relay bears a media server that takes too little, by a clock of the test's. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine } from "@restream/core"
import { InterleavedFrame, Rtcp } from "@restream/core/rtsp"
import { RtspServer } from "@restream/core/testing"
import { Deferred, Effect, Random } from "effect"
import { TestClock } from "effect/testing"
import type { Socket } from "node:net"
import { listen } from "../../bench/Peer.ts"
import { job, startRelay } from "../Streams.ts"
import * as ScriptedCamera from "../../kit/ScriptedCamera.ts"

const soon = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 5)))

/** A relay whose server has stopped reading, and which has begun to drop. */
const overflowing = Effect.gen(function* () {
  const camera = yield* RtspServer.make({ readerBufferBytes: 1_000_000_000 })
  const hand = yield* ScriptedCamera.publish(camera, "cam", { maxPayload: 30_000 })
  const recording = yield* Deferred.make<Socket>()
  const { port } = yield* Effect.acquireRelease(
    Effect.promise(() =>
      listen({
        onStart: (_method, _path, socket) => {
          Deferred.doneUnsafe(recording, Effect.succeed(socket))
          return {}
        }
      })
    ),
    ({ server }) => Effect.sync(() => server.close())
  )
  const native = NativeEngine.make()
  // the server is asked shortly behind each time at which the slow watch looks: it is late before that
  const running = yield* Effect.provideService(
    startRelay(native, job(camera.url("cam"), `rtsp://127.0.0.1:${port}/out`)),
    Random.Random,
    { nextIntUnsafe: () => 1, nextDoubleUnsafe: () => 0.15 }
  )
  yield* camera.awaitReaders("cam", 1)
  hand.picture("keyframe")
  yield* running.flowing
  const server = yield* Deferred.await(recording)
  // long enough to be asked once for a sign of life: whoever never gave one is not held to it. In steps at
  // which no watch looks, so that each answer comes at a time of its own
  for (let step = 0; step < 15; step++) {
    yield* TestClock.adjust("700 millis")
    yield* soon
  }
  server.pause()
  // under this clock, nobody would wait for the answer to TEARDOWN in vain
  yield* Effect.addFinalizer(() => Effect.sync(() => server.resume()))
  while (running.counters().dropped === 0) {
    hand.picture("other", 1_000_000)
    yield* soon
  }
  return { hand, running, server, ended: yield* Effect.forkChild(Effect.flip(running.ended)) }
})

const report = InterleavedFrame.make(
  1,
  Rtcp.makeReceiverReport({ ssrc: 1, blocks: [], name: "server" })
)

describe("a native relay whose media server reads too slowly", () => {
  it.effect("ends when nothing at all comes from the server for the stall time", () =>
    Effect.gen(function* () {
      const { ended } = yield* overflowing
      // asked within half of the stall time and once that long
      yield* TestClock.adjust("20 seconds")
      const { reason } = yield* ended.pollUnsafe() ?? Effect.die("it goes on")
      assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "output", afterMs: 10_000 })
    })
  )

  it.effect("ends after 15 s, also while the server keeps responding", () =>
    Effect.gen(function* () {
      const { ended, hand, running, server } = yield* overflowing
      let seconds = 0
      while (ended.pollUnsafe() === undefined && seconds < 60) {
        server.write(report)
        hand.picture("keyframe", 1_000)
        yield* soon
        yield* TestClock.adjust("1 second")
        seconds++
      }
      const { reason } = yield* ended.pollUnsafe() ?? Effect.die("it goes on")
      assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "output", afterMs: 15_000 })
      // it is looked at every five seconds
      assert.isAtMost(seconds, 20)
      assert.isAbove(running.counters().dropped, 3)
    })
  )

  it.effect("waits for a keyframe as long as the camera takes for one", () =>
    Effect.gen(function* () {
      const { ended, hand, running, server } = yield* overflowing
      server.resume()
      for (let seconds = 0; seconds < 60; seconds++) {
        hand.picture("other")
        yield* soon
        yield* TestClock.adjust("1 second")
        // the server answers what it is asked
        yield* soon
      }
      assert.isUndefined(ended.pollUnsafe())
      const { dropped, packets } = running.counters()
      hand.picture("keyframe")
      hand.picture("other")
      while (running.counters().packets < packets + 4) yield* soon
      assert.strictEqual(running.counters().dropped, dropped)
    })
  )
})
