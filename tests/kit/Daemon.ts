/** The built daemon, `restream run`, as a process. */
import { Effect, type Scope } from "effect"
import { program } from "./Program.ts"
import * as Spawn from "./Spawn.ts"

export type Daemon = Spawn.Running

export interface DaemonOptions extends Omit<Spawn.StartOptions, "inheritsEnv"> {
  readonly args?: ReadonlyArray<string>
  /** Words before `node`: a program that starts it under other limits, and becomes it. */
  readonly under?: ReadonlyArray<string>
  /** Arguments for node itself. */
  readonly node?: ReadonlyArray<string>
}

/** Starts a daemon with an environment of its own, and without its HTTP server; the scope kills it. */
export const start = ({
  args = [],
  env,
  node = [],
  under = [],
  ...options
}: DaemonOptions = {}): Effect.Effect<Daemon, never, Scope.Scope> => {
  const [command, ...rest] = [...under, process.execPath, ...node, program, "run", ...args]
  return Spawn.start(command!, rest, {
    ...options,
    env: { RESTREAM_HTTP_ENABLED: "no", ...env },
    inheritsEnv: false
  })
}

/** The URL of the HTTP server, once it listens. */
export const httpUrl = (daemon: Daemon): Effect.Effect<URL> =>
  Effect.map(
    daemon.awaitLine(/HTTP server listens on http:\S+/),
    (line) => new URL(/http:[^\s"]+/.exec(line)![0])
  )
