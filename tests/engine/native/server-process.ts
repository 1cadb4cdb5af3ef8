/** Cameras and a media server in a process of their own: the relays' process reads nothing else then. */
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"

process.on("disconnect", () => process.exit())

await Effect.gen(function* () {
  const server = yield* RtspServer.make({
    settings: (path) => (path === "silent" ? { quirks: { silentAt: "SETUP" } } : undefined),
    resolve: () => "cam"
  })
  yield* TestPattern.publish(server, "cam", { frameRate: 10, keyframeEvery: 1 })
  process.send?.({ port: server.port })
  return yield* Effect.never
}).pipe(Effect.scoped, Effect.runPromise)
