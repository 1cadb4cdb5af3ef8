/** Ports of the loopback interface for what listens there. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:net"

/** A port that nobody else is given before it is released. */
export interface HeldPort {
  readonly port: number
  /** Lets go of the port, right before its own program listens there. */
  readonly release: Effect.Effect<void>
}

const listen = Effect.callback<Server>((resume) => {
  const server = createServer((socket) => socket.resetAndDestroy())
  server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
})

const close = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => void server.close(() => resume(Effect.void)))

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/**
 * Holds a free port in the scope. Whoever connects meanwhile is reset.
 *
 * Between the release and the listening of another program the port is anybody's for a moment, so that
 * program has to be ready for finding it taken.
 */
export const holdPort: Effect.Effect<HeldPort, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(listen, close),
  (server) => ({ port: portOf(server), release: close(server) })
)

/** A port that nobody listens on now. The next one to ask may get the same. */
export const freePort: Effect.Effect<number> = Effect.flatMap(listen, (server) =>
  Effect.as(close(server), portOf(server))
)
