/** One connection to the server: its requests, its session, and its quirks. */
import type { Socket } from "node:net"
import * as Result from "effect/Result"
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import { Framer } from "../../rtsp/interleaved/Framer.ts"
import {
  cseq,
  header,
  type Message,
  phrase,
  render,
  type Request
} from "../../rtsp/message/Message.ts"
import * as Codec from "../../rtsp/codec/Codec.ts"
import type * as Sdp from "../../rtsp/sdp/Sdp.ts"
import { methods } from "../../rtsp/message/Method.ts"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"
import * as SessionHeader from "../../rtsp/message/SessionHeader.ts"
import * as Transport from "../../rtsp/message/Transport.ts"
import { readAnnouncement } from "./AnnounceRules.ts"
import type { ServerResponse } from "./ServerResponse.ts"
import { type PathManager, withoutQuery } from "./PathManager.ts"
import { alwaysDescribed, describe } from "./Describe.ts"
import { ServerAuth } from "./ServerAuth.ts"
import { ServerStream } from "./ServerStream.ts"
import { garbage, optionsRequest, strayFrames } from "./Faults.ts"
import type { Quirks } from "./Quirks.ts"
import { Reader } from "./Reader.ts"
import { receiverReports } from "./Reports.ts"
import { makeSession, names, pathOf, type Session, setup, trackSuffix } from "./ServerSession.ts"
import type { SessionSlots } from "./SessionSlots.ts"
import type { Timers } from "./Timers.ts"

export interface ServerConnectionOptions {
  readonly id: number
  readonly socket: Socket
  readonly paths: PathManager
  readonly timers: Timers
  readonly slots: SessionSlots
  readonly readerBufferBytes: number
  /** Responds to sender reports of publishers with receiver reports, as media servers do. */
  readonly reportsToPublishers: boolean
  readonly onClose: () => void
}

/** The codecs of a description, in the order of its media. */
const codecsOf = ({ medias }: Sdp.SessionDescription): string =>
  medias
    .flatMap(({ formats: [format] }) =>
      format === undefined ? [] : [Codec.nameOf(Codec.withStaticType(format))]
    )
    .join(" ")

/** The most unsent bytes per client besides frames. */
const maxUnreadResponses = 8_388_608

export class ServerConnection {
  readonly #options: ServerConnectionOptions
  readonly #framer: Framer
  readonly #auth: ServerAuth
  #session: Session | undefined
  #userAgent: string | undefined
  #lastPath: string | undefined
  #ended = false
  #tornDown = false
  /** Whether the client has sent OPTIONS. */
  #hasReceivedOptions = false
  #cancelTimeout: () => void = () => {}
  #cancelFreeze: () => void = () => {}

  constructor(options: ServerConnectionOptions) {
    this.#options = options
    const { paths, id, socket } = options
    this.#auth = new ServerAuth(paths)
    this.#framer = new Framer({
      frames: (bytes, start, end) => this.#onFrames(bytes, start, end),
      message: (message) => this.#onMessage(message),
      skipped: () => {
        // the first request of a client that does not speak RTSP ends the connection
        if (this.#session === undefined) this.#reject("not RTSP")
      },
      failed: () => this.#reject("not RTSP")
    })
    socket.setNoDelay(true)
    socket.on("data", (chunk: Buffer) => this.#framer.push(chunk))
    socket.on("error", (error: NodeJS.ErrnoException) => this.end(error.code ?? "error"))
    socket.on("close", () => this.end("closed by the client"))
    paths.emit({ _tag: "Connected", connection: id })
  }

  /** Closes the connection and ends its session. */
  end(why: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#framer.stop()
    const session = this.#session
    this.#options.slots.leaveStart(this.#options.id)
    this.#endSession(why)
    this.#options.socket.destroy()
    this.#options.paths.emit({
      _tag: "Ended",
      connection: this.#options.id,
      path: session?.path,
      was: session?.role,
      why,
      tornDown: this.#tornDown
    })
    this.#options.onClose()
  }

  #endSession(why: string): void {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    const { slots } = this.#options
    if (this.#tornDown) slots.free(session.id)
    else slots.lose(session.id)
    this.#cancelTimeout()
    this.#cancelFreeze()
    const { reader, stream } = session
    if (reader !== undefined) {
      stream?.readers.delete(reader)
      this.#options.paths.removeReader(session.path, reader)
    } else if (session.role === "publisher" && stream !== undefined) {
      this.#options.paths.release(stream, why)
    }
  }

  #reject(why: string): void {
    this.#write({ status: 400 }, undefined, {})
    this.#endSoon(why)
  }

  /** Closes the connection once all written bytes are sent. */
  #endSoon(why: string): void {
    this.#framer.stop()
    this.#options.socket.end(() => this.end(why))
    // do not wait longer for a client that does not read
    this.#options.timers.after("5 seconds", () => this.end(why))
  }

  #onFrames(bytes: Buffer, start: number, end: number): void {
    const session = this.#session
    if (session?.role === "publisher") {
      // gortsplib, `server_conn_reader.go`: no frames before RECORD
      if (session.stream === undefined) return this.end("frame before RECORD")
      if (this.#options.reportsToPublishers) {
        for (const report of receiverReports(bytes, start, end)) this.#options.socket.write(report)
      }
      session.stream.push(bytes, start, end)
      return
    }
    const reader = session?.reader
    if (reader === undefined) return
    for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
      if (Rtcp.isRtcp(bytes, InterleavedFrame.packetStart(at), InterleavedFrame.end(bytes, at)))
        reader.reports++
    }
  }

  #onMessage(message: Message): void {
    if (message._tag === "Response") {
      // gortsplib, `server_conn_reader.go`: no responses from clients
      if (this.#session?.role === "publisher") return this.end("response from a publisher")
      const { id, paths } = this.#options
      return paths.emit({ _tag: "ResponseReceived", connection: id, status: message.status })
    }
    const agent = header(message, "user-agent")
    this.#userAgent = agent ?? this.#userAgent
    const path = this.#pathFor(message)
    this.#lastPath = path
    const quirks = this.#options.paths.settings(path).quirks ?? {}
    const delay = quirks.delays?.[message.method as keyof typeof quirks.delays]
    if (delay === undefined) return this.#onRequest(message, path, quirks)
    this.#options.timers.after(delay, () => {
      if (!this.#ended) this.#onRequest(message, path, quirks)
    })
  }

  #onRequest(message: Request, path: string, quirks: Quirks): void {
    const agent = header(message, "user-agent")
    const response = this.#respond(message, path, quirks)
    this.#options.paths.emit({
      _tag: "Request",
      connection: this.#options.id,
      method: message.method,
      path,
      status: typeof response === "string" ? undefined : response.status,
      userAgent: agent,
      headers: message.headers.filter(([name]) => name.toLowerCase() !== "authorization")
    })
    if (response === "silence") return
    if (response === "close") return this.end("closed on purpose")
    if (response === "garbage") {
      this.#options.socket.write(garbage)
      return
    }
    if (quirks.strayFrames === true) this.#options.socket.write(strayFrames())
    this.#write(response, message, quirks)
    this.#afterResponse(message, response, quirks)
    this.#restartTimeout()
  }

  /** The path of a request. Requests of a session name it in many ways. */
  #pathFor(request: Request): string {
    const path = pathOf(request.uri)
    if (
      this.#session !== undefined &&
      request.method !== "ANNOUNCE" &&
      request.method !== "DESCRIBE"
    ) {
      return this.#session.path
    }
    // keep-alives name any URL
    if (path === "" || path === "*") return this.#lastPath ?? path
    return request.method === "SETUP" ? path.replace(trackSuffix, "") : path
  }

  #respond(
    request: Request,
    path: string,
    quirks: Quirks
  ): ServerResponse | "silence" | "close" | "garbage" {
    const method = request.method
    if (quirks.silentAt === method) return "silence"
    if (quirks.closeAt === method) return "close"
    if (quirks.garbageAt === method) return "garbage"
    if (cseq(request) === undefined) return { status: 400, close: "request without CSeq" }
    if (!methods.some((known) => known === method)) return { status: 501 }
    const publishes =
      method === "ANNOUNCE" || method === "RECORD" || this.#session?.role === "publisher"
    const full =
      publishes || this.#session !== undefined
        ? undefined
        : this.#options.slots.rejection(method, this.#options.id)
    const rejection = this.#auth.authorize(
      request,
      path,
      publishes ? "publish" : "read",
      quirks,
      full === 401
    )
    if (rejection !== undefined) return rejection
    if (full !== undefined) return { status: full }
    const status = quirks.rejectWith?.[method as keyof typeof quirks.rejectWith]
    if (status !== undefined) return { status }
    switch (method) {
      case "OPTIONS":
        this.#hasReceivedOptions = true
        return {
          status: 200,
          headers: [["Public", (quirks.publicMethods ?? methods).join(", ")]]
        }
      case "DESCRIBE":
        if (quirks.requiresOptions === true && !this.#hasReceivedOptions) return { status: 455 }
        return describe(request, this.#options.paths.streamFor(path), quirks)
      case "ANNOUNCE":
        return this.#announce(request, path, quirks)
      case "SETUP":
        return this.#setup(request, path, quirks)
      case "PLAY":
        return this.#play(request, quirks)
      case "RECORD":
        return this.#record(path, quirks)
      case "PAUSE":
        return this.#pause()
      case "TEARDOWN":
        return this.#teardown(request, quirks)
      default:
        return { status: 200 }
    }
  }

  #setup(request: Request, path: string, quirks: Quirks): ServerResponse {
    const offered = Transport.parse(header(request, "transport") ?? "")
    if (offered.length === 0) return { status: 400, close: "SETUP without a transport" }
    const transport = offered.find(({ lower }) => lower === "TCP")
    if (transport === undefined || quirks.udpOnly === true) return { status: 461 }
    const session = this.#session ?? this.#beginReading(path, quirks)
    if (session === undefined) return { status: 404 }
    const response = setup(session, request, transport, quirks)
    if (response.status === 200) {
      this.#session = session
      this.#options.slots.hold(session.id)
    }
    return response
  }

  #announce(request: Request, path: string, quirks: Quirks): ServerResponse {
    if (this.#session !== undefined) return { status: 400, close: "ANNOUNCE within a session" }
    const read = readAnnouncement(request)
    if (Result.isFailure(read)) return { status: 400, close: read.failure }
    if (quirks.rejectsAudio === true && read.success.medias.some(({ kind }) => kind === "audio")) {
      return { status: 400, close: "audio is rejected" }
    }
    this.#session = makeSession({
      role: "publisher",
      path: withoutQuery(path),
      quirks,
      description: read.success,
      url: request.uri,
      stream: undefined
    })
    return { status: 200 }
  }

  #beginReading(path: string, quirks: Quirks): Session | undefined {
    const stream = this.#options.paths.streamFor(path)
    if (stream === undefined) return undefined
    const { description } = stream
    return makeSession({ role: "reader", path, quirks, description, url: "", stream })
  }

  #play(request: Request, quirks: Quirks): ServerResponse {
    const session = this.#session
    if (session === undefined || session.role !== "reader" || session.channels.size === 0) {
      return { status: 455 }
    }
    if (!names(session, request)) return { status: 454 }
    if (quirks.requiresRange === true && header(request, "range") === undefined) {
      return { status: 457 }
    }
    if (session.stream !== this.#options.paths.streamFor(session.path)) return { status: 404 }
    return { status: 200, headers: [["Session", session.id]] }
  }

  #record(path: string, quirks: Quirks): ServerResponse {
    const session = this.#session
    if (session?.role !== "publisher" || session.stream !== undefined) {
      return { status: 400, close: "RECORD out of order" }
    }
    if (session.channels.size !== session.description.medias.length) {
      return { status: 400, close: "not every announced media is set up" }
    }
    const expected = alwaysDescribed(quirks)
    if (expected !== undefined && codecsOf(expected) !== codecsOf(session.description)) {
      return { status: 400, close: "the path expects other tracks" }
    }
    const { paths, id } = this.#options
    const stream = new ServerStream({
      path: session.path,
      connection: id,
      description: session.description,
      channels: session.description.medias.map((_, track) => session.channels.get(track)?.[0] ?? 0),
      kick: (why) => this.end(why),
      onFrames: (frames, bytes) => paths.onFrames(path, frames, bytes)
    })
    session.stream = stream
    if (!paths.claim(stream)) {
      session.stream = undefined
      return { status: 400, close: "the path already has a publisher" }
    }
    return { status: 200, headers: [["Session", session.id]] }
  }

  #pause(): ServerResponse {
    const session = this.#session
    if (session?.reader === undefined) return { status: 455 }
    this.#stopReader(session)
    return { status: 200, headers: [["Session", session.id]] }
  }

  #stopReader(session: Session): void {
    const { reader } = session
    if (reader === undefined) return
    session.stream?.readers.delete(reader)
    this.#options.paths.removeReader(session.path, reader)
    session.reader = undefined
  }

  #teardown(request: Request, quirks: Quirks): ServerResponse {
    const session = this.#session
    if (session === undefined) {
      const id = SessionHeader.parse(header(request, "session") ?? "")?.id ?? ""
      return { status: this.#options.slots.endKept(id) ? 200 : 454 }
    }
    this.#tornDown = true
    if (quirks.goesOnAfterTeardown === true && session.reader !== undefined) {
      session.reader.stray = true
      return { status: 200, headers: [["Session", session.id]] }
    }
    this.#endSession("torn down")
    this.#options.paths.emit({
      _tag: "Ended",
      connection: this.#options.id,
      path: session.path,
      was: session.role,
      why: "torn down",
      tornDown: true
    })
    return { status: 200, headers: [["Session", session.id]] }
  }

  /** The actions after the response, such as sending the first frames. */
  #afterResponse(request: Request, response: ServerResponse, quirks: Quirks): void {
    if (response.close !== undefined) return this.#endSoon(response.close)
    if (response.status !== 200) return
    if (request.method === "SETUP" && quirks.closeAfterSetup === true) {
      return this.#endSoon("closed on purpose")
    }
    const session = this.#session
    if (request.method === "PLAY" && session !== undefined && session.reader === undefined) {
      this.#startReader(session, quirks)
    }
    const begins = request.method === "PLAY" || request.method === "RECORD"
    if (begins && quirks.sendsOptions === true) this.#options.socket.write(optionsRequest())
  }

  #startReader(session: Session, quirks: Quirks): void {
    const { paths, id, readerBufferBytes, socket, timers } = this.#options
    const { path, stream } = session
    if (stream === undefined) return
    this.#options.slots.leaveStart(id)
    const reader = new Reader({
      connection: id,
      socket,
      stream,
      channels: session.channels,
      bufferBytes: readerBufferBytes,
      closeMidFrame: quirks.closeMidFrame,
      garbageEvery: quirks.garbageEvery,
      frozen: () => paths.frozen(path),
      onEnd: (why) => this.end(why)
    })
    session.reader = reader
    stream.readers.add(reader)
    paths.addReader(path, reader)
    const { freeze } = quirks
    if (freeze !== undefined) {
      this.#cancelFreeze()
      this.#cancelFreeze = timers.after(freeze.after, () => paths.freeze(path, freeze.tracks))
    }
  }

  #restartTimeout(): void {
    this.#cancelTimeout()
    const quirks = this.#session?.quirks
    if (quirks?.enforcesTimeout !== true) return
    const seconds = quirks.sessionTimeoutSeconds ?? SessionHeader.defaultTimeoutSeconds
    this.#cancelTimeout = this.#options.timers.after(`${seconds} seconds`, () =>
      this.end("the session timed out")
    )
  }

  #write(response: ServerResponse, request: Request | undefined, quirks: Quirks): void {
    const headers: Array<readonly [string, string]> = []
    const exchange = request === undefined ? undefined : cseq(request)
    if (exchange !== undefined && quirks.cseq !== "missing") {
      headers.push([quirks.cseq === "lowerCase" ? "cseq" : "CSeq", String(exchange)])
    }
    headers.push(["Server", "restream"], ...(response.headers ?? []))
    const body = Buffer.from(response.body ?? "", "utf8")
    if (this.#options.socket.writableLength > maxUnreadResponses) {
      return this.end("the client does not read responses")
    }
    this.#options.socket.write(
      render({
        _tag: "Response",
        status: response.status,
        reason: phrase(response.status),
        headers,
        body
      })
    )
  }
}
