/**
 * Forwards the playlists and segments of the HLS server to a page that cannot play by WebRTC.
 *
 * All files of a path are directly below the path. Playlists are forwarded unchanged: their relative addresses
 * point to this API, and the content security policy of the page allows no others.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { StreamOnServer } from "../media-server/MediaServers.ts"
import * as ForwardedRequests from "../network/ForwardedRequests.ts"
import type { LiveSettings } from "../settings/LiveSettings.ts"
import * as PlayerServer from "./PlayerServer.ts"
import { fail, type PlayError } from "./PlayerServer.ts"

/** A file of a path and its content. The content type of the server is not trusted. */
export interface HlsFile {
  readonly contentType: string
  readonly body: Stream.Stream<Uint8Array, PlayError>
}

const contentTypes: Readonly<Record<string, string>> = {
  m3u8: "application/vnd.apple.mpegurl",
  mp4: "video/mp4",
  m4s: "video/mp4",
  ts: "video/mp2t"
}
const fileName = /^\w[\w-]{0,127}\.(m3u8|mp4|m4s|ts)$/
const parameter = Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[\w-]{1,128}$/)))

/** The name of a playlist or segment; it cannot lead out of the path. */
export const HlsFileName = Schema.String.check(
  Schema.isPattern(fileName, { message: "Expected the name of a playlist or a segment" })
)

/** The query of addresses in playlists of MediaMTX: the session, and the awaited part (RFC 8216bis, 6.2.5). */
export const HlsQuery = {
  session: parameter,
  _HLS_msn: parameter,
  _HLS_part: parameter,
  _HLS_skip: parameter
}
export type HlsQuery = Readonly<Partial<Record<keyof typeof HlsQuery, string>>>

const maxPlaylistBytes = 256 * 1024
const maxSegmentBytes = 64 * 1024 * 1024
/**
 * The first playlist of a path is available when the media server has a segment: after the second keyframe from
 * now.
 */
const timeout = "20 seconds"
const longest = "60 seconds"
/** A player requests at most four files at once. */
const maxRequests = 64
const maxRedirects = 3

export class Hls extends Context.Service<
  Hls,
  {
    /** Opens a file of a stream. The scope ends the request to the HLS server, which also ends after a minute. */
    readonly open: (
      stream: StreamOnServer,
      file: string,
      query: HlsQuery
    ) => Effect.Effect<HlsFile, PlayError, Scope.Scope>
  }
>()("@restream/core/player/Hls") {
  /** Requests files from the HLS server of the stream's media server, by its `hlsUrl`. */
  static readonly layer: Layer.Layer<Hls, never, LiveSettings> = Layer.effect(
    Hls,
    Effect.suspend(() => make)
  ).pipe(Layer.provide(ForwardedRequests.withoutRedirects))
}

interface Reply {
  readonly status: number
  /** Of playlists and of errors. */
  readonly body: string
  readonly location: string | undefined
  readonly segment: HttpClientResponse["stream"] | undefined
}

/**
 * The target of a redirect: MediaMTX redirects to test for a cookie, and without one puts the session into the
 * playlists.
 */
const redirected = (from: URL, { location, status }: Reply): URL | undefined => {
  if (status < 300 || status >= 400 || location === undefined) return undefined
  const to = URL.parse(location, from.href)
  return to?.origin === from.origin && to.pathname === from.pathname ? to : undefined
}

const make = Effect.gen(function* () {
  const serverOf = yield* PlayerServer.make("hls")
  const slot = ForwardedRequests.makeSlots({
    most: maxRequests,
    longest,
    onFull: fail("Rejected", `too many HLS requests are under way (${maxRequests})`)
  })

  const get = (server: PlayerServer.PlayerServer, url: URL, isPlaylist: boolean) =>
    server.send(HttpClientRequest.get(url.href), timeout, (response) => {
      const { headers, status } = response
      const head = { status, location: headers["location"] }
      return !isPlaylist && status === 200
        ? Effect.succeed<Reply>({ ...head, body: "", segment: response.stream })
        : Effect.map(PlayerServer.textOf(response, maxPlaylistBytes), (body): Reply => ({
            ...head,
            body,
            segment: undefined
          }))
    })

  return Hls.of({
    open: Effect.fnUntraced(function* (stream, file, query) {
      const extension = fileName.exec(file)?.[1]
      if (extension === undefined) return yield* fail("Rejected", "unknown file")
      const contentType = contentTypes[extension]!
      const isPlaylist = extension === "m3u8"
      const server = yield* serverOf(stream)
      let url = new URL(`${server.url}/${file}`)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)

      const scope = yield* slot
      let reply = yield* Scope.provide(get(server, url, isPlaylist), scope)
      for (let redirects = 0; redirects < maxRedirects; redirects++) {
        const next = redirected(url, reply)
        if (next === undefined) break
        url = next
        reply = yield* Scope.provide(get(server, url, isPlaylist), scope)
      }
      yield* server.expectSuccess(reply)
      const { body, segment, status } = reply
      if (segment !== undefined) return { contentType, body: limited(segment) }
      if (status !== 200 || !body.startsWith("#EXTM3U")) {
        return yield* fail("Rejected", `${server.base} is not an HLS server`)
      }
      return { contentType, body: Stream.succeed(new TextEncoder().encode(body)) }
    })
  })
})

/** A segment that fails if the HLS server stops sending, or sends too much. */
const limited = (segment: HttpClientResponse["stream"]): HlsFile["body"] => {
  let bytes = 0
  return segment.pipe(
    Stream.mapEffect((chunk) =>
      (bytes += chunk.length) <= maxSegmentBytes
        ? Effect.succeed(chunk)
        : fail("Rejected", `the segment exceeds ${maxSegmentBytes} bytes`)
    ),
    Stream.catchTag("HttpClientError", () =>
      Stream.fromEffect(fail("ServerUnreachable", "the HLS server ended the segment early"))
    )
  )
}
