/** A child process whose output is always read into bounded memory, and that has ended when its scope is closed. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as PlatformError from "effect/PlatformError"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { SpawnLimiter } from "./SpawnLimiter.ts"
import type { Argv } from "./ParentDeathSignal.ts"
import * as OutputTail from "./OutputTail.ts"

/** How a process ended: its exit code, or the name of the signal that ended it. */
export type ExitStatus = number | string

export interface ChildOptions {
  readonly argv: Argv
  /** Between TERM and KILL. Default: KILL at once, for a program that needs no clean-up. */
  readonly killGrace?: Duration.Input | undefined
  /** Receives the child's standard output, which is closed otherwise. */
  readonly onStdout?: ((chunk: Uint8Array) => void) | undefined
  /** Receives the child's file descriptor 3, which is closed otherwise. */
  readonly onFd3?: ((chunk: Uint8Array) => void) | undefined
}

export interface Child {
  readonly pid: number
  /** Its standard error. */
  readonly stderr: OutputTail.OutputTail
  /** Done when the process has ended and its pipes are read, or not closed in time. */
  readonly exited: Effect.Effect<ExitStatus>
  /** Ends the process: TERM, grace period, KILL. Done when the process has ended. */
  readonly kill: Effect.Effect<void>
}

/** How long to read the pipes after the end of the child: a grandchild can keep them open forever. */
const drainTimeout = Duration.millis(500)

/**
 * Starts a process. The scope owns it: closing the scope ends the process and its group, and waits until they have
 * ended. Its pipes are read until then, so that it can flush its output.
 *
 * The process has no standard input, and its environment does not contain the credentials of the database.
 */
export const spawn = Effect.fnUntraced(function* (
  options: ChildOptions
): Effect.fn.Return<Child, PlatformError.PlatformError, ChildProcessSpawner | Scope.Scope> {
  const limiter = yield* SpawnLimiter
  const stderr = OutputTail.make()
  const [program, ...args] = options.argv
  const killOptions: ChildProcess.KillOptions =
    options.killGrace === undefined
      ? { killSignal: "SIGKILL", forceKillAfter: "1 second" }
      : { killSignal: "SIGTERM", forceKillAfter: options.killGrace }

  // finalizers run in reverse order: the process ends while its pipes are still read
  const reading = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const handle = yield* limiter.withPermit(
    ChildProcess.make(program, args, {
      ...killOptions,
      stdin: "ignore",
      stdout: options.onStdout === undefined ? "ignore" : "pipe",
      stderr: "pipe",
      ...(options.onFd3 === undefined ? {} : { additionalFds: { fd3: { type: "output" } } }),
      extendEnv: true,
      // untranslated messages of setpriv and ffmpeg, without colors
      env: {
        LC_ALL: "C",
        AV_LOG_FORCE_NOCOLOR: "1",
        AV_LOG_FORCE_COLOR: undefined,
        PG_DSN: undefined,
        RESTREAM_MEDIA_SERVER_PASSWORD: undefined
      }
    })
  )

  const read = (
    stream: Stream.Stream<Uint8Array, PlatformError.PlatformError>,
    take: (chunk: Uint8Array) => void
  ) =>
    Stream.runForEachArray(stream, (chunks) =>
      Effect.sync(() => {
        for (const chunk of chunks) take(chunk)
      })
    ).pipe(Effect.ignore, Effect.forkIn(reading))

  const readers = [yield* read(handle.stderr, stderr.push)]
  if (options.onStdout !== undefined) readers.push(yield* read(handle.stdout, options.onStdout))
  if (options.onFd3 !== undefined) readers.push(yield* read(handle.getOutputFd(3), options.onFd3))

  const exited = yield* Deferred.make<ExitStatus>()
  yield* handle.exitCode.pipe(
    Effect.map((code): ExitStatus => code),
    Effect.catch((error) => Effect.succeed(signalIn(error))),
    Effect.tap(() => Effect.timeoutOption(Fiber.awaitAll(readers), drainTimeout)),
    Effect.flatMap((status) => Deferred.succeed(exited, status)),
    Effect.forkIn(reading)
  )

  return {
    pid: handle.pid,
    stderr,
    exited: Deferred.await(exited),
    kill: Effect.ignore(handle.kill(killOptions))
  }
})

/** Effect reports the end by a signal as an error whose cause names the signal. */
const signalIn = (error: PlatformError.PlatformError): string =>
  /\bSIG[A-Z0-9]+\b/.exec(`${String(error.cause)} ${error.message}`)?.[0] ?? "an unknown signal"
