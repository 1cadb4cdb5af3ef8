/**
 * Checks whether the media servers would accept the streams: each is reachable, accepts the paths, and allows
 * publishing. Nothing is published, and a path with a publisher is not affected.
 *
 * - The response to DESCRIBE shows whether a path is accepted, see `PathAnswer`.
 * - Whether we may publish shows in the response to ANNOUNCE, on one path that has no publisher. RECORD does not
 *   follow, so no stream appears. Up to MediaMTX 1.13 ANNOUNCE claims the path, for the milliseconds until the
 *   connection is closed.
 */
import { type ConfiguredServer, mediaServersOf, type Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Camera } from "../camera/Camera.ts"
import { nameFirst } from "../camera/CameraNames.ts"
import type { MediaPath } from "../camera/MediaPath.ts"
import { cameraReason, serverReason } from "../engine/native/NativeReason.ts"
import { addressLabel, pathAddress, serverAddress } from "../media-server/MediaServer.ts"
import { checkOnce } from "../media-server/RtspCheck.ts"
import * as Connection from "../rtsp/client/Connection.ts"
import { trustOf } from "../rtsp/client/Dialer.ts"
import * as PublishedStreams from "./PublishedStreams.ts"

/** The number of paths that are described at a time. */
const concurrency = 64

const description = [
  "v=0",
  "o=- 0 0 IN IP4 127.0.0.1",
  "s=-",
  "t=0 0",
  "m=video 0 RTP/AVP 96",
  "a=rtpmap:96 H264/90000",
  "a=fmtp:96 packetization-mode=1",
  "a=control:trackID=0",
  ""
].join("\r\n")

/**
 * The problems of the media servers of the settings, in lines without secrets; empty if each server accepts its
 * cameras.
 *
 * @param known the answers that are already known. Default: none.
 */
export const run = (
  settings: Pick<Settings, "mediaServer" | "mediaServers">,
  cameras: ReadonlyArray<Pick<Camera, "mediaServer" | "path">>,
  known: PublishedStreams.PublishedStreams = PublishedStreams.none
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.forEach(
      mediaServersOf(settings),
      (server) =>
        checkServer(
          server,
          cameras.filter(({ mediaServer }) => mediaServer?.name === server.name),
          known
        ),
      { concurrency: "unbounded" }
    ),
    (problems) => problems.flat()
  )

const checkServer = Effect.fnUntraced(function* (
  { name, settings: server }: ConfiguredServer,
  cameras: ReadonlyArray<Pick<Camera, "path">>,
  known: PublishedStreams.PublishedStreams
): Effect.fn.Return<ReadonlyArray<string>> {
  const { checkTimeout } = server
  const address = serverAddress(server)
  const trust = trustOf(server)
  const destination = pathAddress(server)
  const label = `media server ${addressLabel(name, address.authority)}`

  const reachable = known.reachable(name) ?? (yield* Effect.result(checkOnce(server)))
  if (reachable._tag === "Failure") {
    return [
      `${label} is unreachable: ${reachable.failure.detail}; ${name === undefined ? "no camera can be published" : "none of its cameras can be published"}`
    ]
  }
  const paths = cameras.map(({ path }) => path)
  const [first, ...others] = paths

  /**
   * Sends one request on a new connection, because MediaMTX closes a connection after an error. Returns the reason
   * of a failure.
   */
  const request = (method: "ANNOUNCE" | "DESCRIBE", path: MediaPath) => {
    const url = destination(path)
    return Connection.make(Connection.endpointOf(url, trust), {
      answersRequests: false,
      connectTimeout: checkTimeout,
      requestTimeout: checkTimeout
    }).pipe(
      Effect.flatMap((connection) =>
        connection.request({
          method,
          uri: Redacted.value(url.withoutUserInfo),
          ...(method === "ANNOUNCE"
            ? {
                headers: [["Content-Type", "application/sdp"]] as const,
                body: Buffer.from(description)
              }
            : { headers: [["Accept", "application/sdp"]] as const })
        })
      ),
      Effect.match({ onSuccess: () => undefined, onFailure: ({ reason }) => reason }),
      Effect.scoped
    )
  }

  const ask = (path: MediaPath): Effect.Effect<PublishedStreams.PathAnswer> => {
    const answer = known.answer(name, path)
    return answer !== undefined
      ? Effect.succeed(answer)
      : Effect.map(request("DESCRIBE", path), (reason) =>
          reason === undefined ? "published" : PublishedStreams.answerOf(cameraReason(reason))
        )
  }

  /** Why publishing to a path is refused; `undefined`: it is allowed. */
  const announce = (path: MediaPath) =>
    Effect.map(request("ANNOUNCE", path), (reason) =>
      reason === undefined ? undefined : serverReason(reason)
    )

  const answers = new Map<MediaPath, PublishedStreams.PathAnswer>()
  if (first !== undefined) answers.set(first, yield* ask(first))
  // no further requests to a server that forbids reading: it may delay or block a client that fails often
  if (first !== undefined && answers.get(first) !== "forbidden") {
    yield* Effect.forEach(
      others,
      (path) => Effect.map(ask(path), (answer) => answers.set(path, answer)),
      { concurrency, discard: true }
    )
  }
  const refused = paths.filter((path) => answers.get(path) === "refused")
  const free = paths.find((path) => answers.get(path) === "free")
  const problems =
    refused.length === 0
      ? []
      : [
          `${label} does not allow ${named(refused)}; in MediaMTX, add all_others: or these paths below paths:`
        ]
  if (free !== undefined) {
    const reason = yield* announce(free)
    return reason === undefined
      ? problems
      : [...problems, `${label}, publishing to path ${free}: ${reason.message}`]
  }
  // no known free path, so another path is tried; its name may not be allowed
  const other =
    first === undefined
      ? server.pathTemplate.replaceAll(/\{[^}]*\}/g, "restream-check")
      : `${first}-restream-check`
  const reason = yield* announce(other as MediaPath)
  return reason?._tag === "ServerUnauthorized"
    ? [...problems, `${label}, publishing: ${reason.message}`]
    : problems
})

const named = (paths: ReadonlyArray<string>): string =>
  `path${paths.length === 1 ? "" : "s"} ${nameFirst(paths)}`
