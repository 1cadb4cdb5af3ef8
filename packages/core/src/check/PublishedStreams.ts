/**
 * Which cameras are relayed already: their paths are published on their media server.
 *
 * A weak camera serves one connection. So a check beside a daemon asks the media server first, and leaves
 * a camera alone whose stream is there. The media server knows this for every daemon, wherever it runs; it
 * must allow reading. Another publisher on the camera's path counts as well.
 */
import { mediaServersOf, type Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Camera } from "../camera/Camera.ts"
import * as NativeEngine from "../engine/native/NativeEngine.ts"
import type { StreamInfo } from "../engine/StreamInfo.ts"
import { pathAddress, serverAddress } from "../media-server/MediaServer.ts"
import { rtspCheck } from "../media-server/RtspCheck.ts"
import { trustOf } from "../rtsp/client/Dialer.ts"
import * as Deadline from "../time/Deadline.ts"

/** Describes a camera's stream on the media server; `undefined` if it is not published. */
export type PublishedStreams = (camera: Camera) => Effect.Effect<StreamInfo | undefined>

/** Nothing is published: every camera is probed. */
export const none: PublishedStreams = () => Effect.undefined

/** So many paths are described at a time. */
const concurrency = 64

/** Asks the media server of each camera. One that is unreachable publishes nothing, and is asked once. */
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
  return (camera) => (servers.get(camera.mediaServer?.name) ?? none)(camera)
})

const ofServer = Effect.fnUntraced(function* (
  defaults: Settings["camera"],
  server: Settings["mediaServer"]
): Effect.fn.Return<PublishedStreams> {
  const address = serverAddress(server)
  const isReachable = yield* rtspCheck(address, trustOf(server)).pipe(
    Effect.isSuccess,
    Deadline.within(server.checkTimeout, () => Effect.succeed(false))
  )
  if (!isReachable) return none

  const engine = NativeEngine.make({
    openTimeout: server.checkTimeout,
    checkServer: Effect.succeed(true)
  })
  const options = {
    ...defaults,
    insecure: server.insecure,
    fingerprint: server.fingerprint,
    transport: "tcp",
    wallclock: false
  } as const
  const destination = pathAddress(server)
  const permits = Semaphore.makeUnsafe(concurrency)
  return (camera) =>
    engine.open({ url: destination(camera.path), options }).pipe(
      Effect.map(({ info }) => info),
      // 404: not published. 401: reading is not allowed, so the camera itself has to be probed
      Effect.catch(() => Effect.undefined),
      Effect.scoped,
      permits.withPermit
    )
})
