/** The built daemon, `restream run`, as a process of its own. */
import { Effect } from "effect"
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process"
import { until } from "./Eventually.ts"
import { program } from "./Program.ts"

export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly args?: ReadonlyArray<string>
  /** Words before `node`: a program that starts it under other limits, and becomes it. */
  readonly under?: ReadonlyArray<string>
  /** Arguments for node itself. */
  readonly node?: ReadonlyArray<string>
  readonly cwd?: string
  readonly stdio?: StdioOptions
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Daemon {
  readonly pid: number
  readonly process: ChildProcess
  /** What it wrote so far, by lines. */
  readonly stderr: ReadonlyArray<string>
  readonly stdout: ReadonlyArray<string>
  /** The first line of standard error, from the `from`-th on, that matches. */
  readonly awaitLine: (pattern: RegExp, from?: number) => Effect.Effect<string>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly exit: Effect.Effect<Exit>
}

const collect = (stream: NodeJS.ReadableStream | null): Array<string> => {
  const lines: Array<string> = []
  let rest = ""
  stream?.on("data", (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split("\n")
    rest = parts.pop() ?? ""
    lines.push(...parts)
  })
  return lines
}

/** Starts a daemon in the scope, which kills it if it still runs then. */
export const start = (options: DaemonOptions = {}) =>
  Effect.gen(function* () {
    const [command, ...args] = [
      ...(options.under ?? []),
      process.execPath,
      ...(options.node ?? []),
      program,
      "run",
      ...(options.args ?? [])
    ] as [string, ...Array<string>]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(command, args, {
          cwd: options.cwd,
          env: { PATH: process.env["PATH"], RESTREAM_HTTP_ENABLED: "no", ...options.env },
          stdio: options.stdio ?? ["ignore", "pipe", "pipe"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const stderr = collect(child.stderr)
    const stdout = collect(child.stdout)
    let ended: Exit | undefined
    child.once("exit", (code, signal) => {
      ended = { code, signal }
    })
    const exit = Effect.map(
      until(
        "the daemon's end",
        () => ended !== undefined,
        () => stderr.join("\n")
      ),
      () => ended!
    )
    const awaitLine = (pattern: RegExp, from = 0) => {
      const find = () => stderr.slice(from).find((line) => pattern.test(line))
      return Effect.map(
        until(
          String(pattern),
          () => find() !== undefined,
          () => stderr.slice(from).join("\n")
        ),
        () => find()!
      )
    }
    return {
      pid: child.pid!,
      process: child,
      stderr,
      stdout,
      awaitLine,
      signal: (signal: NodeJS.Signals) => Effect.sync(() => void child.kill(signal)),
      exit
    } satisfies Daemon
  })
