/**
 * Forwards the WebRTC signalling of a page to the media server (WHEP, draft-ietf-wish-whep). The media are not
 * forwarded.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { StreamOnServer } from "../media-server/MediaServers.ts"
import type { LiveSettings } from "../settings/LiveSettings.ts"
import * as PlayerServer from "./PlayerServer.ts"
import { fail, type PlayError } from "./PlayerServer.ts"

/** A session at the media server. */
export interface WhepSession {
  readonly id: string
  /** SDP. */
  readonly answer: string
}

export const maxSdpBytes = 64 * 1024
const timeout = "10 seconds"
const sessionId = /^[\w-]{1,128}$/

export class Whep extends Context.Service<
  Whep,
  {
    /** Opens a session for a stream. @param offer SDP. */
    readonly open: (stream: StreamOnServer, offer: string) => Effect.Effect<WhepSession, PlayError>
    /** Forwards ICE candidates that the page found later. */
    readonly patch: (
      stream: StreamOnServer,
      session: string,
      fragment: string
    ) => Effect.Effect<void, PlayError>
    /** Ends a session. */
    readonly close: (stream: StreamOnServer, session: string) => Effect.Effect<void, PlayError>
  }
>()("@restream/core/player/Whep") {
  /** Sends requests to the WebRTC server of the stream's media server, by its `webrtcUrl`. */
  static readonly layer: Layer.Layer<Whep, never, LiveSettings> = Layer.effect(
    Whep,
    Effect.suspend(() => make)
  ).pipe(Layer.provide(FetchHttpClient.layer))
}

const make = Effect.gen(function* () {
  const serverOf = yield* PlayerServer.make("webrtc")

  const send = (server: PlayerServer.PlayerServer, request: HttpClientRequest.HttpClientRequest) =>
    server
      .send(request, timeout, (response) =>
        Effect.map(PlayerServer.textOf(response, maxSdpBytes), (body) => ({
          status: response.status,
          headers: response.headers,
          body
        }))
      )
      .pipe(Effect.scoped)

  const withSession = Effect.fnUntraced(function* (
    stream: StreamOnServer,
    session: string,
    request: (url: string) => HttpClientRequest.HttpClientRequest
  ) {
    if (!sessionId.test(session)) return yield* fail("Rejected", "unknown session")
    const server = yield* serverOf(stream)
    const response = yield* send(server, request(`${server.url}/whep/${session}`))
    yield* server.expectSuccess(response)
  })

  return Whep.of({
    open: Effect.fnUntraced(function* (stream, offer) {
      const server = yield* serverOf(stream)
      const response = yield* send(
        server,
        HttpClientRequest.bodyText(
          HttpClientRequest.post(`${server.url}/whep`),
          offer,
          "application/sdp"
        )
      )
      yield* server.expectSuccess(response)
      // only the last part is used: the settings determine the address of the session
      const id = response.headers["location"]?.split("?")[0]?.split("/").at(-1) ?? ""
      if (response.status !== 201 || !sessionId.test(id) || !response.body.startsWith("v=0")) {
        return yield* fail("Rejected", `${server.base} is not a WHEP server`)
      }
      return { id, answer: response.body }
    }),
    patch: (stream, session, fragment) =>
      withSession(stream, session, (url) =>
        HttpClientRequest.bodyText(
          HttpClientRequest.patch(url),
          fragment,
          "application/trickle-ice-sdpfrag"
        )
      ),
    close: (stream, session) =>
      withSession(stream, session, HttpClientRequest.delete).pipe(
        // the media server also ends a session when the page closes its connection
        Effect.catchIf(
          ({ code }) => code === "NoStream",
          () => Effect.void
        )
      )
  })
})
