/**
 * Wraps the loggers in context so that they cannot throw.
 *
 * A logger of an embedding program runs in the fiber that logs. Without this, a logger that throws would end the loop
 * that reads the table, or prevent the restart of a camera.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

const safe = (logger: Logger.Logger<unknown, unknown>): Logger.Logger<unknown, unknown> =>
  Logger.make((options) => {
    try {
      return logger.log(options)
    } catch {
      return undefined
    }
  })

/** Replaces the loggers for the layers to which this layer is provided. */
export const layer = (): Layer.Layer<never> =>
  Layer.effect(
    Logger.CurrentLoggers,
    Effect.map(
      Effect.service(Logger.CurrentLoggers),
      (loggers) => new Set(Array.from(loggers, safe))
    )
  )
