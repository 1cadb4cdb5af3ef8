/**
 * A connection to an RTSP server, a camera or a media server: requests and their answers, and frames.
 *
 * Requests are effects; frames are not. They go to a synchronous handler where they lie, with no object
 * for each packet, so that one process can relay hundreds of cameras.
 */
import type { Socket } from "node:net"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Closed, ProtocolError, Rejected, TimedOut } from "../../camera/Reason.ts"
import { oneLine, redact } from "../../camera/Redaction.ts"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import * as Deadline from "../../time/Deadline.ts"
import type { Credentials } from "../auth/Authentication.ts"
import { Framer, type FramerHandlers } from "../interleaved/Framer.ts"
import {
  cseq,
  type Headers,
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
import { dial, type DialOptions, type Endpoint, type Trust } from "./Dialer.ts"
import { phaseOf, type RtspReason, RtspError } from "./RtspError.ts"

/** Who is at the other end. */
export interface Peer extends Endpoint {
  readonly credentials?: Credentials | undefined
}

export interface ConnectionOptions {
  /** Some cameras refuse a client without one. Default `restream`. */
  readonly userAgent?: string | undefined
  /** For finding the address, connecting, and TLS together. Default 5 s. */
  readonly connectTimeout?: Duration.Input | undefined
  /** For each request with its answer, the password's detour included. Default 5 s. */
  readonly requestTimeout?: Duration.Input | undefined
  /**
   * Reads into memory that all such connections share; frames are `reused` then. Default false. With TLS it
   * has no effect.
   */
  readonly sharedBuffer?: boolean | undefined
  /**
   * Answers requests that come from the other side, as cameras expect. Default true. Off for publishers:
   * a media server closes the connection at any response.
   */
  readonly answersRequests?: boolean | undefined
  /** Finds the addresses of a name. Default: the system's way. */
  readonly resolve?: DialOptions["resolve"]
}

export interface RequestOptions {
  readonly method: Method
  /** Without user-info. */
  readonly uri: string
  readonly headers?: Headers | undefined
  readonly body?: Uint8Array | undefined
  /** Default: the connection's. */
  readonly timeout?: Duration.Input | undefined
  /** Ends the request if it is over before the timeout. */
  readonly deadline?: Deadline.Deadline | undefined
}

/** Takes the frames of a connection. Both calls are synchronous; a throw in them ends the connection. */
export interface FrameHandler {
  /**
   * Whole frames in `bytes[start, end)`, one after the other, see `Framer`. They may be changed in place;
   * with `reused` they hold good during the call only.
   */
  readonly frames: FramerHandlers["frames"]
  /** All frames that came at once were handed out: the moment for one write of what was gathered. */
  readonly flush?: (() => void) | undefined
}

interface Pending {
  readonly method: Method
  readonly resume: (effect: Effect.Effect<Response, RtspError>) => void
}

const defaultTimeout = Duration.seconds(5)

/** How many requests without an answer are remembered, so that a late answer is not taken for another's. */
const maxAbandoned = 64

/** What waits to be sent when the other side asks and asks and takes nothing, in bytes. */
const maxUnsentAnswers = 262_144

/** How much of a response that is not RTSP goes into the error, in bytes. */
const maxQuoted = 40

/** Says what a peer sent that is not RTSP, with its beginning if it is text. */
const notRtsp = (beginning: string): string => {
  const quoted = oneLine(redact(beginning.trim()))
  return /^[\x20-\x7e]{4,}$/.test(quoted)
    ? `not RTSP: the response begins with ${JSON.stringify(quoted)}`
    : "not RTSP: unexpected binary data"
}

const fail = (reason: RtspReason) => Effect.fail(new RtspError({ reason }))

/** What a server said to a status, for people. */
const detailOf = (response: Response): string =>
  oneLine(redact(text(response.reason.slice(0, 2_000)) || phrase(response.status))).slice(0, 200)

/** The error that an answer other than 2xx stands for. */
export const refusal = (method: Method, response: Response): RtspError =>
  new RtspError({
    reason: new Rejected({ status: response.status, detail: detailOf(response), request: method })
  })

export const isSuccess = (response: Response): boolean =>
  response.status >= 200 && response.status < 300

/** A connection. Make one with {@link make}; its scope owns the socket. */
export class Connection {
  /** Bytes that came in so far. */
  received = 0
  /** Bytes that made no sense so far. */
  garbage = 0
  readonly #options: ConnectionOptions
  readonly #authenticator: Authenticator
  readonly #framer: Framer
  readonly #pending = new Map<number, Pending>()
  readonly #abandoned = new Set<number>()
  #socket: Socket | undefined
  #handler: FrameHandler | undefined
  #lastExchange = 0
  /** What those get who wait, when the connection is gone. Made when somebody asks: often nobody does. */
  #failure: (() => Effect.Effect<never, RtspError>) | undefined
  /** Who waits for the end. */
  readonly #waiting = new Set<(effect: Effect.Effect<never, RtspError>) => void>()
  /** The first bytes from the peer, for the error if they are not RTSP. */
  #beginning = ""
  /** Whether a frame or a message arrived. */
  #understood = false
  #streaming = false

  constructor({ credentials }: Peer, options: ConnectionOptions) {
    this.#options = options
    this.#authenticator = new Authenticator(credentials)
    this.#framer = new Framer({
      frames: (bytes, start, end, reused) => {
        this.#understood = true
        this.#handler?.frames(bytes, start, end, reused)
      },
      message: (message) => this.#onMessage(message),
      skipped: (bytes, fault) => this.#onGarbage(bytes, fault?.detail),
      failed: (fault) => this.#end(() => fail(new ProtocolError({ detail: fault.detail })))
    })
  }

  /** Takes what comes in; for the socket that {@link make} opens. */
  readonly receive = (chunk: Buffer, reused: boolean): void => {
    if (this.received === 0) this.#beginning = chunk.toString("latin1", 0, maxQuoted)
    this.received += chunk.length
    try {
      this.#framer.push(chunk, reused)
      this.#handler?.flush?.()
    } catch (defect) {
      // thrown on, it would end the process and with it all other connections
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
    const left = [...this.#pending.values()].map(({ resume }) => resume)
    this.#pending.clear()
    for (const resume of [...left, ...this.#waiting]) resume(failure())
    this.#waiting.clear()
  }

  /** Closes it at once. Whoever waits for an answer gets `Closed`. */
  close(): void {
    this.#close()
  }

  /** Whether the connection is gone; {@link closed} has the reason. */
  get isClosed(): boolean {
    return this.#failure !== undefined
  }

  /**
   * Fails when the connection is gone, with the reason. It never succeeds. A fault of ours while reading is a
   * defect of whoever waits here or for an answer.
   */
  get closed(): Effect.Effect<never, RtspError> {
    return Effect.callback((resume) => {
      if (this.#failure !== undefined) return resume(this.#failure())
      this.#waiting.add(resume)
      return Effect.sync(() => this.#waiting.delete(resume))
    })
  }

  #describeGarbage(): string {
    return notRtsp(this.#understood ? "" : this.#beginning)
  }

  #onGarbage(bytes: number, fault: string | undefined): void {
    this.garbage += bytes
    // among frames it is passed over; before any of them it is the answer, or stands in its place
    if (this.#streaming || (fault === undefined && this.#understood)) return
    this.#end(() => fail(new ProtocolError({ detail: fault ?? this.#describeGarbage() })))
  }

  #onMessage(message: Message): void {
    this.#understood = true
    if (message._tag === "Request") return this.#onRequest(message)
    if (message.status < 200) return
    const exchange = this.#exchangeOf(message)
    const pending = exchange === undefined ? undefined : this.#pending.get(exchange)
    if (exchange === undefined || pending === undefined) return
    this.#pending.delete(exchange)
    pending.resume(Effect.succeed(message))
  }

  /** Which exchange an answer belongs to: by its number, or else the oldest that waits. */
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
   * Sends a request and gives the answer, whatever its status. A 401 is answered where that can help;
   * `Unauthorized` is the failure when it can't.
   */
  exchange(options: RequestOptions): Effect.Effect<Response, RtspError> {
    const timeout = options.timeout ?? this.#options.requestTimeout ?? defaultTimeout
    return Deadline.use(
      timeout,
      (deadline) => this.#authorized(options, deadline),
      options.deadline
    )
  }

  /** @param attempt 1 without an answer to a challenge, 2 with one, 3 with one to another nonce. */
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
      // too old as soon as it is given: that is as good as a refusal, and may lock the account as well
      if (attempt === 3) return fail(this.#authenticator.refuse())
      return this.#authorized(options, deadline, attempt + 1)
    })
  }

  /** Sends a request; any answer but 2xx is a failure with `Status`. */
  request(options: RequestOptions): Effect.Effect<Response, RtspError> {
    return Effect.filterOrFail(this.exchange(options), isSuccess, (response) =>
      refusal(options.method, response)
    )
  }

  #send(
    options: RequestOptions,
    authorization: string | undefined,
    deadline: Deadline.Deadline
  ): Effect.Effect<Response, RtspError> {
    let garbage = 0
    return Deadline.callback(
      deadline,
      (resume: Pending["resume"]) => {
        garbage = this.garbage
        return this.#ask(options, authorization, resume)
      },
      (afterMs) =>
        // why no answer came: what came instead, or nothing at all
        fail(
          this.garbage > garbage
            ? new ProtocolError({ detail: this.#describeGarbage() })
            : new TimedOut({ ...phaseOf(options.method), afterMs })
        )
    )
  }

  /** Writes a request; gives what gives up its answer. */
  #ask(
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
   * Hands the frames from now on to a handler; without one they are dropped. From the first handler on,
   * garbage between frames is passed over instead of ending the connection.
   */
  setFrameHandler(handler: FrameHandler | undefined): void {
    this.#handler = handler
    if (handler !== undefined) this.#streaming = true
  }

  /** Reads no more until {@link resume}; answers don't come in meanwhile either. */
  pause(): void {
    this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  /**
   * Sends bytes as they are. The memory is kept until it is sent: what is `reused` has to be copied first.
   *
   * @returns `false` when more waits to be sent than is good; see {@link unsent} and {@link onDrain}.
   */
  write(bytes: Uint8Array): boolean {
    const socket = this.#socket
    return socket !== undefined && !socket.destroyed && socket.write(bytes)
  }

  /**
   * Sends the first bytes of a piece and gives it back when they are sent. Much of it for few bytes is not
   * kept waiting: behind a long queue they are copied.
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

  /** Bytes that wait to be sent. */
  get unsent(): number {
    return this.#socket?.writableLength ?? 0
  }

  /** Calls back whenever all that waited was sent. Gives a function that takes it back. */
  onDrain(callback: () => void): () => void {
    this.#socket?.on("drain", callback)
    return () => this.#socket?.off("drain", callback)
  }
}

/**
 * Opens a connection. The scope owns it: closing it, or interrupting this, closes the socket at once.
 *
 * @param deadline ends the opening if it is over before `connectTimeout`.
 */
export const make = (
  peer: Peer,
  options: ConnectionOptions = {},
  deadline?: Deadline.Deadline
): Effect.Effect<Connection, RtspError, Scope.Scope> =>
  Deadline.use(
    options.connectTimeout ?? defaultTimeout,
    (deadline) => {
      const connection = new Connection(peer, options)
      const socket = dial({
        host: peer.host,
        port: peer.port,
        tls: peer.tls,
        deadline,
        sharedBuffer: options.sharedBuffer ?? false,
        receive: connection.receive,
        resolve: options.resolve
      })
      return Effect.map(socket, (socket) => {
        connection.attach(socket)
        return connection
      })
    },
    deadline
  )

/**
 * The one that a URL leads to, `rtsp` or `rtsps`, with its credentials.
 *
 * @param trust for `rtsps`. Default: verified by name.
 */
export const endpointOf = (url: StreamUrl, trust: Trust = { _tag: "Verify" }): Peer => ({
  host: url.host,
  port: url.effectivePort,
  credentials: url.credentials,
  tls: url.scheme === "rtsps" ? trust : undefined
})
