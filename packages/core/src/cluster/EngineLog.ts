/**
 * Demotes the log of the cluster engine to `debug`: its lines name parts of the engine, and no operator can act on
 * them.
 *
 * The modules beside this file log the same events for operators. The engine calls these modules in its own fibers, so
 * its lines are recognized by their annotation `module`, and `restore` replaces the engine's annotations with ours. An
 * internal error of the engine is logged once.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import { CurrentLogAnnotations, MinimumLogLevel } from "effect/References"

const enginePrefix = "effect/cluster/"
/** How many different internal errors are logged. */
const mostErrors = 10

const demoted = (logger: Logger.Logger<unknown, unknown>): Logger.Logger<unknown, unknown> => {
  const errors = new Set<string>()
  const isNew = (cause: Cause.Cause<unknown>) => {
    const { size } = errors
    return size < mostErrors && errors.add(Cause.pretty(cause)).size > size
  }
  return Logger.make((options) => {
    const { cause, fiber } = options
    const module = fiber.getRef(CurrentLogAnnotations)["module"]
    if (!String(module).startsWith(enginePrefix)) return logger.log(options)
    if (Cause.hasDies(cause) && isNew(cause)) {
      const message = "internal error in the cluster engine"
      return logger.log({ ...options, logLevel: "Error", message })
    }
    // so far the line has passed only by its own level
    if (LogLevel.isLessThan("Debug", fiber.getRef(MinimumLogLevel))) return undefined
    return logger.log({ ...options, logLevel: "Debug" })
  })
}

/** Runs the engine, and all fibers that it forks, with demoting loggers in place of those in context. */
export const demote = <A, E, R>(engine: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.service(Logger.CurrentLoggers), (loggers) =>
    engine.pipe(
      // some lines of the engine have no annotation of their own
      Effect.annotateLogs("module", `${enginePrefix}Sharding`),
      Effect.provideService(Logger.CurrentLoggers, new Set(Array.from(loggers, demoted)))
    )
  )

/** A storage that logs with the annotations in context, even when the engine calls the storage. */
export const restore = (storage: RunnerStorage["Service"]) =>
  Effect.map(Effect.service(CurrentLogAnnotations), (annotations) => {
    const own = Effect.provideService(CurrentLogAnnotations, annotations)
    return RunnerStorage.of({
      register: (runner, healthy) => own(storage.register(runner, healthy)),
      unregister: (address) => own(storage.unregister(address)),
      setRunnerHealth: (address, healthy) => own(storage.setRunnerHealth(address, healthy)),
      getRunners: own(storage.getRunners),
      acquire: (address, shards) => own(storage.acquire(address, shards)),
      refresh: (address, shards) => own(storage.refresh(address, shards)),
      release: (address, shard) => own(storage.release(address, shard)),
      releaseAll: (address) => own(storage.releaseAll(address))
    })
  })
