/** An attempt that may be followed by another one. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Runs an effect in a scope below the current one. If the effect fails, that scope is closed at once, so that
 * nothing of a failed attempt is left before the next one; otherwise it is closed with the current one.
 */
export const scopedAttempt = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.flatMap(
    Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope)),
    (scope) =>
      effect.pipe(
        Scope.provide(scope),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
  )
