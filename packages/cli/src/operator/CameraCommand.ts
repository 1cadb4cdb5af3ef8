/** What `restream retry` and `restream restart` do. Loaded by these commands only, as is the HTTP client. */
import type { Settings } from "@restream/config"
import type { CameraId } from "@restream/core"
import * as Effect from "effect/Effect"
import { exitStatus, Failure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { askOwner, connectAll, failOnDaemon, transport } from "./DaemonClient.ts"

/** Sends a command to each camera, and prints what became of it. */
export const send = Effect.fnUntraced(function* (
  settings: Settings,
  name: "retry" | "restart",
  ids: ReadonlyArray<string>
) {
  const daemons = yield* connectAll(settings)
  const problems: Array<string> = []
  for (const id of ids) {
    yield* askOwner(daemons, ({ client }) =>
      client.cameras[name]({ params: { id: id as CameraId } })
    ).pipe(
      Effect.flatMap(({ message }) => print(`camera ${id}: ${message}`)),
      Effect.catchTags({
        CameraNotFound: ({ message }) => Effect.sync(() => void problems.push(message)),
        CameraInvalid: ({ message }) => Effect.sync(() => void problems.push(message))
      }),
      failOnDaemon(daemons[0]!.baseUrl)
    )
  }
  if (problems.length > 0) {
    return yield* new Failure({ status: exitStatus.problems, lines: problems })
  }
}, Effect.provide(transport))
