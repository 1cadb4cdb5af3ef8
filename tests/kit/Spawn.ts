/** Starts other programs as processes, and collects their output. */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process"

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Ended extends Exit {
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  readonly process: ChildProcess
  /** The complete lines so far. */
  readonly stdout: ReadonlyArray<string>
  readonly stderr: ReadonlyArray<string>
  /** The output so far, both stdout and stderr. */
  readonly said: () => string
  /** Succeeds once the output matches. Dies if the program ends before, or after 60 s. */
  readonly awaitSaid: (pattern: RegExp) => Effect.Effect<string>
  /** The first line of stderr, from the `from`-th on, that matches. Dies as `awaitSaid` does. */
  readonly awaitLine: (pattern: RegExp, from?: number) => Effect.Effect<string>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Succeeds once the process is gone. A child of it may hold its output open for longer. */
  readonly exit: Effect.Effect<Exit>
  /** Succeeds once the process is gone and its output is complete. */
  readonly ended: Effect.Effect<Ended>
}

export interface StartOptions {
  /** The environment. `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Whether `env` is added to the environment of the tests. Default: yes; else only `PATH` is. */
  readonly inheritsEnv?: boolean
  readonly cwd?: string
  /** Default: no input, and output that is collected. */
  readonly stdio?: StdioOptions
}

/** Less than the time-out of a test, so that a failure says what was missing. */
const timeoutMs = 60_000

/** Collects a stream as text and as lines. */
const collect = (stream: NodeJS.ReadableStream | null, changed: () => void) => {
  const lines: Array<string> = []
  const collected = { text: "", lines }
  let rest = ""
  stream?.setEncoding("utf8")
  stream?.on("data", (chunk: string) => {
    collected.text += chunk
    const parts = (rest + chunk).split("\n")
    rest = parts.pop()!
    lines.push(...parts)
    changed()
  })
  return collected
}

/** Starts a program; the scope kills it. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  { cwd, env, inheritsEnv = true, stdio = ["ignore", "pipe", "pipe"] }: StartOptions = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, args, {
        stdio,
        cwd,
        env: { ...(inheritsEnv ? process.env : { PATH: process.env["PATH"] }), ...env }
      })
      const watchers = new Set<() => void>()
      const changed = () => watchers.forEach((watcher) => watcher())
      const stdout = collect(child.stdout, changed)
      const stderr = collect(child.stderr, changed)
      const said = () => stdout.text + stderr.text
      let exit: Exit | undefined
      let isClosed = false
      child.on("exit", (code, signal) => {
        exit = { code, signal }
        changed()
      })
      child.on("close", () => {
        isClosed = true
        changed()
      })
      child.on("error", (error) => {
        stderr.text += String(error)
        exit = { code: -1, signal: null }
        isClosed = true
        changed()
      })
      const whenever = <A>(find: () => A | undefined) =>
        Effect.callback<A>((resume) => {
          const watcher = () => {
            const found = find()
            if (found === undefined) return
            watchers.delete(watcher)
            resume(Effect.succeed(found))
          }
          watchers.add(watcher)
          watcher()
          return Effect.sync(() => watchers.delete(watcher))
        })
      const output = (pattern: RegExp, find: () => string | undefined) =>
        Effect.callback<string>((resume) => {
          const stop = () => {
            watchers.delete(watcher)
            clearTimeout(timer)
          }
          const fail = (why: string) => {
            stop()
            resume(Effect.die(new Error(`${command} ${why} without ${pattern}:\n${said()}`)))
          }
          const watcher = () => {
            const found = find()
            if (found === undefined && !isClosed) return
            if (found === undefined) return fail("ended")
            stop()
            resume(Effect.succeed(found))
          }
          // real time, also where the test's time is virtual
          const timer = setTimeout(() => fail(`ran for ${timeoutMs} ms`), timeoutMs)
          watchers.add(watcher)
          watcher()
          return Effect.sync(stop)
        })
      const running: Running = {
        pid: child.pid!,
        process: child,
        stdout: stdout.lines,
        stderr: stderr.lines,
        said,
        awaitSaid: (pattern) => output(pattern, () => pattern.exec(said())?.[0]),
        awaitLine: (pattern, from = 0) =>
          output(pattern, () => stderr.lines.slice(from).find((line) => pattern.test(line))),
        signal: (signal) => Effect.sync(() => void child.kill(signal)),
        exit: whenever(() => exit),
        ended: whenever(() =>
          isClosed ? { ...exit!, stdout: stdout.text, stderr: stderr.text } : undefined
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
