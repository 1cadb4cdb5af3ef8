// Prints each change of a camera's state as a line of JSON. Cameras come from a file: observe-states FILE
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { load } from "@restream/config"
import { Restream, StatusStore } from "@restream/core"
import { Console, Effect, Layer, Result, Stream } from "effect"

const { settings } = Result.getOrThrow(load({ env: process.env }))

const print = Effect.gen(function* () {
  const status = yield* StatusStore
  yield* Stream.runForEach(status.changes, ({ id, name, to }) =>
    // every state is plain data; the schema CameraState decodes and encodes it
    Console.log(JSON.stringify({ id, name, state: to?._tag ?? "Removed" }))
  )
})

const tree = Restream.layer(settings).pipe(
  Layer.provide(Restream.cameraFile(process.argv[2] ?? "cameras.yaml", settings)),
  Layer.provide(NodeServices.layer)
)

print.pipe(Effect.provide(tree), NodeRuntime.runMain)
