/** A server that speaks RTSP as a test tells it to, to the byte. */
import { createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

/** A server that handles each request with a callback. */
export const scripted = (
  onRequest: (request: string, socket: Socket, exchange: string) => void,
  host = "127.0.0.1"
): Effect.Effect<{ readonly port: number; readonly sockets: Set<Socket> }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ port: number; sockets: Set<Socket>; close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        let text = ""
        socket.on("error", () => {})
        socket.on("data", (chunk: Buffer) => {
          text += chunk.toString("latin1")
          for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
            const request = text.slice(0, end)
            text = text.slice(end + 4)
            onRequest(request, socket, /CSeq: (\d+)/.exec(request)?.[1] ?? "")
          }
        })
      })
      server.listen(0, host, () => {
        const address = server.address()
        resume(
          Effect.succeed({
            port: typeof address === "object" && address !== null ? address.port : 0,
            sockets,
            close: () => {
              sockets.forEach((socket) => socket.destroy())
              server.close()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
