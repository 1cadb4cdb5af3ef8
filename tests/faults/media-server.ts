/** Runs the embedded server until this process is ended; says at which port, and tells of each request. */
import { RtspServer } from "@restream/core/testing"
import { Effect, PubSub } from "effect"

Effect.gen(function* () {
  const server = yield* RtspServer.make()
  const events = yield* server.events
  process.stdout.write(`port ${server.port}\n`)
  for (;;) {
    const event = yield* PubSub.take(events)
    if (event._tag === "Request") process.stdout.write(`${event.method} ${event.path}\n`)
  }
}).pipe(Effect.scoped, Effect.runFork)
