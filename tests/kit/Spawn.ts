/** Runs other programs as processes of their own, with what they write. */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly process: ChildProcess
  /** The output so far, both stdout and stderr. */
  readonly said: () => string
  /** Succeeds once the output matches. Dies if the program ends before. */
  readonly awaitSaid: (pattern: RegExp) => Effect.Effect<string>
  readonly ended: Effect.Effect<Ended>
}

export interface StartOptions {
  /** Added to the environment of the tests; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
}

/** Starts a program; the scope kills it. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  options: StartOptions = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd })
      })
      let stdout = ""
      let stderr = ""
      let code: number | null | undefined
      const watchers = new Set<() => void>()
      const changed = () => watchers.forEach((watcher) => watcher())
      child.stdout.on("data", (chunk: Buffer) => {
        stdout += chunk.toString()
        changed()
      })
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += chunk.toString()
        changed()
      })
      child.on("close", (exit) => {
        code = exit
        changed()
      })
      child.on("error", (error) => {
        stderr += String(error)
        code = -1
        changed()
      })
      const until = <A>(look: () => A | undefined, orDie: () => string | undefined) =>
        Effect.callback<A>((resume) => {
          const watcher = () => {
            const found = look()
            const wrong = found === undefined ? orDie() : undefined
            if (found === undefined && wrong === undefined) return
            watchers.delete(watcher)
            resume(found === undefined ? Effect.die(new Error(wrong)) : Effect.succeed(found))
          }
          watchers.add(watcher)
          watcher()
          return Effect.sync(() => watchers.delete(watcher))
        })
      const running: Running = {
        process: child,
        said: () => stdout + stderr,
        awaitSaid: (pattern) =>
          until(
            () => pattern.exec(stdout + stderr)?.[0],
            () => (code === undefined ? undefined : `${command} ended: ${stdout}${stderr}`)
          ),
        ended: until(
          () => (code === undefined ? undefined : { code, stdout, stderr }),
          () => undefined
        )
      }
      return running
    }),
    ({ ended, process }) =>
      Effect.andThen(
        Effect.sync(() => process.kill("SIGKILL")),
        ended
      )
  )

/** Runs a program until it exits. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: StartOptions = {}
): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(start(command, args, options), ({ ended }) => ended))
