/**
 * A small in-process RTSP server for tests and for the demo: publishers and readers on one port, over TCP.
 *
 * The server takes the place of a media server and of cameras: it accepts what MediaMTX accepts, rejects what
 * MediaMTX rejects, and imitates the faults of cameras by path, see {@link Quirks}. **It is not a media server
 * for production**: it has no UDP, no recording, no limit on the number of clients, and no persistence.
 *
 * ```ts
 * const server = yield* RtspServer.make({
 *   settings: (path) => (path === "cam7" ? { quirks: { rejectWith: { PLAY: 503 } } } : undefined)
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
import { bracketed } from "@restream/config"
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
import { type SessionLimit, SessionSlots } from "./SessionSlots.ts"
import * as Timers from "./Timers.ts"

/** The server could not listen. */
export class ListenFailed extends Schema.TaggedClass<ListenFailed>()("ListenFailed", {
  /** Node's error code: `EADDRINUSE`, `EACCES`, … */
  code: Schema.String
}) {
  get message(): string {
    return `cannot listen (${this.code})`
  }
}

/** Another publisher has the path, and must not be replaced. */
export class PathTaken extends Schema.TaggedClass<PathTaken>()("PathTaken", {
  path: Schema.String
}) {
  get message(): string {
    return `path ${this.path} already has a publisher`
  }
}

/** The description of an in-process publisher is invalid. */
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
  /** Serves `rtsps` with this certificate and key, both in PEM. Default: plain `rtsp`. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined
  /** For every path without its own. Default: no authentication. */
  readonly authentication?: ServerAuthentication | undefined
  /** The behaviour of paths. Called with the path including its query, then without. */
  readonly settings?: ((path: string) => PathSettings | undefined) | undefined
  /**
   * The path whose publisher a reader receives, so that one publisher can serve as many cameras. Default: the
   * path without its query.
   */
  readonly resolve?: ((path: string) => string) | undefined
  /** A second publisher of a path replaces the first without a response (default), or is rejected with 400. */
  readonly overridePublisher?: "replace" | "reject" | undefined
  /** How many sessions of readers are served at a time. Default: any number. */
  readonly sessions?: SessionLimit | undefined
  /** The most unsent bytes per reader; further frames are dropped. Default 2 MiB. */
  readonly readerBufferBytes?: number | undefined
  /** Responds to sender reports of publishers with receiver reports, as media servers do. Default true. */
  readonly reportsToPublishers?: boolean | undefined
}

/** An in-process publisher. */
export interface LocalPublisher {
  /** Sends one RTP packet of a track; tracks count from 0. */
  readonly writeRtp: (track: number, packet: Uint8Array) => void
  readonly writeRtcp: (track: number, packet: Uint8Array) => void
  /** Whether it still publishes: another publisher may have replaced it. */
  readonly isPublishing: () => boolean
}

export class RtspServer extends Context.Service<
  RtspServer,
  {
    /** The port the server listens on. */
    readonly port: number
    /** The URL of a path, including its query; without user-info. */
    readonly url: (path: string) => string
    /** All paths that ever had a publisher or a reader. */
    readonly paths: Effect.Effect<ReadonlyArray<PathStatus>>
    /** The status of a path; `undefined` if it never had a publisher or a reader. */
    readonly path: (path: string) => Effect.Effect<PathStatus | undefined>
    /** The number of open connections. */
    readonly connections: Effect.Effect<number>
    /** The number of sessions of readers, with those that the server keeps after a lost connection. */
    readonly sessions: Effect.Effect<number>
    /** Closes the connections of all clients, as after a lost link. */
    readonly dropConnections: Effect.Effect<void>
    /** Requests with a wrong password. A request without a password does not count. */
    readonly authenticationFailures: Effect.Effect<number>
    /** Events from the subscription on. Subscribe before causing them. */
    readonly events: Effect.Effect<PubSub.Subscription<ServerEvent>, never, Scope.Scope>
    /** Succeeds once the path has a publisher. */
    readonly awaitPublisher: (path: string) => Effect.Effect<void>
    /** Succeeds once the path has no publisher. */
    readonly awaitNoPublisher: (path: string) => Effect.Effect<void>
    /** Succeeds once a publisher of the path has sent a frame. */
    readonly awaitPackets: (path: string) => Effect.Effect<void>
    /** Succeeds once the path has exactly this many playing readers. */
    readonly awaitReaders: (path: string, count: number) => Effect.Effect<void>
    /** Succeeds once exactly this many connections are open. */
    readonly awaitConnections: (count: number) => Effect.Effect<void>
    /** Closes the connection of the path's publisher; `false` without a publisher. */
    readonly kick: (path: string) => Effect.Effect<boolean>
    /** Changes the behaviour of a path, for later requests. */
    readonly configure: (path: string, settings: PathSettings) => Effect.Effect<void>
    /** Withholds packets from the path's readers, and keeps their connections open. */
    readonly freeze: (path: string, tracks: FrozenTracks) => Effect.Effect<void>
    readonly thaw: (path: string) => Effect.Effect<void>
    /** Publishes in-process. The scope owns the publisher: closing the scope ends the stream. */
    readonly publish: (
      path: string,
      sdp: string
    ) => Effect.Effect<LocalPublisher, RtspServerError, Scope.Scope>
  }
>()("@restream/core/rtsp/server/RtspServer") {
  /** Starts a server. The scope owns the server: closing the scope closes every connection. */
  static readonly make = Effect.fnUntraced(function* (
    options: RtspServerOptions = {}
  ): Effect.fn.Return<RtspServer["Service"], RtspServerError, Scope.Scope> {
    const published = yield* PubSub.unbounded<ServerEvent>()
    const timers = yield* Timers.make
    const slots = new SessionSlots(options.sessions, timers)
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
        slots,
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
      sessions: Effect.sync(() => slots.count),
      dropConnections: Effect.sync(() => {
        for (const connection of connections) connection.end("dropped")
      }),
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

/** The TLS handshake timeout in milliseconds. Stopping the server waits for running handshakes. */
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
      // a failed accept, for example without free file descriptors, does not stop the server
      server.on("error", () => {})
      resume(Effect.succeed(server))
    })
  })
