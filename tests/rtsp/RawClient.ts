/** A client that sends raw bytes. */
import { connect, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

export interface RawClient {
  readonly socket: Socket
  readonly send: (bytes: string | Buffer) => Effect.Effect<void>
  /** Succeeds once the input matches; returns all input, one character per byte. */
  readonly received: (pattern: RegExp) => Effect.Effect<string>
  readonly receivedSo: (holds: (all: string) => boolean) => Effect.Effect<string>
  /** Succeeds once the peer closes; returns all input. */
  readonly closed: Effect.Effect<string>
}

export const connectRaw = (port: number): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<RawClient>((resume) => {
      let all = ""
      let ended = false
      const watchers = new Set<() => void>()
      const changed = () => watchers.forEach((watcher) => watcher())
      const until = (holds: () => boolean) =>
        Effect.callback<string>((resume) => {
          const watcher = () => {
            if (!holds()) return
            watchers.delete(watcher)
            resume(Effect.succeed(all))
          }
          watchers.add(watcher)
          watcher()
          return Effect.sync(() => watchers.delete(watcher))
        })
      const socket = connect(port, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            socket,
            send: (bytes) => Effect.sync(() => void socket.write(bytes, "latin1")),
            received: (pattern) => until(() => pattern.test(all)),
            receivedSo: (holds) => until(() => holds(all)),
            closed: until(() => ended)
          })
        )
      )
      socket.on("data", (chunk: Buffer) => {
        all += chunk.toString("latin1")
        changed()
      })
      socket.on("error", () => {})
      socket.on("close", () => {
        ended = true
        changed()
      })
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )
