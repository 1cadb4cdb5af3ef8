/**
 * A connection to a PostgreSQL server, encrypted as by libpq (libpq, "SSL Mode Descriptions").
 *
 * The driver can use TLS, too, but only where it is required. `prefer`, the default of libpq and asyncpg, uses TLS
 * if the server supports it, without verification, because most distributions install a self-signed certificate. If
 * the handshake fails, or the server's pg_hba.conf rejects encrypted connections, it connects again without TLS.
 */
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net"
import { Duplex } from "node:stream"
import { connect as connectTls, type ConnectionOptions } from "node:tls"

/** PostgreSQL's SSLRequest: length 8, code 80877103 (PostgreSQL, "Message Formats"). */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
/** "S": the server accepts TLS. "N": it does not. "E": an ErrorResponse. */
const [accepted, declined, errorResponse] = [0x53, 0x4e, 0x45]

/** The SQLSTATE in an ErrorResponse that pg_hba.conf has no entry for this kind of connection. */
const noEntry = "C28000\0"

export interface Encryption {
  readonly mode: "never" | "prefer" | "require"
  readonly options: ConnectionOptions
}

export interface Address {
  readonly host: string
  readonly port: number
  /** Resolves the host name. */
  readonly lookup: LookupFunction
}

/** Delays writes until the encryption is negotiated. */
class ServerStream extends Duplex {
  readonly #address: Address
  readonly #encryption: Encryption
  #socket: Duplex
  #inner: Duplex | undefined
  #pendingWrite: (() => void) | undefined
  /** The first data, kept while it may have to be sent again without TLS. */
  #startup: Buffer | undefined
  #mayFallBack: boolean

  constructor(address: Address, encryption: Encryption) {
    super({ allowHalfOpen: false })
    this.#address = address
    this.#encryption = encryption
    const requestsTls = encryption.mode !== "never" && !address.host.startsWith("/")
    this.#mayFallBack = requestsTls && encryption.mode === "prefer"
    this.#socket = this.#connect(requestsTls)
  }

  #connect(requestsTls: boolean): Socket {
    const { host, lookup, port } = this.#address
    const socket = host.startsWith("/")
      ? connectTcp({ path: `${host}/.s.PGSQL.${port}` })
      : connectTcp({
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: 30_000,
          host,
          port,
          lookup
        })
    socket.on("error", (error) => this.#fail(socket, error))
    socket.on("close", () => this.#fail(socket))
    socket.once("connect", () => {
      if (requestsTls) this.#requestTls(socket)
      else this.#begin(socket)
    })
    return socket
  }

  #requestTls(socket: Socket): void {
    const { host, port } = this.#address
    const { mode, options } = this.#encryption
    socket.write(sslRequest)
    // exactly one byte, so that plain text cannot be mistaken for encrypted data (CVE-2021-23222)
    socket.once("readable", () => {
      const response: Buffer | null = socket.read()
      if (response === null) return
      if (response.length === 1 && response[0] === accepted) {
        const secure = connectTls({
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ...options,
          socket
        })
        secure.on("error", (error) => {
          if (this.#mayFallBack) this.#fallBack()
          else this.#fail(secure, error)
        })
        secure.on("close", () => this.#fail(secure))
        secure.once("secureConnect", () => this.#begin(secure))
        this.#socket = secure
      } else if (response.length === 1 && response[0] === declined) {
        this.#mayFallBack = false
        if (mode === "prefer") this.#begin(socket)
        else this.destroy(new Error(`${host}:${port} does not support TLS, which sslmode requires`))
      } else if (response[0] === errorResponse && this.#mayFallBack) {
        this.#fallBack()
      } else {
        this.destroy(new Error(`${host}:${port} is not a PostgreSQL server`))
      }
    })
  }

  /** Connects again, without TLS. */
  #fallBack(): void {
    this.#mayFallBack = false
    const before = this.#socket
    this.#inner = undefined
    this.#socket = this.#connect(false)
    before.destroy()
  }

  #begin(inner: Duplex): void {
    this.#inner = inner
    inner.on("data", (chunk: Buffer) => {
      if (inner !== this.#inner) return
      if (this.#mayFallBack && chunk[0] === errorResponse && chunk.includes(noEntry)) {
        return this.#fallBack()
      }
      this.#mayFallBack = false
      if (!this.push(chunk)) inner.pause()
    })
    inner.on("end", () => {
      if (inner === this.#inner) this.push(null)
    })
    if (this.#startup !== undefined) inner.write(this.#startup)
    this.#startup = undefined
    this.#pendingWrite?.()
    this.#pendingWrite = undefined
  }

  /** Ends the stream with the current socket; a replaced socket is ignored. */
  #fail(socket: Duplex, error?: Error): void {
    if (socket === this.#socket) this.destroy(error)
  }

  override _read(): void {
    this.#inner?.resume()
  }

  override _write(
    chunk: Buffer,
    encoding: BufferEncoding,
    done: (error?: Error | null) => void
  ): void {
    if (this.#inner === undefined) {
      this.#pendingWrite = () => this._write(chunk, encoding, done)
      return
    }
    if (this.#mayFallBack) this.#startup = chunk
    this.#inner.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#inner === undefined) this.destroy()
    else {
      // behind a proxy that has lost the connection, the peer never closes its side
      this.#inner.end(() => {
        done()
        this.destroy()
      })
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}

export const connectServer = (address: Address, encryption: Encryption): Duplex =>
  new ServerStream(address, encryption)
