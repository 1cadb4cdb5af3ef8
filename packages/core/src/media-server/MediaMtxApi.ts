/**
 * A client of MediaMTX's control API (version 3, MediaMTX 1.5 or later).
 *
 * Every request opens a new connection, by the dialer of the RTSP client: names are resolved, addresses are tried and
 * certificates are verified as for all other connections. The text of a response is never logged, because it may
 * repeat secrets of the request.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { request as httpRequest } from "node:http"
import type { Socket } from "node:net"
import { withoutBrackets } from "@restream/config"
import { dedupeKey, TimedOut } from "../camera/Reason.ts"
import { dial, type Trust } from "../rtsp/client/Dialer.ts"
import { RtspError } from "../rtsp/client/RtspError.ts"
import * as Deadline from "../time/Deadline.ts"
import { MediaServerError } from "./MediaServer.ts"

/** A path of the media server. */
export interface PathReport {
  /** Whether the path has a publisher. A path that only plays its offline clip does not count. */
  readonly isOnline: boolean
  /** When the publisher started, in milliseconds since 1970. */
  readonly onlineSince: number | undefined
  readonly readers: number
  /** Bytes that the media server has received on the path. */
  readonly inboundBytes: number
}

/** A publisher by RTSP. */
export interface PublishingSession {
  readonly id: string
  /** Whether the session uses TLS: MediaMTX lists such sessions separately. */
  readonly isSecure: boolean
  readonly path: string
  /** Known with MediaMTX 1.19 or later. */
  readonly userAgent: string | undefined
  readonly remoteAddr: string
}

export interface MediaMtxApi {
  /** All published, read or configured paths, by name. */
  readonly paths: Effect.Effect<ReadonlyMap<string, PathReport>, MediaServerError>
  /** All publishers by RTSP and RTSPS. */
  readonly publishers: Effect.Effect<ReadonlyArray<PublishingSession>, MediaServerError>
  /** Ends a session. `false`: the session does not exist. */
  readonly kick: (session: PublishingSession) => Effect.Effect<boolean, MediaServerError>
}

export interface MediaMtxApiOptions {
  /** The URL of the API, with the user name and the password if needed. */
  readonly url: Redacted.Redacted
  readonly trust: Trust
  /** The deadline of one request, from connecting to the end of the response. */
  readonly timeout: Effect.Effect<Deadline.Deadline>
  /** How many items of a list are requested at once. Default 1000. */
  readonly pageSize?: number | undefined
}

/** More pages than a media server needs. */
const maxPages = 100
/** The limit of one page; a path takes 550 bytes, and 80 bytes per reader. */
const maxBodyBytes = 32e6

const Path = Schema.Struct({
  name: Schema.String,
  /** Since 1.16. */
  online: Schema.optionalKey(Schema.Boolean),
  onlineTime: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** Before 1.16; later it is also true while an offline clip is played. */
  ready: Schema.optionalKey(Schema.Boolean),
  readyTime: Schema.optionalKey(Schema.NullOr(Schema.String)),
  readers: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Unknown))),
  /** Since 1.17. */
  inboundBytes: Schema.optionalKey(Schema.Finite),
  bytesReceived: Schema.optionalKey(Schema.Finite)
})

const Session = Schema.Struct({
  id: Schema.String,
  state: Schema.String,
  path: Schema.String,
  userAgent: Schema.optionalKey(Schema.String),
  remoteAddr: Schema.String
})

const pageOf = <S extends Schema.Top>(item: S) =>
  Schema.fromJsonString(
    Schema.Struct({ pageCount: Schema.Finite, items: Schema.NullOr(Schema.Array(item)) })
  )

const decodePaths = Schema.decodeUnknownEffect(pageOf(Path))
const decodeSessions = Schema.decodeUnknownEffect(pageOf(Session))

const reportOf = (path: typeof Path.Type): PathReport => {
  const isOnline = path.online ?? path.ready ?? false
  const since = Date.parse((path.online === undefined ? path.readyTime : path.onlineTime) ?? "")
  return {
    isOnline,
    onlineSince: isOnline && Number.isFinite(since) ? since : undefined,
    readers: path.readers?.length ?? 0,
    inboundBytes: path.inboundBytes ?? path.bytesReceived ?? 0
  }
}

const failure = (detail: string, kind: string) => new MediaServerError({ detail, kind })

const fromNetwork = ({ reason }: RtspError): MediaServerError =>
  failure(reason.message, dedupeKey(reason))

const isNotMediaMtx = failure("the response is not one of MediaMTX's API", "ProtocolError")

/** The host and the port of a URL, without its credentials. */
export const authorityOf = (url: Redacted.Redacted): string => {
  const { host } = new URL(Redacted.value(url))
  return host
}

interface Response {
  readonly status: number
  readonly body: string
}

export const make = ({ pageSize = 1000, timeout, trust, url }: MediaMtxApiOptions): MediaMtxApi => {
  const { hostname, password, pathname, port, protocol, username } = new URL(Redacted.value(url))
  const isTls = protocol === "https:"
  const host = withoutBrackets(hostname)
  const hasCredentials = username !== "" || password !== ""
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const headers = {
    host: port === "" ? hostname : `${hostname}:${port}`,
    accept: "application/json",
    ...(hasCredentials && {
      authorization: `Basic ${Buffer.from(credentials).toString("base64")}`
    })
  }

  const send = Effect.fnUntraced(function* (method: "GET" | "POST", path: string) {
    const deadline = yield* timeout
    const socket = yield* Effect.mapError(
      dial({
        host,
        port: port === "" ? (isTls ? 443 : 80) : Number(port),
        tls: isTls ? trust : undefined,
        deadline,
        sharedBuffer: false,
        // the HTTP parser reads from the socket
        receive: () => {}
      }),
      fromNetwork
    )
    return yield* Deadline.callback(deadline, exchange(socket, method, path), (afterMs) =>
      Effect.fail(
        fromNetwork(
          new RtspError({ reason: new TimedOut({ phase: "connecting", request: method, afterMs }) })
        )
      )
    )
  }, Effect.scoped)

  const exchange =
    (socket: Socket, method: string, path: string) =>
    (resume: (effect: Effect.Effect<Response, MediaServerError>) => void): Effect.Effect<void> => {
      const failClosed = () => resume(Effect.fail(failure("the connection was closed", "Closed")))
      const request = httpRequest(
        {
          createConnection: () => socket,
          method,
          path: `${pathname.replace(/\/$/, "")}${path}`,
          headers
        },
        (response) => {
          const chunks: Array<Buffer> = []
          let bytes = 0
          response.on("data", (chunk: Buffer) => {
            bytes += chunk.length
            if (bytes <= maxBodyBytes) return void chunks.push(chunk)
            response.destroy()
            resume(Effect.fail(isNotMediaMtx))
          })
          response.on("end", () => {
            const body = Buffer.concat(chunks).toString()
            resume(Effect.succeed({ status: response.statusCode ?? 0, body }))
          })
          response.on("error", failClosed)
        }
      )
      request.on("error", ({ code = "" }: NodeJS.ErrnoException) =>
        // errors of Node's HTTP parser
        code.startsWith("HPE_") ? resume(Effect.fail(isNotMediaMtx)) : failClosed()
      )
      request.end()
      return Effect.sync(() => request.destroy())
    }

  const refusal = (status: number): MediaServerError => {
    switch (status) {
      case 401:
      case 403:
        return failure(
          hasCredentials
            ? `the API refused the user name or password of mediaServer.apiUrl (${status}); the user needs the permission api`
            : `the API requires a user name and password (${status}); add them to mediaServer.apiUrl, of a user that has the permission api`,
          "Unauthorized"
        )
      case 404:
        return failure("no API of MediaMTX at this URL (404)", "NotFound")
      default:
        return failure(
          `unexpected response (${status}); check that the URL is that of MediaMTX's API`,
          `status ${status}`
        )
    }
  }

  const get = Effect.fnUntraced(function* (path: string) {
    const { body, status } = yield* send("GET", path)
    return status === 200 ? body : yield* Effect.fail(refusal(status))
  })

  /** All pages of a list, one request after the other. */
  const list = Effect.fnUntraced(function* <A>(
    path: string,
    decode: (
      body: string
    ) => Effect.Effect<
      { readonly pageCount: number; readonly items: ReadonlyArray<A> | null },
      Schema.SchemaError
    >
  ) {
    const items: Array<A> = []
    for (let page = 0; page < maxPages; page++) {
      const body = yield* get(`${path}?itemsPerPage=${pageSize}&page=${page}`)
      const decoded = yield* Effect.mapError(decode(body), () => isNotMediaMtx)
      items.push(...(decoded.items ?? []))
      if (page + 1 >= decoded.pageCount) return items
    }
    return yield* Effect.fail(failure(`more than ${maxPages} pages`, "ProtocolError"))
  })

  const sessions = (isSecure: boolean) =>
    Effect.map(
      list(`/v3/${sessionList(isSecure)}/list`, decodeSessions),
      (items): ReadonlyArray<PublishingSession> =>
        items.flatMap(({ state, ...session }) =>
          state === "publish" ? [{ ...session, userAgent: session.userAgent, isSecure }] : []
        )
    )

  return {
    paths: Effect.map(
      list("/v3/paths/list", decodePaths),
      (items) => new Map(items.map((path) => [path.name, reportOf(path)]))
    ),
    publishers: Effect.gen(function* () {
      const plain = yield* sessions(false)
      // a server without RTSPS has no such list
      const secure = yield* Effect.catchIf(
        sessions(true),
        ({ kind }) => kind === "NotFound",
        () => Effect.succeed([])
      )
      return [...plain, ...secure]
    }),
    kick: Effect.fnUntraced(function* ({ id, isSecure }) {
      const path = `/v3/${sessionList(isSecure)}/kick/${encodeURIComponent(id)}`
      const { status } = yield* send("POST", path)
      // 404: the session ended meanwhile
      return status === 200 || status === 404 ? status === 200 : yield* Effect.fail(refusal(status))
    })
  }
}

const sessionList = (isSecure: boolean): string => (isSecure ? "rtspssessions" : "rtspsessions")
