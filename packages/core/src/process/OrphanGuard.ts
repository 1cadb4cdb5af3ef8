/**
 * Ends a child process when this process dies, on systems whose kernel does not: macOS, Alpine without util-linux.
 *
 * A shell waits for the end of its input, which this process keeps open, and then kills the child. This costs a
 * process for each child. A child that was started just before a SIGKILL may be missed.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { SpawnLimiter } from "./SpawnLimiter.ts"

/** Each child is the leader of a process group. */
const script = `trap '' HUP INT TERM
read -r _
kill -KILL "-$1" 2>/dev/null || kill -KILL "$1"`

/** Guards a child until the scope closes. Close the scope before awaiting the end of the child. */
export const guard = (pid: number): Effect.Effect<void, never, ChildProcessSpawner | Scope.Scope> =>
  Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner
    const limiter = yield* SpawnLimiter
    yield* limiter.withPermit(
      spawner.spawn(
        ChildProcess.make("/bin/sh", ["-c", script, "sh", String(pid)], {
          stdin: "pipe",
          stdout: "ignore",
          stderr: "ignore",
          killSignal: "SIGKILL",
          extendEnv: false,
          env: {}
        })
      )
    )
  }).pipe(
    Effect.catch((error) =>
      Effect.logWarning(
        `ffmpeg process ${pid} would outlive a SIGKILL of this process: neither setpriv nor a shell can be started: ${error.message}`
      )
    ),
    Effect.annotateLogs("module", "engine")
  )
