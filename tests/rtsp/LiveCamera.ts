/** A camera of the embedded server, and a session with it. */
import { Deferred, Effect, Result, type Scope } from "effect"
import {
  Announcement,
  CameraSession,
  Frame,
  PublisherSession,
  StreamUrl
} from "@restream/core/rtsp"
import {
  type Quirks,
  RtspServer,
  type RtspServerOptions,
  TestPattern
} from "@restream/core/testing"

export const url = (text: string): StreamUrl => Result.getOrThrow(StreamUrl.parse(text))

/** A server with a living camera at `cam` that has these quirks. */
export const cameraWith = Effect.fnUntraced(function* (
  quirks: Quirks,
  options: Omit<RtspServerOptions, "settings"> = {},
  pattern: TestPattern.TestPatternOptions = { audio: true, frameRate: 25, keyframeEvery: 1 }
) {
  const server = yield* RtspServer.make({ ...options, settings: () => ({ quirks }) })
  yield* TestPattern.publish(server, "cam", pattern)
  return server
})

export interface Watched {
  /** Done with the first frame of a slot, see `ChannelMap`. */
  readonly first: (slot: number) => Effect.Effect<void>
  /** Frames by slot so far. */
  readonly counts: Map<number, number>
  readonly handler: {
    readonly frames: (bytes: Buffer, start: number, end: number, reused: boolean) => void
  }
}

/** A handler that counts frames by the slots of the tracks that are set up. */
export const watch = (slots: Uint8Array): Watched => {
  const counts = new Map<number, number>()
  const firsts = new Map<number, Deferred.Deferred<void>>()
  const first = (slot: number) => {
    let deferred = firsts.get(slot)
    if (deferred === undefined) {
      deferred = Deferred.makeUnsafe<void>()
      firsts.set(slot, deferred)
    }
    return deferred
  }
  return {
    counts,
    first: (slot) => Deferred.await(first(slot)),
    handler: {
      frames: (bytes, start, end) => {
        for (let at = start; at < end; at = Frame.end(bytes, at)) {
          const slot = slots[Frame.channel(bytes, at)] ?? -1
          counts.set(slot, (counts.get(slot) ?? 0) + 1)
          Deferred.doneUnsafe(first(slot), Effect.void)
        }
      }
    }
  }
}

/** Opens, sets all tracks up and plays. */
export const play = Effect.fnUntraced(function* (
  options: CameraSession.CameraSessionOptions
): Effect.fn.Return<
  { readonly session: CameraSession.CameraSession; readonly watched: Watched },
  import("@restream/core/rtsp").RtspError.RtspError,
  Scope.Scope
> {
  const session = yield* CameraSession.open(options)
  yield* session.setup(session.offer.tracks)
  const watched = watch(session.slots)
  yield* session.play(watched.handler)
  return { session, watched }
})

/** Relays the test pattern to an address, packet by packet; its first video has gone there. */
export const publishPattern = Effect.fnUntraced(function* (
  address: string,
  pattern: TestPattern.TestPatternOptions = { frameRate: 25, keyframeEvery: 5, audio: true }
) {
  const source = yield* RtspServer.make()
  yield* TestPattern.publish(source, "cam", pattern)
  const camera = yield* CameraSession.open({ url: url(source.url("cam")) })
  yield* camera.setup(camera.offer.tracks)
  const publisher = yield* PublisherSession.open({
    url: url(address),
    announcement: Announcement.announcement(camera.offer.tracks)
  })
  const watched = watch(camera.slots)
  yield* camera.play({
    frames: (bytes, from, to, reused) => {
      watched.handler.frames(bytes, from, to, reused)
      publisher.connection.write(bytes.subarray(from, to))
    }
  })
  yield* watched.first(0)
  return publisher
})
