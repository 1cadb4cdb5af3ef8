/** A camera on `RtspServer`, and a session with it. */
import { Deferred, Effect, Result, type Scope } from "effect"
import { Announcement, PublishableTracks } from "@restream/core"
import { ReaderSession, InterleavedFrame, PublisherSession, StreamUrl } from "@restream/core/rtsp"
import {
  type Quirks,
  RtspServer,
  type RtspServerOptions,
  TestPattern
} from "@restream/core/testing"

export const url = (text: string): StreamUrl => Result.getOrThrow(StreamUrl.parse(text))

/** A server with a live camera at `cam` with these quirks. */
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
  /** Succeeds with the first frame of a track slot, see `ChannelMap`. */
  readonly first: (trackSlot: number) => Effect.Effect<void>
  /** The number of frames by track slot. */
  readonly counts: Map<number, number>
  readonly handler: {
    readonly frames: (bytes: Buffer, start: number, end: number, reused: boolean) => void
  }
}

/** The tracks of a camera that can be published. */
export const publishable = ({ description }: Pick<ReaderSession.ReaderSession, "description">) =>
  PublishableTracks.publishableTracks(description).tracks

/** A handler that counts frames by track slot. */
export const watch = (trackByChannel: Uint8Array): Watched => {
  const counts = new Map<number, number>()
  const firsts = new Map<number, Deferred.Deferred<void>>()
  const first = (trackSlot: number) => {
    let deferred = firsts.get(trackSlot)
    if (deferred === undefined) {
      deferred = Deferred.makeUnsafe<void>()
      firsts.set(trackSlot, deferred)
    }
    return deferred
  }
  return {
    counts,
    first: (trackSlot) => Deferred.await(first(trackSlot)),
    handler: {
      frames: (bytes, start, end) => {
        for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
          const trackSlot = trackByChannel[InterleavedFrame.channel(bytes, at)] ?? -1
          counts.set(trackSlot, (counts.get(trackSlot) ?? 0) + 1)
          Deferred.doneUnsafe(first(trackSlot), Effect.void)
        }
      }
    }
  }
}

/** Opens a session, sets up all tracks and plays. */
export const play = Effect.fnUntraced(function* (
  options: ReaderSession.ReaderSessionOptions
): Effect.fn.Return<
  { readonly session: ReaderSession.ReaderSession; readonly watched: Watched },
  import("@restream/core/rtsp").RtspError.RtspError,
  Scope.Scope
> {
  const session = yield* ReaderSession.open(options)
  yield* session.setup(publishable(session))
  const watched = watch(session.trackByChannel)
  yield* session.play(watched.handler)
  return { session, watched }
})

/** Relays the test pattern to a URL, and succeeds once the first video packet was sent. */
export const publishPattern = Effect.fnUntraced(function* (
  address: string,
  pattern: TestPattern.TestPatternOptions = { frameRate: 25, keyframeEvery: 5, audio: true }
) {
  const source = yield* RtspServer.make()
  yield* TestPattern.publish(source, "cam", pattern)
  const camera = yield* ReaderSession.open({ url: url(source.url("cam")) })
  yield* camera.setup(publishable(camera))
  const publisher = yield* PublisherSession.open({
    url: url(address),
    announcement: Announcement.announcement(publishable(camera))
  })
  const watched = watch(camera.trackByChannel)
  yield* camera.play({
    frames: (bytes, from, to, reused) => {
      watched.handler.frames(bytes, from, to, reused)
      publisher.connection.write(bytes.subarray(from, to))
    }
  })
  yield* watched.first(0)
  return publisher
})
