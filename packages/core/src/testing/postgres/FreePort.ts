/** Free ports of the loopback interface. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:net"

/** A reserved port, which the kernel does not assign to another program until its release. */
export interface HeldPort {
  readonly port: number
  /** Releases the port, right before a program listens on it. */
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
 * Reserves a free port in the scope. Connections to it are reset.
 *
 * Between the release and the program's `listen` another process may take the port, so be ready for
 * `EADDRINUSE`.
 */
export const holdPort: Effect.Effect<HeldPort, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(listen, close),
  (server) => ({ port: portOf(server), release: close(server) })
)

/** A port that is free now. A later call may return the same port. */
export const freePort: Effect.Effect<number> = Effect.flatMap(listen, (server) =>
  Effect.as(close(server), portOf(server))
)
