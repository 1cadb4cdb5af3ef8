/** The embedded server as a process of its own, so that it can be stopped in its tracks. */
import { Effect } from "effect"
import { start } from "../kit/Spawn.ts"

const script = new URL("media-server.ts", import.meta.url).pathname

export interface MediaServerProcess {
  readonly port: number
  readonly pid: number
  /** Done when it tells of a request, as `OPTIONS cam1`. */
  readonly awaitSaid: (pattern: RegExp) => Effect.Effect<string>
}

/** Starts it; it lives as long as the scope. */
export const make = Effect.gen(function* () {
  const { awaitSaid, process: child } = yield* start(process.execPath, [script])
  const port = Number((yield* awaitSaid(/port \d+\n/)).slice(5))
  return { port, pid: child.pid ?? 0, awaitSaid } satisfies MediaServerProcess
})
