/**
 * Requests to the WebRTC server and the HLS server of the media server, on behalf of a page.
 *
 * A page needs neither CORS nor credentials at the media server: if the server requires a login for reading,
 * restream uses its own, which the page never sees.
 */
import { redact } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import { settingsGroup, type StreamOnServer } from "../media-server/MediaServers.ts"
import { serverSettings } from "../media-server/ServerChoice.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { format } from "../time/DurationText.ts"
import { playerUrls, viewerUrls } from "./PlayerUrls.ts"

/**
 * Why a camera cannot be played.
 *
 * - `NotLive`: the camera is not live.
 * - `ServerUnreachable`: no WebRTC or HLS server responds.
 * - `AccessDenied`: the media server does not let restream read.
 * - `NoStream`: the media server does not have the path.
 * - `UnsupportedCodecs`: the browser, or the protocol, does not carry the codecs of the stream.
 * - `Rejected`: any other response of the media server.
 */
export const PlayProblem = Schema.Literals([
  "NotLive",
  "ServerUnreachable",
  "AccessDenied",
  "NoStream",
  "UnsupportedCodecs",
  "Rejected"
])
export type PlayProblem = typeof PlayProblem.Type

export class PlayError extends Schema.TaggedError<PlayError>()("PlayError", {
  code: PlayProblem,
  message: Schema.String
}) {}

export const fail = (code: PlayProblem, message: string) =>
  Effect.fail(new PlayError({ code, message }))

const names = { webrtc: "WebRTC", hls: "HLS" }

/** A status, and the text of the body. */
interface Reply {
  readonly status: number
  readonly body: string
}

/** The text of a body; empty if there is none, or if it is too long. */
export const textOf = (response: HttpClientResponse, maxBytes: number) => {
  if (response.status === 204) return Effect.succeed("")
  let bytes = 0
  return response.stream.pipe(
    Stream.takeWhile((chunk) => (bytes += chunk.length) <= maxBytes),
    Stream.runCollect,
    Effect.map((chunks) => (bytes > maxBytes ? "" : Buffer.concat(chunks).toString()))
  )
}

/** MediaMTX answers with `{"error": "…"}`. */
const errorOf = (body: string): string => {
  const error = /"error":\s*"((?:[^"\\]|\\.)*)"/.exec(body)?.[1] ?? body
  return redact(error.replaceAll(/\s+/g, " ").trim()).slice(0, 200)
}

/** The servers of one protocol, at the addresses in the settings in force. */
export const make = Effect.fnUntraced(function* (protocol: keyof typeof names) {
  const settings = yield* LiveSettings
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)

  /** The server of a stream's media server. */
  return Effect.fnUntraced(function* ({ mediaServer: name, path }: StreamOnServer) {
    const server = serverSettings(SubscriptionRef.getUnsafe(settings), name)
    if (server === undefined || path === undefined) {
      return yield* fail("NotLive", "the camera has no path on a media server now")
    }
    const group = settingsGroup(name)
    const base = viewerUrls(server)[protocol]

    const unreachable = (why: string) => {
      const setting = `${protocol}Url` as const
      const advice =
        server[setting] === undefined
          ? `set ${group}.${setting} to the address of the ${names[protocol]} server`
          : `check ${group}.${setting}, and that ${names[protocol]} is on in the media server`
      return fail(
        "ServerUnreachable",
        `no ${names[protocol]} server responds at ${base} (${why}); ${advice}`
      )
    }

    return {
      base,
      /** The URL of the stream. */
      url: playerUrls({ path }, server)[protocol],
      /**
       * Sends a request; with the login of restream if the server requires one. The scope ends the request. @param
       * read reads the response.
       */
      send: <A extends { readonly status: number }>(
        request: HttpClientRequest.HttpClientRequest,
        timeout: "10 seconds" | "20 seconds",
        read: (response: HttpClientResponse) => Effect.Effect<A, HttpClientError.HttpClientError>
      ) =>
        Effect.gen(function* () {
          const first = yield* Effect.flatMap(client.execute(request), read)
          const { password, username } = server
          if (first.status !== 401 || username === undefined) return first
          const login = HttpClientRequest.basicAuth(
            request,
            username,
            password ?? Redacted.make("")
          )
          return yield* Effect.flatMap(client.execute(login), read)
        }).pipe(
          Effect.timeout(timeout),
          Effect.catchTags({
            TimeoutError: () => unreachable(`no response within ${format(timeout)}`),
            HttpClientError: (error) => unreachable(causeOf(error))
          })
        ),
      /** Fails for every response but a success. */
      expectSuccess: ({ body, status }: Reply) => {
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
              : fail(
                  "Rejected",
                  `the media server at ${base} answered ${status}${said === "" ? "" : `: ${said}`}`
                )
        }
      }
    }
  })
})
export type PlayerServer = Effect.Success<ReturnType<Effect.Success<ReturnType<typeof make>>>>

/** Why a request failed, in few words. Node hides the error of the socket in the causes. */
export const causeOf = (error: HttpClientError.HttpClientError): string => {
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
