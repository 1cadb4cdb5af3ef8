import { assert, describe, it } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { childrenOf, commandOf, isAlive } from "../../kit/Proc.ts"
import { hasParentDeathSignal } from "../../kit/ParentDeathSignal.ts"
import { start } from "../../kit/Spawn.ts"
import { anyFfmpeg } from "./Binaries.ts"

const parent = new URL("orphan-parent.ts", import.meta.url).pathname

/** Starts the parent with a relay, kills it, and waits until nothing of it is left. */
const killParent = (path: string | undefined, children: number) =>
  Effect.gen(function* () {
    const camera = yield* RtspServer.make()
    const sink = yield* RtspServer.make()
    yield* TestPattern.publish(camera, "cam")
    const parentProcess = yield* start(
      process.execPath,
      [parent, camera.url("cam"), sink.url("cam7")],
      path === undefined ? {} : { env: { PATH: path } }
    )
    yield* parentProcess.awaitSaid(/flowing/)
    const pids = childrenOf(parentProcess.pid)
    assert.lengthOf(pids, children)
    assert.lengthOf(
      pids.filter((pid) => commandOf(pid)[0] === anyFfmpeg),
      1
    )
    yield* parentProcess.signal("SIGKILL")
    yield* sink.awaitNoPublisher("cam7")
    yield* camera.awaitConnections(0)
    while (pids.some(isAlive)) yield* Effect.sleep("20 millis")
  })

describe("ffmpeg, when its parent is killed,", () => {
  it.live.skipIf(!hasParentDeathSignal)(
    `is killed with it${hasParentDeathSignal ? "" : " (skipped: no setpriv that can)"}`,
    () => killParent(undefined, 1)
  )

  it.live("is killed where setpriv is missing, by a shell beside it", () =>
    killParent("/nonexistent", 2)
  )
})
