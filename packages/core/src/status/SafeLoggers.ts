/**
 * The loggers in context, in a form that cannot throw.
 *
 * A logger of an embedding program runs in the middle of what it reports. Without this, one that throws would end
 * the loop that reads the table, or keep a camera from being restarted.
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

/** Replaces the loggers for the layers that it is provided to. */
export const layer = (): Layer.Layer<never> =>
  Layer.effect(
    Logger.CurrentLoggers,
    Effect.map(
      Effect.service(Logger.CurrentLoggers),
      (loggers) => new Set(Array.from(loggers, safe))
    )
  )
