import { assert, describe, it } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { childrenOf, commandOf, isAlive } from "../../kit/Proc.ts"
import { hasParentDeathSignal } from "../../kit/ParentDeathSignal.ts"
import { anyFfmpeg } from "./Binaries.ts"

const parent = new URL("orphan-parent.ts", import.meta.url).pathname

/** Starts the parent with a relay, kills it, and waits until nothing of it is left. */
const killParent = (path: string | undefined, children: number) =>
  Effect.gen(function* () {
    const camera = yield* RtspServer.make()
    const sink = yield* RtspServer.make()
    yield* TestPattern.publish(camera, "cam")
    const parentProcess = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [parent, camera.url("cam"), sink.url("cam7")], {
          stdio: ["ignore", "pipe", "inherit"],
          env: { ...process.env, ...(path === undefined ? {} : { PATH: path }) }
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    yield* Effect.callback<void>((resume) => {
      parentProcess.stdout.once("data", () => resume(Effect.void))
      parentProcess.once("exit", (code) => resume(Effect.die(`the parent ended with ${code}`)))
    })
    const pids = childrenOf(parentProcess.pid!)
    assert.lengthOf(pids, children)
    assert.lengthOf(
      pids.filter((pid) => commandOf(pid)[0] === anyFfmpeg),
      1
    )
    parentProcess.kill("SIGKILL")
    yield* sink.awaitNoPublisher("cam7")
    yield* camera.awaitConnections(0)
    while (pids.some(isAlive)) yield* Effect.sleep("20 millis")
  })

describe("ffmpeg, when its parent is killed,", () => {
  it.live.skipIf(!hasParentDeathSignal)(
    `dies with it${hasParentDeathSignal ? "" : " (skipped: no setpriv that can)"}`,
    () => killParent(undefined, 1)
  )

  it.live("dies with it where there is no setpriv, by a shell that guards it", () =>
    killParent("/nonexistent", 2)
  )
})
