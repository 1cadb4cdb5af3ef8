/**
 * Media servers with MediaMTX's control API: a stand-in over the embedded RTSP server, for everywhere, and a real
 * MediaMTX where `MEDIAMTX_BIN` names one. `MediaMtxApi.test.ts` runs against both, so the stand-in answers as
 * MediaMTX 1.20 does.
 */
import { Announcement, PublishableTracks } from "@restream/core"
import { PublisherSession, Sdp } from "@restream/core/rtsp"
import { freePort, RtspServer } from "@restream/core/testing"
import { Effect, PubSub, Redacted, Result, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { certificate, key } from "../rtsp/Certificate.ts"
import { orderly } from "../rtsp/Cameras.ts"
import { url } from "../rtsp/LiveCamera.ts"
import { configured } from "../rtsp/MediaMtx.ts"

export const apiUser = "operator"
export const apiPassword = "Planted7Api"

export interface ApiServer {
  readonly rtspPort: number
  /** Without credentials. */
  readonly apiPort: number
  /** The API, with credentials that it accepts. */
  readonly apiUrl: Redacted.Redacted
  /** The RTSP URL of a path. */
  readonly at: (path: string) => string
}

export interface ApiServerOptions {
  /** What happens to a second publisher of a path. Default: it replaces the first. */
  readonly overridePublisher?: "replace" | "reject"
  /** The server whose paths the stand-in shows. Default: one of its own. */
  readonly server?: RtspServer["Service"]
  /** Whether the API has TLS, with the certificate of the tests. Only of the stand-in. */
  readonly tls?: boolean
}

/** Publishes a camera without media, with a name. */
export const publish = (server: Pick<ApiServer, "at">, path: string, userAgent: string) =>
  PublisherSession.open({
    url: url(server.at(path)),
    announcement: Announcement.announcement(
      PublishableTracks.publishableTracks(Result.getOrThrow(Sdp.parse(orderly))).tracks
    ),
    userAgent
  })

const withCredentials = (port: number, scheme = "http"): Redacted.Redacted =>
  Redacted.make(`${scheme}://${apiUser}:${apiPassword}@127.0.0.1:${port}`)

export const mediaMtxServer = Effect.fnUntraced(function* ({
  overridePublisher = "replace"
}: ApiServerOptions = {}) {
  const apiPort = yield* freePort
  const server = yield* configured(
    [
      "api: yes",
      `apiAddress: 127.0.0.1:${apiPort}`,
      "authInternalUsers:",
      "- user: any",
      "  permissions: [{action: publish}, {action: read}]",
      `- user: ${apiUser}`,
      `  pass: ${apiPassword}`,
      "  permissions: [{action: api}]"
    ],
    [
      "all_others:",
      ...(overridePublisher === "reject" ? ["  overridePublisher: no"] : []),
      "always:",
      "  alwaysAvailable: yes",
      "  alwaysAvailableTracks: [{codec: H264}]"
    ]
  )
  const running = yield* server.start
  yield* running.awaitSaid(/\[API\] (?:listener|started)[^\n]*/)
  return {
    rtspPort: server.port,
    apiPort,
    apiUrl: withCredentials(apiPort),
    at: server.at
  } satisfies ApiServer
})

/** What a test may change of the stand-in, and MediaMTX does not do on command. */
export interface StandIn extends ApiServer {
  readonly server: RtspServer["Service"]
  /** The API says of these paths that they are not online. */
  readonly hidden: Set<string>
  /** Answers of the API instead of its own; `undefined`: it answers as usual. */
  answer: ((response: ServerResponse) => void) | undefined
  /** The requests so far, as `GET /v3/paths/list?…`. */
  readonly requests: Array<string>
  /** The most requests that were served at once. */
  mostAtOnce: number
}

export const standIn = Effect.fnUntraced(function* ({
  overridePublisher = "replace",
  server: given,
  tls = false
}: ApiServerOptions = {}): Effect.fn.Return<StandIn, never, Scope.Scope> {
  const server = given ?? (yield* Effect.orDie(RtspServer.make({ overridePublisher })))
  const events = yield* server.events
  /** By connection. */
  const agents = new Map<number, { readonly userAgent: string; readonly session: string }>()
  yield* PubSub.take(events).pipe(
    Effect.map((event) => {
      if (event._tag === "Request" && event.method === "ANNOUNCE") {
        agents.set(event.connection, { userAgent: event.userAgent ?? "", session: randomUUID() })
      }
    }),
    Effect.forever,
    Effect.forkScoped
  )

  let running = 0
  const send = (response: ServerResponse, status: number, body: unknown) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
  const refuse = (response: ServerResponse, status: number, error: string) =>
    send(response, status, { status: "error", error })

  const pathItems = () =>
    Effect.runSync(server.paths)
      // MediaMTX forgets a path without publisher and readers
      .filter(({ publisher, readers }) => publisher !== undefined || readers.length > 0)
      .map(({ bytes, path, publisher, readers }) => {
        const isOnline = publisher !== undefined && !state.hidden.has(path)
        const since = isOnline ? new Date().toISOString() : null
        return {
          name: path,
          confName: "all_others",
          ready: isOnline,
          readyTime: since,
          available: isOnline,
          availableTime: since,
          online: isOnline,
          onlineTime: since,
          source: isOnline ? { type: "rtspSession", id: sessionOf(publisher.connection) } : null,
          readers: readers.map(({ connection }) => ({ type: "rtspSession", id: `${connection}` })),
          inboundBytes: bytes
        }
      })
  const sessionOf = (connection: number) => agents.get(connection)?.session ?? `${connection}`
  const sessionItems = () =>
    Effect.runSync(server.paths).flatMap(({ path, publisher }) =>
      publisher === undefined
        ? []
        : [
            {
              id: sessionOf(publisher.connection),
              remoteAddr: "127.0.0.1:40000",
              state: "publish",
              path,
              userAgent: agents.get(publisher.connection)?.userAgent ?? ""
            }
          ]
    )
  const paged = (response: ServerResponse, url: URL, items: ReadonlyArray<unknown>) => {
    const perPage = Number(url.searchParams.get("itemsPerPage") ?? 100)
    const page = Number(url.searchParams.get("page") ?? 0)
    send(response, 200, {
      itemCount: items.length,
      pageCount: Math.ceil(items.length / perPage),
      items: items.slice(page * perPage, (page + 1) * perPage)
    })
  }

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    if (state.answer !== undefined) return state.answer(response)
    const expected = Buffer.from(`${apiUser}:${apiPassword}`).toString("base64")
    if (request.headers.authorization !== `Basic ${expected}`) {
      return refuse(response, 401, "authentication error")
    }
    const url = new URL(request.url ?? "", "http://x")
    const kicked = /^\/v3\/rtspsessions\/kick\/(.+)$/.exec(url.pathname)?.[1]
    if (request.method === "POST" && kicked !== undefined) {
      const session = sessionItems().find(({ id }) => id === kicked)
      if (session === undefined) return refuse(response, 404, "session not found")
      Effect.runSync(server.kick(session.path))
      return send(response, 200, { status: "ok" })
    }
    switch (url.pathname) {
      case "/v3/paths/list":
        return paged(response, url, pathItems())
      case "/v3/rtspsessions/list":
        return paged(response, url, sessionItems())
      default:
        return refuse(response, 404, "not found")
    }
  }

  const { port } = yield* Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const serve = (request: IncomingMessage, response: ServerResponse) => {
        state.requests.push(`${request.method} ${request.url}`)
        state.mostAtOnce = Math.max(state.mostAtOnce, ++running)
        response.on("close", () => running--)
        handle(request, response)
      }
      const http = tls ? createTlsServer({ cert: certificate, key }, serve) : createServer(serve)
      http.listen(0, "127.0.0.1", () => {
        const { port } = http.address() as { readonly port: number }
        const close = () => {
          http.close()
          http.closeAllConnections()
        }
        resume(Effect.succeed({ port, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )
  const state: StandIn = {
    server,
    rtspPort: server.port,
    apiPort: port,
    apiUrl: withCredentials(port, tls ? "https" : "http"),
    at: server.url,
    hidden: new Set(),
    answer: undefined,
    requests: [],
    mostAtOnce: 0
  }
  return state
})
