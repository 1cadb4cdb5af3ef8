/** Implements `restream retry` and `restream restart`. Loaded by these commands only, as is the HTTP client. */
import type { Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import { exitStatus, Failure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { askEach, transport } from "./DaemonClient.ts"

/** Sends a command to each camera, and prints the result. */
export const send = Effect.fnUntraced(function* (
  settings: Settings,
  name: "retry" | "restart",
  ids: ReadonlyArray<string>
) {
  const problems = yield* askEach(
    settings,
    ids,
    ({ client }, id) => client.cameras[name]({ params: { id } }),
    ({ message }, id) => print(`camera ${id}: ${message}`)
  )
  if (problems.length > 0) {
    return yield* new Failure({ status: exitStatus.problems, lines: problems })
  }
}, Effect.provide(transport))
