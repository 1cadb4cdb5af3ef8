/** What `restream status ID…` does. Loaded by this command only, as is the HTTP client. */
import type { Settings } from "@restream/config"
import type { CameraId } from "@restream/core"
import type { CameraDetail } from "@restream/core/http"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { exitStatus, Failure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { askOwner, connectAll, failOnDaemon, transport } from "./DaemonClient.ts"
import { cameraLines } from "./StatusReport.ts"

/** Prints what is known of each camera. */
export const show = Effect.fnUntraced(function* (
  settings: Settings,
  ids: ReadonlyArray<string>,
  isJson: boolean
) {
  const daemons = yield* connectAll(settings)
  const problems: Array<string> = []
  const cameras: Array<CameraDetail> = []
  for (const id of ids) {
    yield* askOwner(daemons, ({ client }) =>
      client.cameras.get({ params: { id: id as CameraId } })
    ).pipe(
      Effect.map((camera) => void cameras.push(camera)),
      Effect.catchTag("CameraNotFound", ({ message }) =>
        Effect.sync(() => void problems.push(message))
      ),
      failOnDaemon(daemons[0]!.baseUrl)
    )
  }
  const now = yield* Clock.currentTimeMillis
  if (isJson) yield* print(JSON.stringify({ cameras }, undefined, 2))
  else if (cameras.length > 0) {
    yield* print(cameras.map((camera) => cameraLines(camera, now).join("\n")).join("\n\n"))
  }
  if (problems.length > 0 || cameras.some(({ word }) => word !== "ok")) {
    return yield* new Failure({ status: exitStatus.problems, lines: problems })
  }
}, Effect.provide(transport))
