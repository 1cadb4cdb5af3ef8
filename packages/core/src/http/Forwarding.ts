/**
 * Forwards requests about a camera of another node to that node, and returns the response.
 *
 * A forwarded request has `scope=node`, so that no node forwards it again.
 */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { CameraId } from "../camera/Camera.ts"
import * as ForwardedRequests from "../network/ForwardedRequests.ts"
import { causeOf } from "../player/PlayerServer.ts"
import { maxSdpBytes } from "../player/Whep.ts"
import { StatusStore } from "../status/StatusStore.ts"
import { format } from "../time/DurationText.ts"
import { NodeUnreachable, ToCameraNode } from "./Api.ts"
import { Peers } from "./Peers.ts"

/** The timeout until the start of the response. */
const responseTimeout = Duration.seconds(5)
/** A node waits 12 s for a keyframe, 10 s for an SDP answer, and 20 s for a playlist. */
const mediaTimeout = Duration.seconds(25)
const withoutMedia: ReadonlySet<string> = new Set(["get", "retry", "restart"])
/** The longest time until the end of the response, even if the client does not read it. */
const longest = "60 seconds"
const maxRequests = 64

/** The headers of the responses about a camera. */
const forwardedHeaders = ["content-type", "location", "x-picture-time"]

const pick = (
  headers: Readonly<Record<string, string | undefined>>,
  names: ReadonlyArray<string>
) =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name]
      return value === undefined ? [] : [[name, value] as const]
    })
  )

const scoped = (url: string): string => `${url}${url.includes("?") ? "&" : "?"}scope=node`

const isScoped = (url: string): boolean =>
  new URLSearchParams(url.split("?", 2)[1] ?? "").getAll("scope").includes("node")

const bodyOf = (request: HttpServerRequest.HttpServerRequest) =>
  request.method === "GET" || request.method === "HEAD"
    ? Effect.succeed(new Uint8Array())
    : request.arrayBuffer.pipe(
        Effect.map((body) => new Uint8Array(body)),
        Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxSdpBytes))
      )

export const layer: Layer.Layer<ToCameraNode, never, Peers | StatusStore> = Layer.effect(
  ToCameraNode,
  Effect.gen(function* () {
    const peers = yield* Peers
    const store = yield* StatusStore
    const client = HttpClient.withScope(peers.client)
    const slot = ForwardedRequests.makeSlots({
      most: maxRequests,
      longest,
      onFull: Effect.fail(
        new NodeUnreachable({
          message: `too many requests to other nodes are under way (${maxRequests})`
        })
      )
    })

    const forward = Effect.fnUntraced(function* (
      name: string,
      id: CameraId,
      request: HttpServerRequest.HttpServerRequest,
      timeout: Duration.Duration
    ) {
      const unreachable = (why: string) =>
        Effect.fail(
          new NodeUnreachable({
            message: `camera ${id} is relayed by node ${name}, which does not respond: ${why}`
          })
        )
      const url = peers.urlOf(name)
      if (url === undefined) return yield* unreachable("its API is unreachable")
      const body = yield* Effect.option(bodyOf(request))
      if (body._tag === "None") return HttpServerResponse.empty({ status: 413 })
      const head = HttpClientRequest.make(request.method as "GET")(`${url}${scoped(request.url)}`)
      const scope = yield* slot
      // a suspended node loses its cameras long before the timeout
      const moved = Effect.gen(function* () {
        const now = yield* Effect.repeat(
          Effect.delay(
            Effect.sync(() => peers.cameras.nodeOf(id)),
            "100 millis"
          ),
          { until: (now) => now !== name }
        )
        return yield* new NodeUnreachable({
          message: `camera ${id} was moved from node ${name}${now === undefined ? "" : ` to node ${now}`} before ${name} responded; repeat the request`
        })
      })
      const response = yield* client
        .execute(
          body.value.length === 0
            ? head
            : HttpClientRequest.bodyUint8Array(head, body.value, request.headers["content-type"])
        )
        .pipe(
          Scope.provide(scope),
          Effect.raceFirst(moved),
          Effect.timeout(timeout),
          Effect.catchTags({
            HttpClientError: (error) => unreachable(causeOf(error)),
            TimeoutError: () => unreachable(`no response within ${format(timeout)}`)
          })
        )
      const { headers, status } = response
      if (status >= 300 && status < 400) return yield* unreachable(`HTTP status ${status}`)
      if (status === 401 || status === 421 || status === 429) {
        return yield* unreachable(`it refuses this node with HTTP status ${status}`)
      }
      const { "content-type": contentType, ...rest } = pick(headers, forwardedHeaders)
      return HttpServerResponse.stream(status === 204 ? Stream.empty : response.stream, {
        status,
        headers: rest,
        ...(contentType !== undefined && { contentType })
      })
    })

    return ToCameraNode.of(
      Effect.fnUntraced(function* (httpEffect, { endpoint }) {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { id } = (yield* HttpRouter.params) as { readonly id: CameraId }
        if (isScoped(request.url) || (yield* store.get(id)) !== undefined) return yield* httpEffect
        yield* peers.ready
        const node = peers.cameras.nodeOf(id)
        if (node !== undefined) {
          const timeout = withoutMedia.has(endpoint.identifier) ? responseTimeout : mediaTimeout
          return yield* forward(node, id, request, timeout)
        }
        const silent = peers.nodes().filter(({ problem }) => problem !== null)
        if (silent.length === 0) return yield* httpEffect
        return yield* new NodeUnreachable({
          message: `no camera has the id ${JSON.stringify(id)} on the nodes that respond; not known: ${silent.map(({ name }) => name).join(", ")}`
        })
      })
    )
  })
)
