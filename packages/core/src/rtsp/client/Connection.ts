/**
 * A connection to an RTSP server (a camera or a media server): requests, responses, and frames.
 *
 * Requests are effects. Frames are passed in place to a synchronous handler, without an object per packet, so
 * that one process can relay hundreds of cameras.
 */
import type { Socket } from "node:net"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Closed, ProtocolError, Rejected, TimedOut } from "../../camera/Reason.ts"
import { oneLine, redact } from "@restream/config"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import * as Deadline from "../../time/Deadline.ts"
import type { Credentials } from "../auth/Authentication.ts"
import { Framer, type FramerHandlers } from "../interleaved/Framer.ts"
import {
  cseq,
  type Headers,
  maxLineBytes,
  type Message,
  noBody,
  phrase,
  render,
  type Request,
  type Response,
  text
} from "../message/Message.ts"
import type { Method } from "../message/Method.ts"
import { Authenticator } from "./Authenticator.ts"
import * as SendPool from "./SendPool.ts"
import { dial, type Endpoint, type Trust } from "./Dialer.ts"
import { phaseOf, type RtspReason, RtspError } from "./RtspError.ts"
import { messageBytes, WasteBudget } from "./WasteBudget.ts"

/** The other end of the connection. */
export interface Peer extends Endpoint {
  readonly credentials?: Credentials | undefined
  /** Masked wherever text from the peer is shown; see `StreamUrl.secrets`. */
  readonly secrets?: ReadonlyArray<string> | undefined
  /** Why the credentials must not be sent as plain text (Basic). Default: they may be. */
  readonly refusesBasic?: RtspReason | undefined
}

export interface ConnectionOptions {
  /** Some cameras reject clients without one. Default `restream`. */
  readonly userAgent?: string | undefined
  /** For resolving, connecting, and TLS together. Default 5 s. */
  readonly connectTimeout?: Duration.Input | undefined
  /** For each request and its response, including authentication. Default 5 s. */
  readonly requestTimeout?: Duration.Input | undefined
  /**
   * Reads into one buffer that all such connections share; frames are then `reused`. Default false. No effect
   * with TLS.
   */
  readonly sharedBuffer?: boolean | undefined
  /**
   * Responds to requests from the other side, as cameras expect. Default true. Publishers set false: a media
   * server closes the connection on any response.
   */
  readonly answersRequests?: boolean | undefined
}

export interface RequestOptions {
  readonly method: Method
  /** Without user-info. */
  readonly uri: string
  readonly headers?: Headers | undefined
  readonly body?: Uint8Array | undefined
  /** Default: the connection's. */
  readonly timeout?: Duration.Input | undefined
  /** Ends the request even before the timeout. */
  readonly deadline?: Deadline.Deadline | undefined
}

/** Receives the frames of a connection. Both calls are synchronous; an exception ends the connection. */
export interface FrameHandler {
  /**
   * Whole frames in `bytes[start, end)`, one after another, see `Framer`. They may be changed in place; with
   * `reused` they are valid only during the call.
   */
  readonly frames: FramerHandlers["frames"]
  /** All frames of one read were passed: the moment to write what was collected. */
  readonly flush?: (() => void) | undefined
}

interface Pending {
  readonly method: Method
  readonly resume: (effect: Effect.Effect<Response, RtspError>) => void
}

const defaultTimeout = Duration.seconds(5)

/** Timed-out requests to remember, so that a late response is not matched to another request. */
const maxAbandoned = 64

/** The most unsent bytes of responses to a peer that sends requests but does not read, in bytes. */
const maxUnsentAnswers = 262_144

/** The quoted part of a response that is not RTSP, in bytes. */
const maxQuoted = 40

/** The quoted part of a reason phrase, in characters. */
const maxReasonPhrase = 200

/** Describes a response that is not RTSP, quoting its first line if it is text. */
const notRtsp = (beginning: string, secrets: ReadonlyArray<string>): string => {
  const [line = ""] = beginning.trim().split(/[\r\n]/, 1)
  const quoted = oneLine(redact(line, secrets)).slice(0, maxQuoted)
  return /^[\x20-\x7e]{4,}$/.test(quoted)
    ? `not RTSP: the response begins with ${JSON.stringify(quoted)}`
    : "not RTSP: unexpected binary data"
}

const fail = (reason: RtspReason) => Effect.fail(new RtspError({ reason }))

export const isSuccess = (response: Response): boolean =>
  response.status >= 200 && response.status < 300

/** A connection, made by {@link make}. The scope of `make` owns the socket. */
export class Connection {
  /** Bytes received. */
  received = 0
  /** Bytes of garbage received. */
  garbage = 0
  /** Reads of all connections that relay, over this thread. */
  static relayReads = 0
  /** Whether the received data belongs to a running relay, so that no request waits for it. */
  isRelaying = false
  /** Masked in all text from the peer. */
  readonly secrets: ReadonlyArray<string>
  readonly #options: ConnectionOptions
  readonly #authenticator: Authenticator
  readonly #framer: Framer
  readonly #waste: WasteBudget
  readonly #pending = new Map<number, Pending>()
  readonly #abandoned = new Set<number>()
  #socket: Socket | undefined
  #handler: FrameHandler | undefined
  #lastExchange = 0
  /**
   * The failure of pending requests once the connection is closed. Created on demand: often no request is pending.
   */
  #failure: (() => Effect.Effect<never, RtspError>) | undefined
  /** The subscribers of {@link closed}. */
  readonly #waiting = new Set<(effect: Effect.Effect<never, RtspError>) => void>()
  /** The first bytes from the peer, for the error if they are not RTSP. */
  #beginning = ""
  /** Whether a frame or a message arrived. */
  #understood = false
  #streaming = false

  constructor(
    { credentials, refusesBasic, secrets = [] }: Peer,
    options: ConnectionOptions,
    clock: Clock.Clock
  ) {
    this.secrets = secrets
    this.#options = options
    this.#authenticator = new Authenticator(credentials, secrets, refusesBasic)
    this.#waste = new WasteBudget(clock)
    this.#framer = new Framer({
      frames: (bytes, start, end, reused) => {
        this.#understood = true
        this.#waste.refill(end - start)
        this.#handler?.frames(bytes, start, end, reused)
      },
      message: (message) => this.#onMessage(message),
      blank: (bytes) => this.#spend(bytes),
      skipped: (bytes, fault) => this.#onGarbage(bytes, fault?.detail),
      failed: (fault) => this.#end(() => fail(new ProtocolError({ detail: fault.detail })))
    })
  }

  /** Processes received bytes, for the socket that {@link make} opens. */
  readonly receive = (chunk: Buffer, reused: boolean): void => {
    // longer than the quoted part, because a truncated secret would not be masked
    if (this.received === 0) this.#beginning = chunk.toString("latin1", 0, maxQuoted + maxLineBytes)
    this.received += chunk.length
    if (this.isRelaying) Connection.relayReads++
    try {
      this.#framer.push(chunk, reused)
      this.#handler?.flush?.()
    } catch (defect) {
      // an exception would end the process, and with it all other connections
      this.#end(() => Effect.die(defect))
    }
  }

  attach(socket: Socket): void {
    this.#socket = socket
    socket.on("error", ({ code = "unknown" }: NodeJS.ErrnoException) => this.#close(code))
    socket.on("end", () => this.#close())
    socket.on("close", () => this.#close())
    if (socket.destroyed) this.#end(() => fail(new Closed({ phase: "connecting" })))
  }

  #close(code?: string): void {
    const [oldest] = this.#pending.values()
    const phase = phaseOf(oldest?.method)
    this.#end(() => fail(new Closed({ ...phase, ...(code !== undefined && { code }) })))
  }

  #end(failure: () => Effect.Effect<never, RtspError>): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    this.#framer.stop()
    this.#socket?.destroy()
    const unanswered = [...this.#pending.values()].map(({ resume }) => resume)
    this.#pending.clear()
    for (const resume of [...unanswered, ...this.#waiting]) resume(failure())
    this.#waiting.clear()
  }

  /** Closes the connection at once. Pending requests fail with `Closed`. */
  close(): void {
    this.#close()
  }

  /** Whether the connection is closed; {@link closed} has the reason. */
  get isClosed(): boolean {
    return this.#failure !== undefined
  }

  /**
   * Fails with the reason when the connection closes, and never succeeds. A bug while reading is a defect of
   * this effect and of pending requests.
   */
  get closed(): Effect.Effect<never, RtspError> {
    return Effect.callback((resume) => {
      if (this.#failure !== undefined) return resume(this.#failure())
      this.#waiting.add(resume)
      return Effect.sync(() => this.#waiting.delete(resume))
    })
  }

  #describeGarbage(): string {
    return notRtsp(this.#understood ? "" : this.#beginning, this.secrets)
  }

  #onGarbage(bytes: number, fault: string | undefined): void {
    this.garbage += bytes
    // garbage between frames is skipped; before the first frame, garbage stands in for a response and is an error
    if (this.#streaming || (fault === undefined && this.#understood)) return this.#spend(bytes)
    this.#end(() => fail(new ProtocolError({ detail: fault ?? this.#describeGarbage() })))
  }

  /** Counts useless bytes, and closes a connection with too many of them. */
  #spend(bytes: number): void {
    if (!this.#waste.spend(bytes)) return
    const detail = "too many messages or bytes that are neither media nor responses"
    this.#end(() => fail(new ProtocolError({ detail })))
  }

  #onMessage(message: Message): void {
    this.#understood = true
    if (message._tag === "Request") {
      this.#spend(messageBytes)
      return this.#onRequest(message)
    }
    const exchange = message.status < 200 ? undefined : this.#exchangeOf(message)
    const pending = exchange === undefined ? undefined : this.#pending.get(exchange)
    if (exchange === undefined || pending === undefined) return this.#spend(messageBytes)
    this.#pending.delete(exchange)
    pending.resume(Effect.succeed(message))
  }

  /** The request that a response belongs to: by `CSeq`, or else the oldest pending request. */
  #exchangeOf(response: Response): number | undefined {
    const number = cseq(response)
    if (number !== undefined) {
      if (this.#pending.has(number)) return number
      if (this.#abandoned.delete(number)) return undefined
    }
    const [oldest] = this.#pending.keys()
    return oldest
  }

  #onRequest(request: Request): void {
    if (this.#options.answersRequests === false || this.unsent > maxUnsentAnswers) return
    const known = /^(?:OPTIONS|[GS]ET_PARAMETER)$/.test(request.method)
    const status = known ? 200 : 501
    const number = cseq(request)
    const headers: Array<readonly [string, string]> = []
    if (number !== undefined) headers.push(["CSeq", String(number)])
    if (request.method === "OPTIONS") {
      headers.push(["Public", "OPTIONS, GET_PARAMETER, SET_PARAMETER"])
    }
    this.write(render({ _tag: "Response", status, reason: phrase(status), headers, body: noBody }))
  }

  /**
   * Sends a request and returns the response with any status. Responds to a 401 where possible, otherwise fails
   * with `Unauthorized`.
   */
  exchange(options: RequestOptions): Effect.Effect<Response, RtspError> {
    const timeout = options.timeout ?? this.#options.requestTimeout ?? defaultTimeout
    return Deadline.use(
      timeout,
      (deadline) => this.#authorized(options, deadline),
      options.deadline
    )
  }

  /** @param attempt 1 without a response to a challenge, 2 with a response, 3 with a response to another nonce. */
  #authorized(
    options: RequestOptions,
    deadline: Deadline.Deadline,
    attempt = 1
  ): Effect.Effect<Response, RtspError> {
    const authorization = this.#authenticator.authorize(options.method, options.uri)
    return Effect.flatMap(this.#send(options, authorization, deadline), (response) => {
      if (response.status !== 401) {
        if (authorization !== undefined) this.#authenticator.onAccepted()
        return Effect.succeed(response)
      }
      const final = this.#authenticator.onRefused(response, authorization !== undefined)
      if (final !== undefined) return fail(final)
      // a nonce that is stale at once is a rejection, and may lock the account
      if (attempt === 3) return fail(this.#authenticator.refuse())
      return this.#authorized(options, deadline, attempt + 1)
    })
  }

  /** Sends a request; a response other than 2xx fails with `Rejected`. */
  request(options: RequestOptions): Effect.Effect<Response, RtspError> {
    return Effect.filterOrFail(this.exchange(options), isSuccess, (response) =>
      this.refusal(options.method, response)
    )
  }

  /** The error for a response other than 2xx. */
  refusal(request: Method, { reason, status }: Response): RtspError {
    const shown = oneLine(redact(text(reason) || phrase(status), this.secrets))
    const detail = shown.slice(0, maxReasonPhrase)
    return new RtspError({ reason: new Rejected({ status, detail, request }) })
  }

  #send(
    options: RequestOptions,
    authorization: string | undefined,
    deadline: Deadline.Deadline
  ): Effect.Effect<Response, RtspError> {
    let garbage = 0
    const response = Deadline.callback(
      deadline,
      (resume: Pending["resume"]) => {
        garbage = this.garbage
        return this.#writeRequest(options, authorization, resume)
      },
      (afterMs) =>
        // garbage arrived instead of a response, or nothing at all
        fail(
          this.garbage > garbage
            ? new ProtocolError({ detail: this.#describeGarbage() })
            : new TimedOut({ ...phaseOf(options.method), afterMs })
        )
    )
    return response.pipe(
      Effect.tap(({ status }) =>
        Effect.annotateCurrentSpan("result", `${status} ${phrase(status)}`.trim())
      ),
      Effect.withSpan("Rtsp.request", {
        attributes: { method: options.method, authenticated: authorization !== undefined }
      })
    )
  }

  /** Writes a request; returns the effect that abandons its response. */
  #writeRequest(
    options: RequestOptions,
    authorization: string | undefined,
    resume: Pending["resume"]
  ): Effect.Effect<void> | void {
    if (this.#failure !== undefined) return resume(this.#failure())
    const exchange = ++this.#lastExchange
    const headers: Array<readonly [string, string]> = [
      ["CSeq", String(exchange)],
      ["User-Agent", this.#options.userAgent ?? "restream"],
      ...(options.headers ?? [])
    ]
    if (authorization !== undefined) headers.push(["Authorization", authorization])
    this.#pending.set(exchange, { method: options.method, resume })
    const { body = noBody, method, uri } = options
    this.write(render({ _tag: "Request", method, uri, headers, body }))
    return Effect.sync(() => this.#abandon(exchange))
  }

  #abandon(exchange: number): void {
    if (!this.#pending.delete(exchange)) return
    this.#abandoned.add(exchange)
    const [oldest] = this.#abandoned
    if (this.#abandoned.size > maxAbandoned && oldest !== undefined) this.#abandoned.delete(oldest)
  }

  /**
   * Passes frames to a handler from now on; without a handler, frames are dropped. After the first handler,
   * garbage between frames is skipped instead of ending the connection.
   */
  setFrameHandler(handler: FrameHandler | undefined): void {
    this.#handler = handler
    if (handler !== undefined) this.#streaming = true
  }

  /** Stops reading until {@link resume}, including responses. */
  pause(): void {
    this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  /**
   * Sends bytes as they are. The memory must not change until it is sent: copy `reused` memory first.
   *
   * @returns `false` above the socket's high-water mark; see {@link unsent} and {@link onDrain}.
   */
  write(bytes: Uint8Array): boolean {
    const socket = this.#socket
    return socket !== undefined && !socket.destroyed && socket.write(bytes)
  }

  /**
   * Sends the first bytes of a pooled buffer, and releases the buffer once they are sent. Behind a long queue the
   * bytes are copied, so that the buffer is released at once.
   */
  writePiece(piece: SendPool.Piece, length: number): boolean {
    const socket = this.#socket
    const bytes = piece.buffer.subarray(0, length)
    if (socket === undefined || socket.destroyed) {
      piece.release()
      return false
    }
    if (socket.writableLength <= SendPool.pieceBytes) return socket.write(bytes, piece.release)
    const isRoom = socket.write(Buffer.from(bytes))
    piece.release()
    return isRoom
  }

  /** Bytes waiting to be sent. */
  get unsent(): number {
    return this.#socket?.writableLength ?? 0
  }

  /** Calls back whenever all waiting bytes are sent. Returns a function to unsubscribe. */
  onDrain(callback: () => void): () => void {
    this.#socket?.on("drain", callback)
    return () => this.#socket?.off("drain", callback)
  }
}

/**
 * Opens a connection. The scope owns the socket: closing the scope, or interruption, closes it at once.
 *
 * @param deadline ends the opening even before `connectTimeout`.
 */
export const make = (
  peer: Peer,
  options: ConnectionOptions = {},
  deadline?: Deadline.Deadline
): Effect.Effect<Connection, RtspError, Scope.Scope> =>
  Deadline.use(
    options.connectTimeout ?? defaultTimeout,
    (deadline) => {
      const connection = new Connection(peer, options, deadline.clock)
      const socket = dial({
        host: peer.host,
        port: peer.port,
        tls: peer.tls,
        deadline,
        sharedBuffer: options.sharedBuffer ?? false,
        receive: connection.receive
      })
      return Effect.map(socket, (socket) => {
        connection.attach(socket)
        return connection
      })
    },
    deadline
  )

/**
 * The endpoint of an `rtsp` or `rtsps` URL, with its credentials.
 *
 * @param trust for `rtsps`. Default: verify the certificate by host name.
 */
export const endpointOf = (url: StreamUrl, trust: Trust = { _tag: "Verify" }): Peer => ({
  host: url.host,
  port: url.effectivePort,
  credentials: url.credentials,
  secrets: url.secrets,
  tls: url.scheme === "rtsps" ? trust : undefined
})
