/** A process that stood still itself: stopped, or on a machine that was asleep. */
import { assert, describe, it } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { Child } from "../../bench/Child.ts"
import * as MediaServerProcess from "../../faults/MediaServerProcess.ts"
import type { RelayOrder, RelayReport } from "./relay-process.ts"

const stallTimeoutMs = 4000

describe("a native relay after a suspension of the process", () => {
  it.live("does not report a media server that responded meanwhile", () =>
    Effect.gen(function* () {
      const camera = yield* RtspServer.make()
      yield* TestPattern.publish(camera, "cam", { frameRate: 25 })
      const sink = yield* MediaServerProcess.make
      const order: RelayOrder = {
        cameraPort: camera.port,
        sinkPort: sink.port,
        paths: ["cam"],
        stallTimeoutMs
      }
      const relay = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const script = new URL("relay-process.ts", import.meta.url)
          return (await Child.start(script, { args: [JSON.stringify(order)] })).child
        }),
        (child) => Effect.promise(() => child.end())
      )
      const ended = Effect.promise(async () => (await relay.ask<RelayReport>({})).ended)
      const signal = (pid: number, name: NodeJS.Signals) =>
        Effect.sync(() => process.kill(pid, name))
      // one that has never answered is not held to it
      yield* sink.awaitSaid(/OPTIONS cam/)

      // it is asked every half of the time, and this question it can't answer yet
      yield* signal(sink.pid, "SIGSTOP")
      yield* Effect.sleep(0.55 * stallTimeoutMs)
      yield* signal(relay.pid, "SIGSTOP")
      yield* signal(sink.pid, "SIGCONT")
      yield* Effect.sleep(1.2 * stallTimeoutMs)
      yield* signal(relay.pid, "SIGCONT")
      yield* Effect.sleep(0.3 * stallTimeoutMs)
      assert.deepStrictEqual(yield* ended, [])

      yield* signal(sink.pid, "SIGSTOP")
      const ends = yield* Effect.repeat(Effect.delay(ended, "100 millis"), {
        until: (all) => all.length > 0
      })
      assert.deepStrictEqual(ends, ["the media server accepted no data for 4 s"])
    })
  )
})
