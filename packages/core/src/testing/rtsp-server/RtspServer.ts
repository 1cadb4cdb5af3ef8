/**
 * A small RTSP server within the program: publishers and readers on one port, over TCP.
 *
 * It stands in for a media server and for cameras, in tests and in the demo: it accepts what MediaMTX
 * accepts and refuses what MediaMTX refuses, and by path it misbehaves like cameras do, see
 * {@link Quirks}. **It is not a media server for production**: it knows no UDP, no recording and no
 * limits of users, and it forgets everything when it ends.
 *
 * ```ts
 * const server = yield* RtspServer.make({
 *   settings: (path) => (path === "cam7" ? { quirks: { refuse: { PLAY: 503 } } } : undefined)
 * })
 * yield* TestPattern.publish(server, "cam7")
 * const url = server.url("cam7") // rtsp://127.0.0.1:43211/cam7
 * ```
 */
import { createServer, type Server, type Socket } from "node:net"
import { createServer as createTlsServer } from "node:tls"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { bracketed } from "../../camera/Host.ts"
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import * as Sdp from "../../rtsp/sdp/Sdp.ts"
import {
  PathManager,
  type PathSettings,
  type ServerAuthentication,
  withoutQuery
} from "./PathManager.ts"
import { ServerStream } from "./ServerStream.ts"
import type { FrozenTracks } from "./Quirks.ts"
import { ServerConnection } from "./ServerConnection.ts"
import type { PathStatus, ServerEvent } from "./ServerEvent.ts"
import * as Timers from "./Timers.ts"

/** The server could not listen. */
export class ListenFailed extends Schema.TaggedClass<ListenFailed>()("ListenFailed", {
  /** Node's: `EADDRINUSE`, `EACCES`, … */
  code: Schema.String
}) {
  get message(): string {
    return `can't listen: ${this.code}`
  }
}

/** Another publisher keeps the path, and may not be replaced. */
export class PathTaken extends Schema.TaggedClass<PathTaken>()("PathTaken", {
  path: Schema.String
}) {
  get message(): string {
    return `somebody publishes at ${this.path} already`
  }
}

/** The description of a publisher within the program can't be read. */
export class BadDescription extends Schema.TaggedClass<BadDescription>()("BadDescription", {
  detail: Schema.String
}) {
  get message(): string {
    return this.detail
  }
}

export class RtspServerError extends Schema.TaggedError<RtspServerError>()("RtspServerError", {
  reason: Schema.Union([ListenFailed, PathTaken, BadDescription])
}) {
  override get message(): string {
    return this.reason.message
  }
}

export interface RtspServerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  /** Default 0: any free port. */
  readonly port?: number | undefined
  /** Speaks `rtsps` with this certificate and key, both in PEM. Default: plain `rtsp`. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined
  /** For every path that has no own. Default: nobody needs a password. */
  readonly authentication?: ServerAuthentication | undefined
  /** How paths behave. It is asked with the query first (`cam?channel=1`), then without. */
  readonly settings?: ((path: string) => PathSettings | undefined) | undefined
  /**
   * The path whose publisher a reader gets, so that one publisher can serve many cameras. Default: the
   * path itself, without its query.
   */
  readonly resolve?: ((path: string) => string) | undefined
  /** What a second publisher of a path does: replaces the first, silently (default), or gets a 400. */
  readonly overridePublisher?: "replace" | "reject" | undefined
  /** What may wait for a slow reader, in bytes; frames beyond it are dropped. Default 2 MiB. */
  readonly readerBufferBytes?: number | undefined
  /** Answers a publisher's sender reports with receiver reports, as media servers do. Default true. */
  readonly reportsToPublishers?: boolean | undefined
}

/** A publisher within the program. */
export interface LocalPublisher {
  /** Sends one RTP packet of a track, counted from 0. */
  readonly writeRtp: (track: number, packet: Uint8Array) => void
  readonly writeRtcp: (track: number, packet: Uint8Array) => void
  /** Whether it still publishes: another may have taken the path. */
  readonly isPublishing: () => boolean
}

export class RtspServer extends Context.Service<
  RtspServer,
  {
    /** The port that it listens on. */
    readonly port: number
    /** The URL of a path, with its query where it has one; without user-info. */
    readonly url: (path: string) => string
    /** The paths that have seen a publisher or a reader. */
    readonly paths: Effect.Effect<ReadonlyArray<PathStatus>>
    /** A path now; `undefined` for one that has seen nobody. */
    readonly path: (path: string) => Effect.Effect<PathStatus | undefined>
    /** How many connections are open. */
    readonly connections: Effect.Effect<number>
    /** Requests that came with a wrong password. One that comes without any is no failure. */
    readonly authenticationFailures: Effect.Effect<number>
    /** Events from now on. Subscribe before whatever causes them. */
    readonly events: Effect.Effect<PubSub.Subscription<ServerEvent>, never, Scope.Scope>
    /** Done as soon as the path has a publisher. */
    readonly awaitPublisher: (path: string) => Effect.Effect<void>
    /** Done as soon as the path has no publisher. */
    readonly awaitNoPublisher: (path: string) => Effect.Effect<void>
    /** Done as soon as a frame has come from a publisher of the path. */
    readonly awaitPackets: (path: string) => Effect.Effect<void>
    /** Done as soon as exactly so many play the path. */
    readonly awaitReaders: (path: string, count: number) => Effect.Effect<void>
    /** Done as soon as exactly so many connections are open. */
    readonly awaitConnections: (count: number) => Effect.Effect<void>
    /** Closes the connection of the path's publisher; `false` where there is none. */
    readonly kick: (path: string) => Effect.Effect<boolean>
    /** Changes how a path behaves, for requests from now on. */
    readonly configure: (path: string, settings: PathSettings) => Effect.Effect<void>
    /** Holds packets back from the path's readers, while their connections stay. */
    readonly freeze: (path: string, tracks: FrozenTracks) => Effect.Effect<void>
    readonly thaw: (path: string) => Effect.Effect<void>
    /** Publishes from within the program. The scope owns it: closing it ends the stream. */
    readonly publish: (
      path: string,
      sdp: string
    ) => Effect.Effect<LocalPublisher, RtspServerError, Scope.Scope>
  }
>()("@restream/core/rtsp/server/RtspServer") {
  /** Starts a server. The scope owns it: closing it closes every connection. */
  static readonly make = Effect.fnUntraced(function* (
    options: RtspServerOptions = {}
  ): Effect.fn.Return<RtspServer["Service"], RtspServerError, Scope.Scope> {
    const published = yield* PubSub.unbounded<ServerEvent>()
    const timers = yield* Timers.make
    const connections = new Set<ServerConnection>()
    let lastConnection = 0
    const paths = new PathManager({
      overridePublisher: options.overridePublisher ?? "replace",
      authentication: options.authentication,
      settings: options.settings ?? (() => undefined),
      resolve: options.resolve ?? withoutQuery,
      publish: (event) => void PubSub.publishUnsafe(published, event)
    })
    const accept = (socket: Socket) => {
      const connection: ServerConnection = new ServerConnection({
        id: ++lastConnection,
        socket,
        paths,
        timers,
        readerBufferBytes: options.readerBufferBytes ?? 2_097_152,
        reportsToPublishers: options.reportsToPublishers ?? true,
        onClose: () => {
          connections.delete(connection)
          paths.changed()
        }
      })
      connections.add(connection)
      paths.changed()
    }
    const host = options.host ?? "127.0.0.1"
    const { tls } = options
    const server = yield* Effect.acquireRelease(
      listen(
        tls === undefined
          ? createServer(accept)
          : createTlsServer({ cert: tls.certificate, key: tls.key, handshakeTimeout }, accept),
        host,
        options.port ?? 0
      ),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const connection of connections) connection.end("the server ended")
        })
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const scheme = tls === undefined ? "rtsp" : "rtsps"
    const authority = `${bracketed(host)}:${port}`

    const publish = Effect.fnUntraced(function* (
      path: string,
      sdp: string
    ): Effect.fn.Return<LocalPublisher, RtspServerError, Scope.Scope> {
      const description = Sdp.parse(sdp)
      if (Result.isFailure(description)) {
        const { detail } = description.failure
        return yield* new RtspServerError({ reason: new BadDescription({ detail }) })
      }
      let isPublishing = true
      const stream = new ServerStream({
        path,
        connection: 0,
        description: description.success,
        channels: description.success.medias.map((_, track) => 2 * track),
        kick: (why) => {
          if (!isPublishing) return
          isPublishing = false
          paths.release(stream, why)
          paths.emit({
            _tag: "Ended",
            connection: 0,
            path,
            was: "publisher",
            why,
            tornDown: false
          })
        },
        onFrames: (frames, bytes) => paths.onFrames(path, frames, bytes)
      })
      const claimed = yield* Effect.acquireRelease(
        Effect.sync(() => paths.claim(stream)),
        () => Effect.sync(() => stream.kick("the publisher ended"))
      )
      if (!claimed) return yield* new RtspServerError({ reason: new PathTaken({ path }) })
      const write = (channel: number, packet: Uint8Array) => {
        if (!isPublishing) return
        const frame = InterleavedFrame.make(channel, packet)
        stream.push(frame, 0, frame.length)
      }
      return {
        writeRtp: (track, packet) => write(2 * track, packet),
        writeRtcp: (track, packet) => write(2 * track + 1, packet),
        isPublishing: () => isPublishing
      }
    })

    return RtspServer.of({
      port,
      url: (path) => `${scheme}://${authority}/${path}`,
      paths: Effect.sync(() => paths.statuses),
      path: (path) => Effect.sync(() => paths.status(path)),
      connections: Effect.sync(() => connections.size),
      authenticationFailures: Effect.sync(() => paths.authenticationFailures),
      events: PubSub.subscribe(published),
      awaitPublisher: (path) => paths.until(() => paths.status(path)?.publisher !== undefined),
      awaitNoPublisher: (path) => paths.until(() => paths.status(path)?.publisher === undefined),
      awaitPackets: (path) => paths.until(() => (paths.status(path)?.packets ?? 0) > 0),
      awaitReaders: (path, count) =>
        paths.until(() => (paths.status(path)?.readers.length ?? 0) === count),
      awaitConnections: (count) => paths.until(() => connections.size === count),
      kick: (path) => Effect.sync(() => paths.kick(path)),
      configure: (path, settings) => Effect.sync(() => paths.configure(path, settings)),
      freeze: (path, tracks) => Effect.sync(() => paths.freeze(path, tracks)),
      thaw: (path) => Effect.sync(() => paths.freeze(path, undefined)),
      publish
    })
  })

  /** A server as a service. */
  static readonly layer = (
    options: RtspServerOptions = {}
  ): Layer.Layer<RtspServer, RtspServerError> => Layer.effect(RtspServer, RtspServer.make(options))
}

/** How long a client may take over TLS, in milliseconds. The end of the server waits for it, too. */
const handshakeTimeout = 2000

const listen = (
  server: Server,
  host: string,
  port: number
): Effect.Effect<Server, RtspServerError> =>
  Effect.callback((resume) => {
    const onError = (error: NodeJS.ErrnoException) =>
      resume(
        Effect.fail(
          new RtspServerError({ reason: new ListenFailed({ code: error.code ?? "unknown" }) })
        )
      )
    server.once("error", onError)
    server.listen(port, host, () => {
      server.off("error", onError)
      // an accept that fails for want of file descriptors is not the end of the server
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
  })
