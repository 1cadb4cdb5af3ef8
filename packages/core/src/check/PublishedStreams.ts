/**
 * Which cameras are relayed already: their paths are published on their media server.
 *
 * Some cameras serve only one connection. A check that runs at the same time as a daemon therefore asks the media
 * server first, and does not probe a camera whose stream is published. This works for daemons on any machine, and
 * requires that the media server allows reading. Another publisher on the camera's path counts as well.
 */
import { mediaServersOf, type Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { Camera } from "../camera/Camera.ts"
import type { MediaPath } from "../camera/MediaPath.ts"
import type { Reason } from "../camera/Reason.ts"
import * as NativeEngine from "../engine/native/NativeEngine.ts"
import type { StreamInfo } from "../engine/StreamInfo.ts"
import { type MediaServerError, pathAddress } from "../media-server/MediaServer.ts"
import { checkOnce } from "../media-server/RtspCheck.ts"

/** What the response to DESCRIBE says about a path: MediaMTX answers 404 without a publisher, and 400 if it does not allow the path. */
export type PathAnswer = "published" | "free" | "refused" | "forbidden" | "unknown"

/** The answer for a refused DESCRIBE. */
export const answerOf = (reason: Reason): PathAnswer => {
  if (reason._tag === "Unauthorized") return "forbidden"
  if (reason._tag === "NotFound") return "free"
  return reason._tag === "Rejected" && reason.status === 400 ? "refused" : "unknown"
}

export interface PublishedStreams {
  /** Describes a camera's stream on the media server; `undefined` if it is not published. */
  readonly find: (camera: Camera) => Effect.Effect<StreamInfo | undefined>
  /** Whether a media server is reachable; `undefined` if it was not asked. */
  readonly reachable: (
    server: string | undefined
  ) => Result.Result<void, MediaServerError> | undefined
  /** What a media server answered about a path; `undefined` if it was not asked. */
  readonly answer: (server: string | undefined, path: MediaPath) => PathAnswer | undefined
}

/** Nothing is published: every camera is probed. */
export const none: PublishedStreams = {
  find: () => Effect.undefined,
  reachable: () => undefined,
  answer: () => undefined
}

/** The number of paths that are described at a time. */
const concurrency = 64

/**
 * Asks the media server of each camera. An unreachable media server is tried once, and counts as publishing
 * nothing.
 */
export const make = Effect.fnUntraced(function* (
  settings: Settings
): Effect.fn.Return<PublishedStreams> {
  const servers = new Map(
    yield* Effect.forEach(
      mediaServersOf(settings),
      ({ name, settings: server }) =>
        Effect.map(ofServer(settings.camera, server), (published) => [name, published] as const),
      { concurrency: "unbounded" }
    )
  )
  const of = (name: string | undefined) => servers.get(name) ?? none
  return {
    find: (camera) => of(camera.mediaServer?.name).find(camera),
    reachable: (server) => of(server).reachable(server),
    answer: (server, path) => of(server).answer(server, path)
  }
})

const ofServer = Effect.fnUntraced(function* (
  defaults: Settings["camera"],
  server: Settings["mediaServer"]
): Effect.fn.Return<PublishedStreams> {
  const reachable = yield* Effect.result(checkOnce(server))
  if (Result.isFailure(reachable)) return { ...none, reachable: () => reachable }

  const engine = NativeEngine.make({ openTimeout: server.checkTimeout })
  const options = {
    ...defaults,
    insecure: server.insecure,
    fingerprint: server.fingerprint,
    transport: "tcp",
    wallclock: false
  } as const
  const destination = pathAddress(server)
  const permits = Semaphore.makeUnsafe(concurrency)
  const answers = new Map<MediaPath, PathAnswer>()
  return {
    find: ({ path }) =>
      engine.open({ url: destination(path), options }).pipe(
        Effect.match({
          onSuccess: ({ info }) => {
            answers.set(path, "published")
            return info
          },
          // the camera itself is probed, also if reading is not allowed
          onFailure: ({ reason }) => {
            const answer = answerOf(reason)
            if (answer !== "unknown") answers.set(path, answer)
            return undefined
          }
        }),
        Effect.scoped,
        permits.withPermit
      ),
    reachable: () => reachable,
    answer: (_, path) => answers.get(path)
  }
})
