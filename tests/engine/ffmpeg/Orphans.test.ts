import { assert, describe, it } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { childrenOf, commandOf, isAlive } from "../../kit/Proc.ts"
import { hasParentDeathSignal } from "../../kit/ParentDeathSignal.ts"
import { anyFfmpeg } from "./Binaries.ts"

const parent = new URL("orphan-parent.ts", import.meta.url).pathname

describe("ffmpeg, when its parent is killed,", () => {
  it.live.skipIf(!hasParentDeathSignal)(
    `dies with it${hasParentDeathSignal ? "" : " (skipped: no setpriv that can)"}`,
    () =>
      Effect.gen(function* () {
        const camera = yield* RtspServer.make()
        const sink = yield* RtspServer.make()
        yield* TestPattern.publish(camera, "cam")
        const process = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn("node", [parent, camera.url("cam"), sink.url("cam7")], {
              stdio: ["ignore", "pipe", "inherit"]
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        yield* Effect.callback<void>((resume) => {
          process.stdout.once("data", () => resume(Effect.void))
          process.once("exit", (code) => resume(Effect.die(`the parent ended with ${code}`)))
        })
        const [ffmpeg, ...others] = childrenOf(process.pid!)
        assert.isDefined(ffmpeg)
        assert.isEmpty(others)
        assert.strictEqual(commandOf(ffmpeg!)[0], anyFfmpeg)

        process.kill("SIGKILL")
        yield* sink.awaitNoPublisher("cam7")
        yield* camera.awaitConnections(0)
        while (isAlive(ffmpeg!)) yield* Effect.sleep("20 millis")
      })
  )
})
