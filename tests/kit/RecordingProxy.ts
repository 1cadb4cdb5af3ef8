/**
 * A TCP proxy between the engine and a peer that records requests, responses and frames in both directions, as
 * they are on the wire.
 */
import { connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"
import { InterleavedFrame, Framer, Message } from "@restream/core/rtsp"

/** A message or a frame that passed. */
export type Entry = {
  /** The name of the proxy. */
  readonly proxy: string
  /** The number of the connection through the proxy, from 1. */
  readonly connection: number
  readonly from: "us" | "peer"
} & (
  | {
      readonly _tag: "Request"
      readonly method: string
      readonly uri: string
      readonly headers: Message.Headers
      readonly body: string
    }
  | { readonly _tag: "Response"; readonly status: number; readonly headers: Message.Headers }
  | { readonly _tag: "Frame"; readonly channel: number; readonly packet: Buffer }
)

export interface RecordingProxy {
  /** The port to connect to in place of the peer. */
  readonly port: number
  /** The first entry that matches, as soon as there is one. */
  readonly heard: (fits: (said: Entry) => boolean) => Effect.Effect<Entry>
  /** All entries so far that match. */
  readonly all: (fits: (said: Entry) => boolean) => ReadonlyArray<Entry>
  /** Forwards nothing more to the peer, as if the peer were suspended. */
  readonly hold: Effect.Effect<void>
  readonly release: Effect.Effect<void>
}

/** The entries of several proxies, in one order. */
export class Recording {
  readonly said: Array<Entry> = []
  readonly #watchers = new Set<() => void>()

  add(said: Entry): void {
    this.said.push(said)
    for (const watcher of this.#watchers) watcher()
  }

  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const watcher = () => {
        const found = look()
        if (found === undefined) return
        this.#watchers.delete(watcher)
        resume(Effect.succeed(found))
      }
      this.#watchers.add(watcher)
      watcher()
      return Effect.sync(() => this.#watchers.delete(watcher))
    })
  }
}

/** Parses one direction. */
const recorder = (proxy: string, connection: number, from: Entry["from"], record: Recording) =>
  new Framer.Framer({
    frames: (bytes, start, end) => {
      for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
        const packet = Buffer.from(
          bytes.subarray(InterleavedFrame.packetStart(at), InterleavedFrame.end(bytes, at))
        )
        record.add({
          _tag: "Frame",
          proxy,
          connection,
          from,
          channel: InterleavedFrame.channel(bytes, at),
          packet
        })
      }
    },
    message: (message) =>
      record.add(
        message._tag === "Request"
          ? {
              _tag: "Request",
              proxy,
              connection,
              from,
              method: message.method,
              uri: message.uri,
              headers: message.headers,
              body: Buffer.from(message.body).toString("utf8")
            }
          : {
              _tag: "Response",
              proxy,
              connection,
              from,
              status: message.status,
              headers: message.headers
            }
      ),
    skipped: () => {},
    failed: () => {}
  })

/** A proxy to a peer at a port of this machine. The scope owns its connections. */
export const make = (
  proxy: string,
  peer: number,
  record: Recording = new Recording()
): Effect.Effect<RecordingProxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly made: RecordingProxy; readonly close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const ours = new Set<Socket>()
      let isHeld = false
      let connections = 0
      const server = createServer({ noDelay: true, allowHalfOpen: true }, (us) => {
        const connection = ++connections
        const them = connect({ port: peer, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
        ours.add(us)
        if (isHeld) us.pause()
        const couple = (source: Socket, target: Socket, from: Entry["from"]) => {
          sockets.add(source)
          const framer = recorder(proxy, connection, from, record)
          source.on("data", (chunk: Buffer) => {
            if (!target.write(chunk)) {
              source.pause()
              target.once("drain", () => {
                if (!(isHeld && source === us)) source.resume()
              })
            }
            framer.push(chunk)
          })
          source.on("end", () => target.end())
          source.on("error", () => target.destroy())
          source.on("close", () => {
            sockets.delete(source)
            ours.delete(source)
            target.destroySoon()
          })
        }
        couple(us, them, "us")
        couple(them, us, "peer")
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const all: RecordingProxy["all"] = (fits) =>
          record.said.filter((one) => one.proxy === proxy && fits(one))
        resume(
          Effect.succeed({
            made: {
              port: typeof address === "object" && address !== null ? address.port : 0,
              all,
              heard: (fits) =>
                record.until(() => record.said.find((one) => one.proxy === proxy && fits(one))),
              hold: Effect.sync(() => {
                isHeld = true
                ours.forEach((socket) => socket.pause())
              }),
              release: Effect.sync(() => {
                isHeld = false
                ours.forEach((socket) => socket.resume())
              })
            },
            close: () => {
              server.close()
              sockets.forEach((socket) => socket.destroy())
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ made }) => made))

/** A request of the engine with a method. */
export const request =
  (method: string) =>
  (said: Entry): boolean =>
    said._tag === "Request" && said.from === "us" && said.method === method

/** A frame from a side, of RTP or of RTCP. */
export const frame =
  (from: Entry["from"], kind: "rtp" | "rtcp") =>
  (said: Entry): boolean =>
    said._tag === "Frame" && said.from === from && (said.channel & 1) === (kind === "rtp" ? 0 : 1)
