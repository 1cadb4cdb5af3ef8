/** The command line, run as an operator runs it: the build, in a process of its own. */
import { Effect, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Ended, start } from "../kit/Spawn.ts"
import { program } from "../kit/Program.ts"

/** Runs `restream` in an empty folder, against a database. */
export const restream = (
  dsn: Redacted.Redacted,
  args: ReadonlyArray<string>,
  env: Record<string, string> = {}
): Effect.Effect<Ended> =>
  Effect.gen(function* () {
    const cwd = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const { ended } = yield* start(process.execPath, [program, ...args], {
      cwd,
      env: { PG_DSN: Redacted.value(dsn), ...env }
    })
    return yield* ended
  }).pipe(Effect.scoped)
