/**
 * A connection to PostgreSQL that uses TLS if the server supports it, as libpq and asyncpg do by default
 * (libpq, `sslmode=prefer`).
 *
 * The driver can prefer TLS, too, but then requires a trusted certificate. It would reject the self-signed
 * certificate that most distributions install.
 */
import { connect as connectTcp } from "node:net"
import { Duplex } from "node:stream"
import { connect as connectTls } from "node:tls"

/** PostgreSQL's SSLRequest: length 8, code 80877103 (PostgreSQL, "Message Formats"). */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
/** "S": the server accepts TLS. */
const accepted = 0x53

interface Address {
  readonly host: string
  readonly port: number
}

/** Holds back writes until the server has responded to the SSLRequest. */
class NegotiatedStream extends Duplex {
  #inner: Duplex | undefined
  #socket: Duplex
  #pendingWrite: (() => void) | undefined

  constructor({ host, port }: Address) {
    super({ allowHalfOpen: false })
    const socket = connectTcp({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      host,
      port
    })
    this.#socket = socket
    socket.on("error", (error) => this.destroy(error))
    socket.on("close", () => this.destroy())
    socket.once("connect", () => socket.write(sslRequest))
    // exactly one byte, so that plain text cannot be mistaken for encrypted data (CVE-2021-23222)
    socket.once("readable", () => {
      const response: Buffer | null = socket.read()
      if (response === null) return
      if (response.length !== 1) {
        this.destroy(new Error(`${host}:${port} is not a PostgreSQL server`))
      } else if (response[0] === accepted) {
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
    this.#pendingWrite?.()
  }

  override _read(): void {
    this.#inner?.resume()
  }

  override _write(
    chunk: Buffer,
    encoding: BufferEncoding,
    done: (error?: Error | null) => void
  ): void {
    if (this.#inner === undefined) this.#pendingWrite = () => this._write(chunk, encoding, done)
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

/** For the driver's option `stream`. */
export const preferTls =
  (address: Address): (() => Duplex) =>
  () =>
    new NegotiatedStream(address)
