/**
 * A TCP proxy before PostgreSQL that is deaf in one of two ways: it drops notifications, as a connection pooler in
 * transaction mode does, or it forwards nothing more and closes nothing, as a firewall does that forgot a
 * connection.
 */
import { connect, createServer, type Socket } from "node:net"
import { Effect } from "effect"

export interface DeafProxy {
  readonly port: number
  /** Whether NotificationResponse messages are dropped. */
  dropsNotifications: boolean
  /** Whether a connection is closed that begins a transaction, as by a pooler in statement mode. */
  refusesTransactions: boolean
  /** Whether NOTIFY fails, as by a compatible server on which the role may not. */
  refusesNotify: boolean
  /** Whether a connection is swallowed that ends a transaction. */
  swallowsRollbacks: boolean
  /** Forwards nothing more of the connections that exist and fit, and closes none of them. */
  readonly swallow: (fits?: (connection: { readonly listens: boolean }) => boolean) => void
  /** How many connections were opened. */
  readonly count: () => number
  /** How many were swallowed. */
  readonly swallowed: () => number
}

interface Connection {
  listens: boolean
  isSwallowed: boolean
  readonly sockets: ReadonlyArray<Socket>
}

/** "A", NotificationResponse (PostgreSQL, "Message Formats"). */
const notification = 0x41

export const make = (serverPort: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly proxy: DeafProxy; readonly close: () => void }>((resume) => {
      const connections: Array<Connection> = []
      const server = createServer((client) => {
        const upstream = connect({ port: serverPort, host: "127.0.0.1", noDelay: true })
        const connection: Connection = {
          listens: false,
          isSwallowed: false,
          sockets: [client, upstream]
        }
        connections.push(connection)
        for (const [from, to] of [
          [client, upstream],
          [upstream, client]
        ] as const) {
          from.on("error", () => to.destroy())
          from.on("close", () => {
            if (!connection.isSwallowed) to.destroy()
          })
        }
        client.on("data", (chunk) => {
          if (/listen /i.test(chunk.toString("latin1"))) connection.listens = true
          const text = chunk.toString("latin1")
          if (proxy.swallowsRollbacks && /rollback/i.test(text)) connection.isSwallowed = true
          if (proxy.refusesTransactions && /begin/i.test(text)) client.destroy()
          else if (proxy.refusesNotify && /notify /i.test(text)) client.write(denied)
          else if (!connection.isSwallowed) upstream.write(chunk)
        })
        let rest = Buffer.alloc(0)
        upstream.on("data", (chunk) => {
          rest = Buffer.concat([rest, chunk])
          for (let end = endOf(rest); end !== undefined; end = endOf(rest)) {
            const message = rest.subarray(0, end)
            rest = rest.subarray(end)
            if (connection.isSwallowed) continue
            if (proxy.dropsNotifications && message[0] === notification) continue
            client.write(message)
          }
        })
      })
      const proxy = {
        port: 0,
        dropsNotifications: false,
        refusesTransactions: false,
        refusesNotify: false,
        swallowsRollbacks: false,
        swallow: (fits: (connection: Connection) => boolean = () => true) => {
          for (const each of connections) if (fits(each)) each.isSwallowed = true
        },
        count: () => connections.length,
        swallowed: () => connections.filter(({ isSwallowed }) => isSwallowed).length
      }
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        if (typeof address === "object" && address !== null) proxy.port = address.port
        const close = () => {
          server.close()
          for (const { sockets } of connections) for (const each of sockets) each.destroy()
        }
        resume(Effect.succeed({ proxy, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ proxy }): DeafProxy => proxy))

const message = (type: string, body: string) => {
  const head = Buffer.alloc(5)
  head.write(type, "latin1")
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, Buffer.from(body, "latin1")])
}

/** ErrorResponse and ReadyForQuery. */
const denied = Buffer.concat([
  message("E", "SERROR\0C42501\0Mpermission denied for NOTIFY\0\0"),
  message("Z", "I")
])

/** Where the first message ends: a type, and a length that counts itself. */
const endOf = (bytes: Buffer): number | undefined => {
  if (bytes.length < 5) return undefined
  const end = 1 + bytes.readInt32BE(1)
  return bytes.length < end ? undefined : end
}
