/**
 * Hands the WebRTC signalling of a page on to the media server (WHEP, draft-ietf-wish-whep). The media do not
 * come through here.
 *
 * A page needs neither CORS nor credentials at the media server: if the server lets nobody read without a login,
 * restream uses its own, which the page never sees.
 */
import { redact } from "@restream/config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { StreamOnServer } from "../media-server/MediaServers.ts"
import { serverSettings } from "../media-server/ServerChoice.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { format } from "../time/DurationText.ts"
import { playerUrls, viewerUrls } from "./PlayerUrls.ts"

/**
 * Why a camera cannot be played.
 *
 * - `NotLive`: the camera is not live.
 * - `ServerUnreachable`: no WebRTC server responds.
 * - `AccessDenied`: the media server lets restream not read.
 * - `NoStream`: the media server does not have the path.
 * - `UnsupportedCodecs`: the browser offers no codec that the stream has.
 * - `Rejected`: any other response of the media server.
 */
export const WhepProblem = Schema.Literals([
  "NotLive",
  "ServerUnreachable",
  "AccessDenied",
  "NoStream",
  "UnsupportedCodecs",
  "Rejected"
])
export type WhepProblem = typeof WhepProblem.Type

export class WhepError extends Schema.TaggedError<WhepError>()("WhepError", {
  code: WhepProblem,
  message: Schema.String
}) {}

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
    readonly open: (stream: StreamOnServer, offer: string) => Effect.Effect<WhepSession, WhepError>
    /** Hands on ICE candidates that the page found late. */
    readonly patch: (
      stream: StreamOnServer,
      session: string,
      fragment: string
    ) => Effect.Effect<void, WhepError>
    /** Ends a session. */
    readonly close: (stream: StreamOnServer, session: string) => Effect.Effect<void, WhepError>
  }
>()("@restream/core/player/Whep") {
  /** Asks the WebRTC server of the stream's media server, by its `webrtcUrl`. */
  static readonly layer: Layer.Layer<Whep, never, LiveSettings> = Layer.effect(
    Whep,
    Effect.suspend(() => make)
  ).pipe(Layer.provide(FetchHttpClient.layer))
}

const fail = (code: WhepProblem, message: string) => Effect.fail(new WhepError({ code, message }))

/** The text of a body; empty if there is none, or if it is too long. */
const textOf = (response: HttpClientResponse) => {
  if (response.status === 204) return Effect.succeed("")
  let bytes = 0
  return response.stream.pipe(
    Stream.takeWhile((chunk) => (bytes += chunk.length) <= maxSdpBytes),
    Stream.runCollect,
    Effect.map((chunks) => (bytes > maxSdpBytes ? "" : Buffer.concat(chunks).toString()))
  )
}

/** MediaMTX answers with `{"error": "…"}`. */
const errorOf = (body: string): string => {
  const error = /"error":\s*"((?:[^"\\]|\\.)*)"/.exec(body)?.[1] ?? body
  return redact(error.replaceAll(/\s+/g, " ").trim()).slice(0, 200)
}

const make = Effect.gen(function* () {
  const settings = yield* LiveSettings
  const client = yield* HttpClient.HttpClient

  const serverNow = Effect.fnUntraced(function* ({ mediaServer: name, path }: StreamOnServer) {
    const server = serverSettings(SubscriptionRef.getUnsafe(settings), name)
    if (server === undefined || path === undefined) {
      return yield* fail("NotLive", "the camera has no path on a media server now")
    }
    const group = name === undefined ? "mediaServer" : `mediaServers.${name}`
    const base = viewerUrls(server).webrtc
    return { ...server, group, base, endpoint: `${playerUrls({ path }, server).webrtc}/whep` }
  })
  type Server = Effect.Success<ReturnType<typeof serverNow>>

  const unreachable = ({ base, group, webrtcUrl }: Server, why: string) => {
    const advice =
      webrtcUrl === undefined
        ? `set ${group}.webrtcUrl to the address of the WebRTC server`
        : `check ${group}.webrtcUrl, and that WebRTC is on in the media server`
    return fail("ServerUnreachable", `no WebRTC server responds at ${base} (${why}); ${advice}`)
  }

  /** Sends a request; with the login of restream if the server wants one. */
  const send = (server: Server, request: HttpClientRequest.HttpClientRequest) =>
    Effect.gen(function* () {
      const execute = (request: HttpClientRequest.HttpClientRequest) =>
        Effect.flatMap(client.execute(request), (response) =>
          Effect.map(textOf(response), (body) => ({
            status: response.status,
            headers: response.headers,
            body
          }))
        )
      const first = yield* execute(request)
      const { password, username } = server
      if (first.status !== 401 || username === undefined) return first
      return yield* execute(
        HttpClientRequest.basicAuth(request, username, password ?? Redacted.make(""))
      )
    }).pipe(
      Effect.timeout(timeout),
      Effect.catchTags({
        TimeoutError: () => unreachable(server, `no response within ${format(timeout)}`),
        HttpClientError: (error) => unreachable(server, causeOf(error))
      })
    )

  const expectSuccess = (
    { base, group }: Server,
    { body, status }: { readonly body: string; readonly status: number }
  ) => {
    if (status >= 200 && status < 300) return Effect.void
    const said = errorOf(body)
    switch (status) {
      case 401:
      case 403:
        return fail(
          "AccessDenied",
          `the media server at ${base} does not let restream read the path; allow the user of ${group}.username to read, or everybody`
        )
      case 404:
        return fail("NoStream", `the media server at ${base} does not have the path: ${said}`)
      default:
        return /codec/i.test(said)
          ? fail("UnsupportedCodecs", `the media server at ${base} says: ${said}`)
          : fail("Rejected", `the media server at ${base} answered ${status}: ${said}`)
    }
  }

  const withSession = Effect.fnUntraced(function* (
    stream: StreamOnServer,
    session: string,
    request: (url: string) => HttpClientRequest.HttpClientRequest
  ) {
    if (!sessionId.test(session)) return yield* fail("Rejected", "unknown session")
    const server = yield* serverNow(stream)
    yield* expectSuccess(server, yield* send(server, request(`${server.endpoint}/${session}`)))
  })

  return Whep.of({
    open: Effect.fnUntraced(function* (stream, offer) {
      const server = yield* serverNow(stream)
      const response = yield* send(
        server,
        HttpClientRequest.bodyText(
          HttpClientRequest.post(server.endpoint),
          offer,
          "application/sdp"
        )
      )
      yield* expectSuccess(server, response)
      // only its last part is used: where the session is, the settings say
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
        // the media server ends a session, too, when the page closes its connection
        Effect.catchIf(
          ({ code }) => code === "NoStream",
          () => Effect.void
        )
      )
  })
})

/** Why a request failed, in few words. Node hides the error of the socket in the causes. */
const causeOf = (error: HttpClientError.HttpClientError): string => {
  let cause: unknown = error.reason.cause
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? ""
  switch (code) {
    case "ECONNREFUSED":
      return "connection refused"
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "cannot resolve the host"
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "no route"
    default:
      return /CERT|ISSUER|SIGNATURE/.test(code)
        ? `its certificate is not trusted: ${code}; NODE_EXTRA_CA_CERTS names a file with the authority`
        : redact(cause instanceof Error ? cause.message : "connection failed")
  }
}
