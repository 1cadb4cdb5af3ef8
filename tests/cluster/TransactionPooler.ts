/**
 * A connection pooler in transaction mode with one session: each transaction of any client runs in it.
 *
 * The first client's authentication opens the session; later clients are let in as they are. Each client gets a
 * process id that is not the server's, as PgBouncer gives it.
 */
import { Effect } from "effect"
import { connect, createServer, type Socket } from "node:net"

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.write(type, "latin1")
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** BackendKeyData with a process id of the pooler. */
const key = message("K", Buffer.from([0x7f, 0, 0, 1, 0, 0, 0, 1]))
const welcome = Buffer.concat([message("R", Buffer.alloc(4)), key, message("Z", Buffer.from("I"))])

/** Splits what arrives into messages of type, length and body (PostgreSQL, "Message Formats"). */
const splitter = (onMessage: (type: string, bytes: Buffer) => void) => {
  let rest = Buffer.alloc(0)
  return (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const bytes = rest.subarray(0, rest.readInt32BE(1) + 1)
      rest = rest.subarray(bytes.length)
      onMessage(bytes.toString("latin1", 0, 1), bytes)
    }
  }
}

export const make = (serverPort: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      let upstream: Socket | undefined
      let isOpen = false
      /** The client whose transaction runs, and the batches of others. */
      let busy: Socket | undefined
      const waiting: Array<{ readonly client: Socket; readonly batch: Buffer }> = []

      const next = () => {
        const index = busy === undefined ? 0 : waiting.findIndex(({ client }) => client === busy)
        const [entry] = index < 0 || !isOpen ? [] : waiting.splice(index, 1)
        if (entry === undefined) return
        busy = entry.client
        upstream!.write(entry.batch)
      }

      const open = (client: Socket, startup: Buffer) => {
        upstream = connect({ port: serverPort, host: "127.0.0.1", noDelay: true })
        sockets.add(upstream)
        upstream.on("error", () => {})
        upstream.write(startup)
        busy = client
        upstream.on(
          "data",
          splitter((type, bytes) => {
            busy?.write(type === "K" ? key : bytes)
            if (type !== "Z") return
            isOpen = true
            // "I": no transaction is open
            if (bytes.toString("latin1", 5) === "I") busy = undefined
            next()
          })
        )
      }

      const server = createServer((client) => {
        sockets.add(client)
        client.on("error", () => {})
        let batch = Buffer.alloc(0)
        const onMessage = splitter((type, bytes) => {
          if (type === "X") return
          // the password of the first client
          if (type === "p") return void upstream!.write(bytes)
          batch = Buffer.concat([batch, bytes])
          if (type !== "S" && type !== "Q") return
          waiting.push({ client, batch })
          batch = Buffer.alloc(0)
          if (busy === undefined || busy === client) next()
        })
        let isStarted = false
        client.on("data", (chunk: Buffer) => {
          if (isStarted) return onMessage(chunk)
          // an SSLRequest
          if (chunk.length === 8) return void client.write("N")
          isStarted = true
          if (upstream === undefined) open(client, chunk)
          else client.write(welcome)
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { readonly port: number }
        resume(
          Effect.succeed({
            port,
            close: () => {
              server.close()
              for (const socket of sockets) socket.destroy()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
