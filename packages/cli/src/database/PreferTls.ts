/**
 * A connection to PostgreSQL that is encrypted where the server offers it and plain where not, as libpq
 * and asyncpg make it when nobody says otherwise (libpq, `sslmode=prefer`).
 *
 * The driver can prefer TLS, too, but then insists on a certificate that an authority signed, and a
 * server with the self-signed one that most distributions install would be out of reach.
 */
import { connect as connectTcp, type NetConnectOpts } from "node:net"
import { Duplex } from "node:stream"
import { connect as connectTls } from "node:tls"

/** PostgreSQL's SSLRequest: length 8, code 80877103 (PostgreSQL, "Message Formats"). */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
const yes = 0x53

/** What is written before the server has answered waits; what is read goes through. */
class NegotiatedStream extends Duplex {
  #inner: Duplex | undefined
  #socket: Duplex
  #waiting: (() => void) | undefined

  constructor(options: NetConnectOpts) {
    super({ allowHalfOpen: false })
    const socket = connectTcp({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      ...options
    })
    this.#socket = socket
    socket.on("error", (error) => this.destroy(error))
    socket.on("close", () => this.destroy())
    socket.once("connect", () => socket.write(sslRequest))
    // one byte and no more, so that nothing sent in plain text can pass for something encrypted
    socket.once("readable", () => {
      const answer: Buffer | null = socket.read()
      if (answer === null) return
      if (answer.length !== 1) {
        this.destroy(new Error(`${answer.length} bytes in answer to SSLRequest`))
      } else if (answer[0] === yes) {
        const secure = connectTls({ socket, rejectUnauthorized: false })
        secure.on("error", (error) => this.destroy(error))
        secure.once("secureConnect", () => this.#begin(secure))
        this.#socket = secure
      } else {
        this.#begin(socket)
      }
    })
  }

  #begin(inner: Duplex): void {
    this.#inner = inner
    inner.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause()
    })
    inner.on("end", () => this.push(null))
    this.#waiting?.()
  }

  override _read(): void {
    this.#inner?.resume()
  }

  override _write(
    chunk: Buffer,
    encoding: BufferEncoding,
    done: (error?: Error | null) => void
  ): void {
    if (this.#inner === undefined) this.#waiting = () => this._write(chunk, encoding, done)
    else this.#inner.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#inner === undefined) this.destroy()
    else this.#inner.end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}

/** Makes such connections, for the driver's `stream`. */
export const preferTls =
  (options: NetConnectOpts): (() => Duplex) =>
  () =>
    new NegotiatedStream(options)
