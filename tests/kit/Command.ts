/** The built command, `restream`, run to its end as an operator runs it. */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { program } from "./Program.ts"
import { type Ended, run, type StartOptions } from "./Spawn.ts"

export type Env = NonNullable<StartOptions["env"]>

/** What the command must not take from the machine that runs the tests. */
const withoutSettings: Env = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => /^(RESTREAM_|PG_DSN$|MEDIA_SERVER_|LC_|LANG$)/.test(name))
    .map((name) => [name, undefined])
)

/** Node's arguments for a command, and its environment, for who starts it in another way. */
export const invocation = (args: ReadonlyArray<string>, env: Env = {}) => ({
  command: [program, ...args],
  environment: { ...withoutSettings, ...env }
})

/** Runs a command in an empty folder, without the tests' own settings. */
export const restream = (args: ReadonlyArray<string>, env: Env = {}): Effect.Effect<Ended> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-command-"))),
    (cwd) => {
      const { command, environment } = invocation(args, env)
      return run(process.execPath, command, { cwd, env: environment })
    },
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
