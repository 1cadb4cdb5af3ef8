/** One worker: a process of this command that does not outlive its parent. */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import type { Order, Report } from "./Parent.ts"

export interface WorkerExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface WorkerProcess {
  readonly pid: number | undefined
  readonly send: (order: Order) => void
  readonly kill: Effect.Effect<void>
  readonly exit: Effect.Effect<WorkerExit>
}

/**
 * Starts a worker. Closing the scope stops the worker in order and waits for its end.
 *
 * @param stopTimeout after which a worker that does not end is killed.
 */
export const start = (
  number: number,
  stopTimeout: Duration.Duration,
  onReport: (report: Report) => void
): Effect.Effect<WorkerProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): WorkerProcess => {
      const [, program = "", ...args] = process.argv
      const child = fork(program, [...args, "--worker", String(number)], {
        // Ctrl-C in a terminal reaches only this process, which stops the workers
        detached: true,
        stdio: ["ignore", "inherit", "inherit", "ipc"]
      })
      const exit = Deferred.makeUnsafe<WorkerExit>()
      const kill = () => void child.kill("SIGKILL")
      const onEnd = (end: WorkerExit) => {
        process.off("exit", kill)
        Deferred.doneUnsafe(exit, Effect.succeed(end))
      }
      // for a forced exit of this process; after SIGKILL, the workers notice their closed channels
      process.on("exit", kill)
      child.on("message", onReport)
      child.once("exit", (code, signal) => onEnd({ code, signal }))
      child.on("error", () => {
        if (child.pid === undefined) onEnd({ code: null, signal: null })
      })
      return {
        exit: Deferred.await(exit),
        kill: Effect.sync(kill),
        pid: child.pid,
        send: (order) => {
          // the worker may have just ended
          if (child.connected) child.send(order, () => {})
        }
      }
    }),
    ({ exit, kill, send }) =>
      Effect.sync(() => send("stop")).pipe(
        Effect.andThen(Effect.timeoutOption(exit, stopTimeout)),
        Effect.andThen(kill),
        Effect.andThen(exit)
      )
  )
