/**
 * The HTTP server of the daemon: the guard, the routes, and the headers of every response.
 *
 * A problem of the server never affects a relay: if the port is in use, this is logged once, and the server retries
 * every 10 seconds.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { bracketed, type Settings } from "@restream/config"
import { LiveSettings, Monotonic, Restream } from "@restream/core"
import { EventStreams, Handlers } from "@restream/core/http"
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as EffectHttpServer from "effect/http/HttpServer"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { createServer, type IncomingMessage, type Server } from "node:http"
import * as Scrape from "../metrics/Scrape.ts"
import { version } from "../version.ts"
import * as ApiPage from "./ApiPage.ts"
import * as DashboardFiles from "./DashboardFiles.ts"
import { Guard } from "./Guard.ts"
import { noRoute } from "./NoRoute.ts"
import { contentSecurityPolicy, securityHeaders } from "./SecurityHeaders.ts"
import * as Session from "./Session.ts"

const retryInterval = Duration.seconds(10)

/** For running requests when the daemon stops; event streams end at once. */
const shutdownTimeout = Duration.seconds(1)

const maxConnections = 256

const logAs = Effect.annotateLogs("module", "daemon")

/** All routes of the server. */
const routes = (guard: Guard) =>
  Layer.mergeAll(
    Handlers.routes,
    ApiPage.route,
    Session.route(guard),
    Scrape.route,
    DashboardFiles.routes
  )

/**
 * Starts the server in the scope, without waiting until it listens.
 *
 * @param workers of this machine, for the overview. Default: there are none.
 */
export const start = Effect.fnUntraced(function* (
  live: SubscriptionRef.SubscriptionRef<Settings>,
  workers?: Handlers.HandlerOptions["workers"]
) {
  const settings = SubscriptionRef.getUnsafe(live)
  const { http } = settings
  const apiUrl = settings.cluster.enabled ? Restream.apiUrlOf(settings) : undefined
  const guard = new Guard({
    // the other nodes of a cluster use the host name in this node's URL
    allowedHosts: [
      ...http.allowedHosts,
      ...(apiUrl === undefined ? [] : [new URL(apiUrl).hostname])
    ],
    token: http.token === undefined ? undefined : Redacted.value(http.token)
  })
  const services = yield* Layer.build(Handlers.services({ settings: live, version, workers }))
  const app = yield* HttpRouter.toHttpEffect(routes(guard)).pipe(
    Effect.provideService(LiveSettings, live),
    Effect.provideContext(services),
    Effect.provide(NodeHttpServer.layerHttpServices)
  )
  const handler = guarded(guard, app)
  const streams = yield* Effect.provideContext(Effect.service(EventStreams), services)

  const listen = Effect.gen(function* () {
    const server = yield* NodeHttpServer.make(makeServer, {
      host: http.host,
      port: http.port,
      gracefulShutdownTimeout: shutdownTimeout
    })
    yield* server.serve(handler)
    // closed before the server, which waits for its connections
    yield* Effect.addFinalizer(() => streams.close)
    yield* logAs(
      Effect.logInfo(`HTTP server listens on ${EffectHttpServer.formatAddress(server.address)}`)
    )
    return yield* Effect.never
  }).pipe(Effect.scoped)

  const address = `${bracketed(http.host)}:${http.port}`
  let reported: string | undefined
  const attempt = Effect.catchTag(listen, "ServeError", (error) => {
    const problem = problemOf(error.cause)
    if (problem === reported) return Effect.void
    reported = problem
    return logAs(
      Effect.logError(
        `HTTP server cannot listen on ${address}: ${problem}; retrying every ${Duration.format(retryInterval)}; relays are unaffected`
      )
    )
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(attempt, Effect.sleep(retryInterval))))
})

const makeServer = (): Server => {
  const server = createServer()
  server.maxConnections = maxConnections
  return server
}

const problemOf = (error: unknown): string => {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  switch (code) {
    case "EADDRINUSE":
      return "another program uses the port (http.port)"
    case "EACCES":
      return "permission denied (http.port)"
    case "EADDRNOTAVAIL":
      return "this machine has no such address (http.host)"
    case "ENOTFOUND":
      return "cannot resolve the host (http.host)"
    default:
      return error instanceof Error ? error.message : String(error)
  }
}

/** Adds a message to a response for a client error that has no body. */
const withMessage = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
    const { body, status } = response
    if (body._tag !== "Empty") return response
    switch (status) {
      case 404:
        return noRoute(method, url.split("?", 1)[0] ?? "")
      case 400:
        return HttpServerResponse.jsonUnsafe({ message: "the request is invalid" }, { status })
      case 413:
        return HttpServerResponse.jsonUnsafe({ message: "the body is too large" }, { status })
      default:
        return response
    }
  })

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

/** Checks a request by the guard, and adds the headers to every response. */
const guarded = <E, R>(
  guard: Guard,
  app: App<E, R>
): App<never, R | HttpServerRequest.HttpServerRequest> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { socket } = request.source as IncomingMessage
    const refusal = guard.check(
      {
        method: request.method,
        path: request.url.split("?", 1)[0] ?? "",
        headers: request.headers,
        cookies: request.cookies,
        remoteAddress: Option.getOrElse(request.remoteAddress, () => ""),
        localAddress: socket.localAddress ?? ""
      },
      yield* Monotonic.now
    )
    if (refusal !== undefined) {
      const { message, status } = refusal
      return HttpServerResponse.jsonUnsafe(
        { message },
        { status, headers: status === 401 ? { "www-authenticate": "Bearer" } : {} }
      )
    }
    return yield* app
  }).pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.kibibytes(8)),
    // a span per request is too expensive, and its attributes would contain addresses and headers
    Effect.provideService(HttpMiddleware.TracerDisabledWhen, () => true),
    Effect.catchCause((cause) =>
      Effect.flatMap(HttpServerError.causeResponse(cause), ([response]) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.succeed(response)
        if (response.status >= 500) {
          return Effect.as(logAs(Effect.logError("internal error", cause)), response)
        }
        // client errors are not logged: every local client could fill the log
        return Effect.succeed(response)
      })
    ),
    Effect.flatMap(withMessage),
    Effect.map((response) =>
      HttpServerResponse.setHeaders(response, {
        "cache-control": "no-store",
        "content-security-policy": contentSecurityPolicy,
        ...response.headers,
        ...securityHeaders
      })
    )
  )
