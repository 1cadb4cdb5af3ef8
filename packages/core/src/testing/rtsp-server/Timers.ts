/** Timers for callbacks, on the clock of the effect that made them, so that `TestClock` controls them too. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Timers {
  /** Calls back after a time. Returns a function to cancel. */
  readonly after: (delay: Duration.Input, callback: () => void) => () => void
}

/** Makes timers that live as long as the scope. */
export const make: Effect.Effect<Timers, never, Scope.Scope> = Effect.gen(function* () {
  const context = yield* Effect.context<never>()
  const running = new Set<() => void>()
  yield* Effect.addFinalizer(() => Effect.sync(() => running.forEach((cancel) => cancel())))
  return {
    after: (delay, callback) => {
      const cancel = Effect.runCallbackWith(context)(
        Effect.andThen(
          Effect.sleep(delay),
          Effect.sync(() => {
            running.delete(stop)
            callback()
          })
        )
      )
      const stop = () => {
        running.delete(stop)
        cancel()
      }
      running.add(stop)
      return stop
    }
  }
})
