/**
 * Ends a child process when this process dies.
 *
 * A daemon that is killed by SIGKILL cannot end its children, and ffmpeg does not notice a broken progress pipe. On
 * Linux the kernel can end them: a process started as `setpriv --pdeathsig KILL -- …` (util-linux 2.33 and later)
 * is killed when the thread that started it ends. `setpriv` replaces itself with the program, so the process id is
 * the program's and signals reach the program.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as CommandLine from "effect/process/CommandLine"
import { SpawnLimiter } from "./SpawnLimiter.ts"

/** A program with its arguments. */
export type Argv = readonly [program: string, ...args: ReadonlyArray<CommandLine.Word>]

export interface ParentDeathSignal {
  /** The command with the parent death signal; `undefined` where the system does not support it. */
  readonly wrap: (argv: Argv) => Effect.Effect<Argv | undefined>
}

const prefix = ["setpriv", "--pdeathsig", "KILL", "--"] as const

/**
 * Checks at the first use whether `setpriv` exists and supports the option. If not (macOS, busybox), a shell guards
 * each child; see `OrphanGuard.ts`.
 */
export const make: Effect.Effect<ParentDeathSignal, never, ChildProcessSpawner> = Effect.gen(
  function* () {
    const spawner = yield* ChildProcessSpawner
    const oneAtATime = Semaphore.makeUnsafe(1)
    let works: boolean | undefined

    const check = Effect.gen(function* () {
      const limiter = yield* SpawnLimiter
      return yield* limiter.withPermit(
        spawner.exitCode(
          ChildProcess.make("setpriv", ["--pdeathsig", "KILL", "--", "true"], {
            stdin: "ignore",
            stdout: "ignore",
            stderr: "ignore"
          })
        )
      )
    }).pipe(
      Effect.map((code) => code === 0),
      Effect.catch((error) =>
        error.reason._tag === "NotFound" ? Effect.succeed(false) : Effect.undefined
      )
    )

    const isAvailable = oneAtATime.withPermit(
      Effect.gen(function* () {
        // a check that could not run, for example without free file descriptors, is repeated
        works ??= yield* check
        return works === true
      })
    )

    return {
      wrap: ([program, ...args]) =>
        Effect.map(isAvailable, (available) =>
          available ? [...prefix, program, ...args] : undefined
        )
    }
  }
)
