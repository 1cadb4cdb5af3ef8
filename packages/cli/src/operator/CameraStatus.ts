/** Implements `restream status ID…`. Loaded by this command only, as is the HTTP client. */
import type { Settings } from "@restream/config"
import type { CameraDetail } from "@restream/core/http"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { exitStatus, Failure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { askEach, transport } from "./DaemonClient.ts"
import { cameraLines } from "./StatusReport.ts"

/** Prints the details of each camera. */
export const show = Effect.fnUntraced(function* (
  settings: Settings,
  ids: ReadonlyArray<string>,
  isJson: boolean
) {
  const cameras: Array<CameraDetail> = []
  const problems = yield* askEach(
    settings,
    ids,
    ({ client }, id) => client.cameras.get({ params: { id } }),
    (camera) => Effect.sync(() => void cameras.push(camera))
  )
  const now = yield* Clock.currentTimeMillis
  if (isJson) yield* print(JSON.stringify({ cameras }, undefined, 2))
  else if (cameras.length > 0) {
    yield* print(cameras.map((camera) => cameraLines(camera, now).join("\n")).join("\n\n"))
  }
  if (problems.length > 0 || cameras.some(({ word }) => word !== "ok")) {
    return yield* new Failure({ status: exitStatus.problems, lines: problems })
  }
}, Effect.provide(transport))
