/**
 * A wire between the engine and a peer that tells what goes over it, both ways, as the bytes have it: what
 * one side believes to have said is no proof of it.
 */
import { connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"
import { InterleavedFrame, Framer, Message } from "@restream/core/rtsp"

/** What was said, in the order in which it passed. */
export type Said = {
  /** The wire's name. */
  readonly wire: string
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

export interface Wire {
  /** Where to dial in place of the peer. */
  readonly port: number
  /** Done when something that was said fits; gives the first such thing. */
  readonly heard: (fits: (said: Said) => boolean) => Effect.Effect<Said>
  /** All that was said so far, and fits. */
  readonly all: (fits: (said: Said) => boolean) => ReadonlyArray<Said>
  /** Carries nothing more to the peer, as if that were frozen. */
  readonly hold: Effect.Effect<void>
  readonly release: Effect.Effect<void>
}

/** What several wires carry, in one order. */
export class Record {
  readonly said: Array<Said> = []
  readonly #watchers = new Set<() => void>()

  add(said: Said): void {
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

/** Reads one direction without touching it. */
const listener = (wire: string, from: Said["from"], record: Record) =>
  new Framer.Framer({
    frames: (bytes, start, end) => {
      for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
        const packet = Buffer.from(
          bytes.subarray(InterleavedFrame.packetStart(at), InterleavedFrame.end(bytes, at))
        )
        record.add({
          _tag: "Frame",
          wire,
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
              wire,
              from,
              method: message.method,
              uri: message.uri,
              headers: message.headers,
              body: Buffer.from(message.body).toString("utf8")
            }
          : { _tag: "Response", wire, from, status: message.status, headers: message.headers }
      ),
    skipped: () => {},
    failed: () => {}
  })

/** Lays a wire to a peer at a port of this machine. The scope cuts it. */
export const lay = (
  wire: string,
  peer: number,
  record: Record = new Record()
): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly wire: Wire; readonly cut: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const ours = new Set<Socket>()
      let isHeld = false
      const server = createServer({ noDelay: true, allowHalfOpen: true }, (us) => {
        const them = connect({ port: peer, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
        ours.add(us)
        if (isHeld) us.pause()
        const couple = (source: Socket, target: Socket, from: Said["from"]) => {
          sockets.add(source)
          const framer = listener(wire, from, record)
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
        const all: Wire["all"] = (fits) =>
          record.said.filter((one) => one.wire === wire && fits(one))
        resume(
          Effect.succeed({
            wire: {
              port: typeof address === "object" && address !== null ? address.port : 0,
              all,
              heard: (fits) =>
                record.until(() => record.said.find((one) => one.wire === wire && fits(one))),
              hold: Effect.sync(() => {
                isHeld = true
                ours.forEach((socket) => socket.pause())
              }),
              release: Effect.sync(() => {
                isHeld = false
                ours.forEach((socket) => socket.resume())
              })
            },
            cut: () => {
              server.close()
              sockets.forEach((socket) => socket.destroy())
            }
          })
        )
      })
    }),
    ({ cut }) => Effect.sync(cut)
  ).pipe(Effect.map(({ wire }) => wire))

/** A request of ours with a method. */
export const request =
  (method: string) =>
  (said: Said): boolean =>
    said._tag === "Request" && said.from === "us" && said.method === method

/** A frame from a side, of RTP or of RTCP. */
export const frame =
  (from: Said["from"], kind: "rtp" | "rtcp") =>
  (said: Said): boolean =>
    said._tag === "Frame" && said.from === from && (said.channel & 1) === (kind === "rtp" ? 0 : 1)
