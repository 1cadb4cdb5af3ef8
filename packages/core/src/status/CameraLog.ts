/** The last log lines of each camera, without secrets. */
import { oneLine, redact } from "@restream/config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { CurrentLogAnnotations } from "effect/References"
import type { CameraId } from "../camera/Camera.ts"
import { StatusStore } from "./StatusStore.ts"

export interface CameraLogLine {
  /** In milliseconds since 1970. */
  readonly at: number
  readonly level: "info" | "warn" | "error"
  readonly message: string
}

const capacity = 20

export class CameraLog extends Context.Service<
  CameraLog,
  {
    /** The last 20 lines of a camera at info and above, the oldest first. */
    readonly lines: (id: CameraId) => ReadonlyArray<CameraLogLine>
  }
>()("@restream/core/status/CameraLog") {
  /**
   * Keeps the lines that are annotated with `camera`, by a logger that is added to the loggers in context. The lines
   * of a camera are discarded when the camera is removed.
   */
  static readonly layer: Layer.Layer<CameraLog, never, StatusStore> = Layer.unwrap(
    Effect.gen(function* () {
      const store = yield* StatusStore
      const cameras = new Map<string, Array<CameraLogLine>>()
      const logger = Logger.make(({ date, fiber, logLevel, message }) => {
        const camera = fiber.getRef(CurrentLogAnnotations)["camera"]
        if (typeof camera !== "string" || LogLevel.isLessThan(logLevel, "Info")) return
        const lines = cameras.get(camera) ?? []
        cameras.set(camera, lines)
        const words = (Array.isArray(message) ? message : [message]).map(String).join(" ")
        lines.push({
          at: date.getTime(),
          level: logLevel === "Info" ? "info" : logLevel === "Warn" ? "warn" : "error",
          message: oneLine(redact(words))
        })
        if (lines.length > capacity) lines.shift()
      })
      const forget = Effect.gen(function* () {
        const totals = yield* store.totals
        for (const id of cameras.keys()) if (!totals.has(id as CameraId)) cameras.delete(id)
      })
      yield* Effect.forkScoped(Effect.forever(Effect.delay(forget, "1 minute")))
      return Layer.merge(
        Layer.succeed(CameraLog, CameraLog.of({ lines: (id) => [...(cameras.get(id) ?? [])] })),
        Logger.layer([logger], { mergeWithExisting: true })
      )
    })
  )
}
