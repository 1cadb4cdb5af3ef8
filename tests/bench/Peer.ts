/** The least RTSP server there can be: it says yes to everything, so that it costs as little as possible. */
import { Framer, Message } from "@restream/core/rtsp"
import { createServer, type Server, type Socket } from "node:net"
import { once } from "node:events"

export interface PeerHandlers {
  /** The description that is served. */
  readonly describe?: (path: string) => string
  /** A client at a path said ANNOUNCE. */
  readonly onAnnounce?: (path: string, sdp: string) => void
  /** A client said PLAY or RECORD. Gives what is to be done with its frames, and at its end. */
  readonly onStart?: (
    method: "PLAY" | "RECORD",
    path: string,
    socket: Socket
  ) => { readonly frames?: Framer.FramerHandlers["frames"]; readonly end?: () => void } | undefined
}

const pathOf = (uri: string): string =>
  uri.replace(/^rtsps?:\/\/[^/]*\//, "").replace(/\/track.*$/, "")

/** Listens on a port of the loopback interface; 0 is a free one. */
export const listen = async (
  handlers: PeerHandlers,
  at: { readonly host?: string; readonly port?: number } = {}
): Promise<{ readonly server: Server; readonly port: number }> => {
  const server = createServer({ noDelay: true }, (socket) => serve(socket, handlers))
  server.listen({ port: at.port ?? 0, host: at.host ?? "127.0.0.1", backlog: 1024 })
  await once(server, "listening")
  const address = server.address()
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 }
}

const serve = (socket: Socket, handlers: PeerHandlers) => {
  let started: ReturnType<NonNullable<PeerHandlers["onStart"]>>
  const answer = (request: Message.Request, headers: Message.Headers, body = Message.noBody) =>
    socket.write(
      Message.render({
        _tag: "Response",
        status: 200,
        reason: "OK",
        headers: [["CSeq", String(Message.cseq(request) ?? 0)], ["Session", "1"], ...headers],
        body
      })
    )
  const onRequest = (request: Message.Request) => {
    const path = pathOf(request.uri)
    switch (request.method) {
      case "DESCRIBE": {
        const body = Buffer.from(handlers.describe?.(path) ?? "", "utf8")
        return answer(request, [["Content-Type", "application/sdp"]], body)
      }
      case "ANNOUNCE":
        handlers.onAnnounce?.(path, Buffer.from(request.body).toString("utf8"))
        return answer(request, [])
      case "SETUP":
        return answer(request, [["Transport", Message.header(request, "transport") ?? ""]])
      case "PLAY":
      case "RECORD":
        answer(request, [])
        started = handlers.onStart?.(request.method, path, socket)
        return
      default:
        return answer(request, [
          ["Public", "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"]
        ])
    }
  }
  const framer = new Framer.Framer({
    frames: (bytes, start, end, reused) => started?.frames?.(bytes, start, end, reused),
    message: (message) => {
      if (message._tag === "Request") onRequest(message)
    },
    skipped: () => {},
    failed: () => socket.destroy()
  })
  socket.on("data", (chunk) => framer.push(chunk))
  socket.on("error", () => {})
  socket.on("close", () => started?.end?.())
}
