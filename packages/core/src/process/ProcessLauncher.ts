/** Starts child processes, one at a time, that do not outlive this process. */
import * as Effect from "effect/Effect"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Child from "./Child.ts"
import * as OrphanGuard from "./OrphanGuard.ts"
import * as ParentDeathSignal from "./ParentDeathSignal.ts"

export interface ProcessLauncher {
  /** Starts a process that the scope owns; see {@link Child.spawn}. */
  readonly launch: (
    options: Child.ChildOptions
  ) => Effect.Effect<Child.Child, PlatformError.PlatformError, Scope.Scope>
}

/** A launcher with the spawner in context. */
export const make: Effect.Effect<ProcessLauncher, never, ChildProcessSpawner> = Effect.gen(
  function* () {
    const spawner = yield* ChildProcessSpawner
    const parentDeathSignal = yield* ParentDeathSignal.make
    return {
      launch: (options) =>
        parentDeathSignal.wrap(options.argv).pipe(
          Effect.flatMap((argv) =>
            argv === undefined
              ? Effect.tap(Child.spawn(options), ({ pid }) => OrphanGuard.guard(pid))
              : Child.spawn({ ...options, argv })
          ),
          Effect.provideService(ChildProcessSpawner, spawner)
        )
    }
  }
)
