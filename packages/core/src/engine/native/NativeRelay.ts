/**
 * Relays a camera within this process: an RTSP session with the camera, one with the media server, and the
 * pump between them.
 *
 * The order is what both sides want: the camera is asked and set up, the server accepts the announcement
 * and the recording, and only then the camera plays. So nothing is held back before, and the tracks start
 * as far apart as they were (MediaMTX takes a track's time from the arrival of its first packet).
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { CameraOptions } from "../../camera/CameraOptions.ts"
import { NoVideo, type RelayReason, Unsupported } from "../../camera/Reason.ts"
import { type Relay, RelayError, type RelayJob, type RunningRelay } from "../RunningRelay.ts"
import { announcement } from "./publish/Announcement.ts"
import { trackByChannel } from "../../rtsp/interleaved/ChannelMap.ts"
import * as ReaderSession from "../../rtsp/client/ReaderSession.ts"
import { type DialOptions, type Trust, trustOf } from "../../rtsp/client/Dialer.ts"
import * as PublisherSession from "../../rtsp/client/PublisherSession.ts"
import type { RtspError } from "../../rtsp/client/RtspError.ts"
import { startsKeyframe } from "../../rtsp/codec/Keyframe.ts"
import { type PublishableTrack, publishableTracks } from "./publish/PublishableTracks.ts"
import { isAudio, isVideo, selectTracks, unsupportedAudio } from "./publish/TrackSelection.ts"
import { beginFlow, beginStart } from "./Activity.ts"
import { cameraReason, serverReason } from "./NativeReason.ts"
import { Pump } from "./Pump.ts"
import { sendReceiverReports } from "./ReceiverReports.ts"
import { firstEnd } from "./RelayEnd.ts"
import { unsupported } from "./Target.ts"

export interface NativeRelayOptions {
  /** How long the video may stand still, and how long the server may leave us without a sign. */
  readonly stallTimeout: Duration.Input
  /** For each of: asking the camera, and announcing to the server. */
  readonly openTimeout: Duration.Input
  /** Whose certificate of an `rtsps` media server is good. */
  readonly serverTrust: Trust
  /** Whether the media server answers now. Asked when it ended our stream. */
  readonly checkServer: Effect.Effect<boolean>
  /** Finds the addresses of a name, the camera's or the server's. Default: the system's way. */
  readonly resolve?: DialOptions["resolve"]
}

/** How often a camera hears how its packets arrive (RFC 3550 §6.2: five seconds at least). */
const reportInterval = Duration.seconds(5)

export const make = (options: NativeRelayOptions): Relay => {
  const start = Effect.fnUntraced(function* (
    job: RelayJob
  ): Effect.fn.Return<RunningRelay, RelayReason, Scope.Scope> {
    const what = unsupported(job.camera)
    if (what !== undefined) return yield* Effect.fail(new Unsupported({ what }))

    const camera = yield* openCamera(job, options)
    const wanted = yield* chooseTracks(job, camera)
    const set = yield* Effect.mapError(camera.setup(wanted), fromCamera)
    if (set.length < wanted.length) {
      yield* sayWithoutSound(job, "the camera rejected SETUP of its audio track")
    }
    const tracks = set.map(({ track }) => track)
    // from now on: a session may live five seconds, and a server think as long about a password
    yield* keepAlive(camera)
    const publisher = yield* publish(job, tracks, options)
    const flow = yield* makeFlow(camera, set, publisher)
    yield* Effect.mapError(camera.play({ frames: flow.pump.frames }), fromCamera)
    // asks what it knows, now that no other request can be in its way
    yield* Effect.forkScoped(camera.keepAlive)
    yield* sendReceiverReports(camera, flow.pump.receptions, reportInterval)

    const ended = yield* Deferred.make<never, RelayError>()
    yield* firstEnd({ ...options, camera, publisher, pump: flow.pump }).pipe(
      Effect.flatMap((reason) => Deferred.fail(ended, new RelayError({ reason }))),
      // a fault of ours must not look like a relay that runs
      Effect.catchCause((cause) => Deferred.failCause(ended, cause)),
      Effect.forkScoped
    )
    return {
      flowing: flow.flowing,
      ended: Deferred.await(ended),
      counters: () => ({
        bytes: flow.pump.bytes,
        packets: flow.pump.packets,
        lost: flow.pump.lost,
        dropped: flow.pump.dropped,
        lastVideoAt: flow.pump.lastVideoAt
      })
    }
  })

  return {
    start: (job) =>
      Effect.acquireUseRelease(
        Effect.sync(beginStart),
        () => Effect.mapError(start(job), (reason) => new RelayError({ reason })),
        (done) => Effect.sync(done)
      )
  }
}

const fromCamera = ({ reason }: RtspError): RelayReason => cameraReason(reason)
const fromServer = ({ reason }: RtspError): RelayReason => serverReason(reason)

const openCamera = ({ camera }: RelayJob, { openTimeout, resolve }: NativeRelayOptions) =>
  Effect.mapError(
    ReaderSession.open({
      url: camera.url,
      trust: trustOf(camera.options),
      openTimeout,
      resolve,
      sharedBuffer: true
    }),
    fromCamera
  )

/** Whether the options ask for sound in a form that only transcoding could give. */
const wantsTranscoding = (policy: CameraOptions["audio"], codec: string | undefined): boolean =>
  (policy === "aac" || policy === "opus") && codec !== undefined && codec !== policy

/** Chooses what is relayed. What would need transcoding goes to the engine that stands by, or is left out. */
const chooseTracks = Effect.fnUntraced(function* (
  job: RelayJob,
  session: ReaderSession.ReaderSession
): Effect.fn.Return<ReadonlyArray<PublishableTrack>, RelayReason> {
  const policy = job.camera.options.audio
  const publishable = publishableTracks(session.description)
  const sound = publishable.tracks.find(isAudio)
  const unusable = policy === "drop" ? undefined : unsupportedAudio(publishable)
  const toTranscode = wantsTranscoding(policy, sound?.codec)
  const problem =
    unusable !== undefined
      ? `${unusable.codec} audio: ${unusable.reason}`
      : toTranscode
        ? `transcoding ${sound?.codec} audio to ${policy}`
        : undefined
  if (problem !== undefined) {
    if (job.hasFallback && policy !== "copy") {
      return yield* Effect.fail(new Unsupported({ what: problem }))
    }
    yield* sayWithoutSound(job, problem)
  }
  const tracks = selectTracks(publishable, policy !== "drop" && !toTranscode)
  return tracks.some(isVideo) ? tracks : yield* Effect.fail(new NoVideo())
})

const sayWithoutSound = (_job: RelayJob, why: string) =>
  Effect.logWarning(`relaying without audio: ${why}`).pipe(Effect.annotateLogs("module", "engine"))

const isRejectedAnnouncement = ({ reason }: RtspError): boolean =>
  reason._tag === "Rejected" && reason.request === "ANNOUNCE" && reason.status === 400

/**
 * Announces. Where the server rejects the camera's parameter sets it gets to read them from the stream, and
 * where it rejects that, too, the sound may be to blame: it must not lose the camera.
 */
const publish = (
  job: RelayJob,
  tracks: ReadonlyArray<PublishableTrack>,
  options: NativeRelayOptions
) => {
  const attempt = Effect.fnUntraced(function* (
    announced: ReadonlyArray<PublishableTrack>,
    parameterSets: boolean
  ) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* PublisherSession.open({
      url: job.destination,
      trust: options.serverTrust,
      announcement: announcement(announced, { parameterSets }),
      openTimeout: options.openTimeout,
      // a server that checks credentials may take seconds for it
      requestTimeout: options.openTimeout,
      resolve: options.resolve,
      sharedBuffer: true
    }).pipe(
      Scope.provide(scope),
      // the next attempt comes on a connection of its own
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
  })
  const withoutSound = Effect.tap(attempt(tracks.filter(isVideo), false), () =>
    sayWithoutSound(job, "the media server rejected the announcement with audio")
  )
  return attempt(tracks, true).pipe(
    Effect.catchIf(isRejectedAnnouncement, () => attempt(tracks, false)),
    tracks.length > 1 ? Effect.catchIf(isRejectedAnnouncement, () => withoutSound) : (self) => self,
    Effect.mapError(fromServer)
  )
}

/** The pump between two sessions, and what is known of its flow. */
interface Flow {
  readonly pump: Pump
  /** Done when the first video went to the server. */
  readonly flowing: Effect.Effect<void>
}

const makeFlow = Effect.fnUntraced(function* (
  camera: ReaderSession.ReaderSession,
  set: ReadonlyArray<ReaderSession.SetupTrack<PublishableTrack>>,
  { channels, connection }: PublisherSession.PublisherSession
): Effect.fn.Return<Flow, never, Scope.Scope> {
  const flowing = yield* Deferred.make<void>()
  // the server may have taken fewer than the camera was asked for
  const tracks = channels.flatMap((sent, index) => {
    const from = set[index]
    return from === undefined ? [] : [{ ...from, sent }]
  })
  const pump = new Pump({
    trackByChannel: trackByChannel(tracks.map((track) => track.channels)),
    tracks: tracks.map(({ sent, track }) => ({
      kind: track.kind,
      startsKeyframe: startsKeyframe(track.codec),
      channels: sent
    })),
    outlet: {
      send: (piece, length) => void connection.writePiece(piece, length),
      unsent: () => connection.unsent
    },
    onFirstVideo: () => Deferred.doneUnsafe(flowing, Exit.void)
  })
  const endFlow = beginFlow()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      // the camera sends on until its own TEARDOWN, and the server wants nothing behind its own
      camera.connection.setFrameHandler(undefined)
      pump.flush()
      endFlow()
    })
  )
  return { pump, flowing: Deferred.await(flowing) }
})

/** Tells the camera that we are still there, for as long as the scope lives: at a fixed rate, answered or not. */
const keepAlive = (camera: ReaderSession.ReaderSession) =>
  Effect.forkChild(camera.keepAlive).pipe(
    Effect.delay(camera.keepAliveInterval),
    Effect.forever,
    Effect.forkScoped
  )
