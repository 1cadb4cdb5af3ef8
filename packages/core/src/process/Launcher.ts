/** Starts child processes: one at a time, tied to our life. */
import * as Effect from "effect/Effect"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Child from "./Child.ts"
import * as Tether from "./Tether.ts"

export interface Launcher {
  /** Starts a process that the scope owns; see {@link Child.spawn}. */
  readonly launch: (
    options: Child.ChildOptions
  ) => Effect.Effect<Child.Child, PlatformError.PlatformError, Scope.Scope>
}

/** A launcher on the spawner of the embedding program. */
export const make: Effect.Effect<Launcher, never, ChildProcessSpawner> = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner
  const tether = yield* Tether.make
  return {
    launch: (options) =>
      tether.tie(options.argv).pipe(
        Effect.flatMap((argv) => Child.spawn({ ...options, argv })),
        Effect.provideService(ChildProcessSpawner, spawner)
      )
  }
})
