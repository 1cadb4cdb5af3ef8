/**
 * A camera's stream in the native engine: the RTSP session that DESCRIBE opened, and the relay on the same
 * connection.
 *
 * `publish` follows the order that both sides require: SETUP at the camera, then ANNOUNCE, SETUP and RECORD at the
 * media server, and only then PLAY at the camera. No packet has to be buffered, and the tracks keep their offset in
 * time (MediaMTX derives a track's time from the arrival of its first packet).
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { CameraOptions } from "../../camera/CameraOptions.ts"
import * as MediaPath from "../../camera/MediaPath.ts"
import {
  NoVideo,
  type ProbeReason,
  type RelayReason,
  ServerRejected,
  Unsupported
} from "../../camera/Reason.ts"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import * as PublisherSession from "../../rtsp/client/PublisherSession.ts"
import * as ReaderSession from "../../rtsp/client/ReaderSession.ts"
import type { RtspError } from "../../rtsp/client/RtspError.ts"
import { startsKeyframe } from "../../rtsp/codec/Keyframe.ts"
import type { Method } from "../../rtsp/message/Method.ts"
import { trackByChannel } from "../../rtsp/interleaved/ChannelMap.ts"
import { scopedAttempt } from "../Attempt.ts"
import {
  anyServer,
  type CameraStream,
  type DestinationServer,
  type PublishOptions,
  type StreamSource
} from "../CameraStream.ts"
import { RelayError, type RunningRelay } from "../RunningRelay.ts"
import { isTapped, type Keyframe, KeyframeTap } from "../../picture/KeyframeTap.ts"
import type { StreamInfo } from "../StreamInfo.ts"
import { beginFlow, beginStart } from "./RelayLoad.ts"
import { cameraReason, serverReason } from "./NativeReason.ts"
import { announcement } from "./publish/Announcement.ts"
import {
  type PublishableTrack,
  type PublishableTracks,
  publishableTracks
} from "./publish/PublishableTracks.ts"
import {
  arrangeTracks,
  describeTracks,
  isAudio,
  isVideo,
  selectTracks,
  unsupportedAudio
} from "./publish/TrackSelection.ts"
import { PacketForwarder } from "./PacketForwarder.ts"
import { sendReceiverReports } from "./ReceiverReports.ts"
import { firstEnd, keepServerSession } from "./RelayEnd.ts"

export interface NativeStreamOptions {
  /** How long the video may pause, and how long the server may send no response. */
  readonly stallTimeout: Duration.Input
  /** How long the first video may take after PLAY, if that is longer than `stallTimeout`. */
  readonly firstVideoTimeout: Duration.Input
  /** The time for publishing at the media server, from connecting to the response to RECORD. */
  readonly serverTimeout: Duration.Input
  /** Makes the reason of a request that the camera refused more precise. */
  readonly explainRefusal: (reason: ProbeReason) => RelayReason
  /** The camera plays. */
  readonly onPlaying: () => void
  /** The session ended, and the camera may still keep it. */
  readonly onLeft: (left: ReaderSession.LeftSession) => void
}

/**
 * The interval of receiver reports, and of sender reports by restream's clock (RFC 3550 §6.2: at least five
 * seconds).
 */
const reportInterval = Duration.seconds(5)

/** The stream of an open session. */
export const make = (
  session: ReaderSession.ReaderSession,
  camera: PublishableTracks,
  info: StreamInfo,
  source: StreamSource,
  options: NativeStreamOptions
): CameraStream => {
  const publish = Effect.fnUntraced(function* ({
    destination,
    hasFallback,
    server = anyServer,
    userAgent
  }: PublishOptions): Effect.fn.Return<RunningRelay, RelayReason, Scope.Scope> {
    const notices: Array<string> = []
    const chosen = yield* chooseTracks(camera, source.options.audio, hasFallback, notices)
    // the session ends with the relay: it is never published again
    yield* Effect.addFinalizer(() =>
      Effect.map(session.teardown, () => {
        if (session.left !== undefined) options.onLeft(session.left)
      })
    )
    const fromCamera = ({ reason }: RtspError): RelayReason =>
      options.explainRefusal(cameraReason(reason))
    const set = yield* Effect.mapError(session.setup(chosen), fromCamera)
    if (set.length < chosen.length) {
      notices.push(withoutAudio("the camera rejected SETUP of its audio track"))
    }
    // started here: a session may expire after five seconds, and a server may take as long to check credentials
    yield* keepAlive(session)
    const { announced, publisher } = yield* publishTracks(
      set.map(({ track }) => track),
      destination,
      { timeout: options.serverTimeout, trust: server.trust, userAgent },
      notices
    )
    // the path may have additional audio, or the same tracks in another order
    const sent = announced.flatMap((track, index): ReadonlyArray<SentTrack> => {
      const from = set.find((one) => one.track === track)
      const to = publisher.channels[index]
      return from === undefined || to === undefined ? [] : [{ ...from, to }]
    })
    const flow = yield* makeFlow(session, sent, publisher, source.options.wallclock)
    yield* Effect.raceFirst(
      Effect.mapError(session.play({ frames: flow.forwarder.frames }), fromCamera),
      keepServerSession(publisher)
    )
    options.onPlaying()
    // sends OPTIONS for the camera's methods, now that no other request is pending
    yield* Effect.forkScoped(session.keepAlive)
    yield* sendReceiverReports(session.connection, sent, flow.forwarder.receptions, reportInterval)
    yield* Effect.sync(() => flow.forwarder.sendReports()).pipe(
      Effect.delay(reportInterval),
      Effect.forever,
      Effect.forkScoped
    )

    const ended = yield* Deferred.make<never, RelayError>()
    yield* firstEnd({
      ...options,
      checkServer: server.check,
      camera: session,
      publisher,
      forwarder: flow.forwarder
    }).pipe(
      Effect.flatMap((reason) => Deferred.fail(ended, new RelayError({ reason }))),
      // a defect must not look like a running relay
      Effect.catchCause((cause) => Deferred.failCause(ended, cause)),
      Effect.forkScoped
    )
    return {
      flowing: flow.flowing,
      ended: Deferred.await(ended),
      counters: () => ({
        bytes: flow.forwarder.bytes,
        packets: flow.forwarder.packets,
        lost: flow.forwarder.lost,
        dropped: flow.forwarder.dropped,
        lastVideoAt: flow.forwarder.lastVideoAt
      }),
      published: sent.some(({ track }) => isAudio(track)) ? info : { ...info, audio: undefined },
      notices,
      ...(flow.keyframe === undefined ? {} : { keyframe: flow.keyframe })
    }
  })

  return {
    info,
    publish: (publishOptions) =>
      Effect.acquireUseRelease(
        Effect.sync(beginStart),
        () => Effect.mapError(publish(publishOptions), (reason) => new RelayError({ reason })),
        (done) => Effect.sync(done)
      )
  }
}

const fromServer = ({ reason }: RtspError): RelayReason => serverReason(reason)

const withoutAudio = (why: string): string => `relaying without audio: ${why}`

/** Why the camera's audio cannot be published as the policy wants; `undefined` if it can. */
const audioProblem = (
  camera: PublishableTracks,
  policy: CameraOptions["audio"]
): string | undefined => {
  if (policy === "drop") return undefined
  const unsupported = unsupportedAudio(camera)
  if (unsupported !== undefined) return `${unsupported.codec} audio: ${unsupported.reason}`
  const codec = camera.tracks.find(isAudio)?.codec
  const needsTranscoding =
    (policy === "aac" || policy === "opus") && codec !== undefined && codec !== policy
  return needsTranscoding ? `transcoding ${codec} audio to ${policy}` : undefined
}

/** Chooses the tracks to relay. Audio that needs transcoding is left to the fallback engine, or left out. */
const chooseTracks = Effect.fnUntraced(function* (
  camera: PublishableTracks,
  policy: CameraOptions["audio"],
  hasFallback: boolean,
  notices: Array<string>
): Effect.fn.Return<ReadonlyArray<PublishableTrack>, RelayReason> {
  const problem = audioProblem(camera, policy)
  if (problem !== undefined) {
    if (hasFallback && policy !== "copy") {
      return yield* Effect.fail(new Unsupported({ what: problem }))
    }
    notices.push(withoutAudio(problem))
  }
  const tracks = selectTracks(camera, policy !== "drop" && problem === undefined)
  return tracks.some(isVideo) ? tracks : yield* Effect.fail(new NoVideo())
})

const isRejectedAt =
  (request: Method) =>
  ({ reason }: RtspError): boolean =>
    reason._tag === "Rejected" && reason.request === request && reason.status === 400

const isRejectedAnnouncement = isRejectedAt("ANNOUNCE")
const isRejectedRecording = isRejectedAt("RECORD")

interface ServerAccess extends Pick<DestinationServer, "trust">, Pick<PublishOptions, "userAgent"> {
  /** From connecting to the response to RECORD. */
  readonly timeout: Duration.Input
}

/** The tracks that the path has on the media server; `undefined` if it has none, or reading is not allowed. */
const tracksOfPath = (destination: StreamUrl, { timeout, trust }: ServerAccess) =>
  ReaderSession.open({
    url: destination,
    trust,
    openTimeout: timeout,
    requestTimeout: timeout
  }).pipe(
    Effect.map(
      ({ connection, description }) => publishableTracks(description, connection.secrets).tracks
    ),
    Effect.orElseSucceed(() => undefined),
    Effect.scoped
  )

/** A rejection by the media server; of RECORD, with the tracks that the path has, if they are known. */
const rejection = (
  error: RtspError,
  tracks: ReadonlyArray<PublishableTrack>,
  destination: StreamUrl,
  pathTracks?: ReadonlyArray<PublishableTrack>
): RelayReason => {
  const reason = fromServer(error)
  if (reason._tag !== "ServerRejected") return reason
  if (isRejectedAnnouncement(error)) {
    const character = MediaPath.versionDependent(destination.path)
    return character === undefined ? reason : new ServerRejected({ ...reason, character })
  }
  if (pathTracks === undefined) return reason
  const [expected, announced] = [describeTracks(pathTracks), describeTracks(tracks)]
  return expected === announced ? reason : new ServerRejected({ ...reason, expected, announced })
}

/**
 * Announces and records. If the server rejects the camera's parameter sets, it reads them from the stream instead.
 * If it rejects the tracks, a path that is always available may have them in another order, or audio that the
 * camera does not send: the tracks are then published as the path has them, because only then its readers stay
 * connected. Otherwise the audio may be the cause and is left out.
 */
const publishTracks = (
  tracks: ReadonlyArray<PublishableTrack>,
  destination: StreamUrl,
  access: ServerAccess,
  notices: Array<string>
) => {
  const attempt = Effect.fnUntraced(function* (
    announced: ReadonlyArray<PublishableTrack>,
    parameterSets = true
  ) {
    const publisher = yield* scopedAttempt(
      PublisherSession.open({
        url: destination,
        trust: access.trust,
        announcement: announcement(announced, { parameterSets }),
        openTimeout: access.timeout,
        // a server may take seconds to check credentials
        requestTimeout: access.timeout,
        sharedBuffer: true,
        userAgent: access.userAgent
      })
    )
    return { publisher, announced }
  })
  const withNotice = (notice: string) => Effect.tap(Effect.sync(() => void notices.push(notice)))
  const withoutAnyAudio = (error: RtspError, parameterSets: boolean) =>
    tracks.length > 1
      ? attempt(tracks.filter(isVideo), parameterSets).pipe(
          withNotice(withoutAudio("the media server rejected the stream with audio"))
        )
      : Effect.fail(error)
  const asPathHas = (arranged: ReadonlyArray<PublishableTrack>) => {
    const silent = arranged.filter((track) => !tracks.includes(track))
    return silent.length === 0
      ? attempt(arranged)
      : attempt(arranged).pipe(
          withNotice(`the path has ${describeTracks(silent)}, which the camera does not send`)
        )
  }
  const onRejectedRecording = (error: RtspError) =>
    Effect.flatMap(tracksOfPath(destination, access), (pathTracks) => {
      const arranged = pathTracks && arrangeTracks(tracks, pathTracks)
      const next = arranged === undefined ? withoutAnyAudio(error, true) : asPathHas(arranged)
      return Effect.mapError(next, (error) => rejection(error, tracks, destination, pathTracks))
    })
  const onRejectedAnnouncement = (error: RtspError) =>
    Effect.mapError(withoutAnyAudio(error, false), (error) => rejection(error, tracks, destination))
  return attempt(tracks).pipe(
    Effect.catchIf(isRejectedAnnouncement, () => attempt(tracks, false)),
    Effect.catch((error) =>
      isRejectedRecording(error)
        ? onRejectedRecording(error)
        : isRejectedAnnouncement(error)
          ? onRejectedAnnouncement(error)
          : Effect.fail(fromServer(error))
    )
  )
}

/** A track of the camera, with its channels at the media server. */
interface SentTrack extends ReaderSession.SetupTrack<PublishableTrack> {
  readonly to: readonly [rtp: number, rtcp: number]
}

/** The forwarding between the two sessions. */
interface Flow {
  readonly forwarder: PacketForwarder
  /** Done when the first video was sent to the server. */
  readonly flowing: Effect.Effect<void>
  readonly keyframe: RunningRelay["keyframe"]
}

/** The parameter sets of a track in the description. */
const describedSets = ({ published }: PublishableTrack): ReadonlyArray<Uint8Array> =>
  (published.parameters?.(true) ?? [])
    .filter(([name]) => name.startsWith("sprop-"))
    .flatMap(([, value]) => (value ?? "").split(","))
    .map((value) => Buffer.from(value, "base64"))

/** Extracts keyframes of the video for the fibers that wait for one. */
const makeTap = (track: PublishableTrack | undefined) => {
  if (track === undefined || !isTapped(track.codec)) return undefined
  const waiting = new Set<(keyframe: Keyframe) => void>()
  const tap = new KeyframeTap(track.codec, describedSets(track), (keyframe) => {
    tap.disarm()
    for (const resume of waiting) resume(keyframe)
    waiting.clear()
  })
  const keyframe = Effect.callback<Keyframe>((resume) => {
    const onKeyframe = (keyframe: Keyframe) => resume(Effect.succeed(keyframe))
    waiting.add(onKeyframe)
    tap.arm()
    return Effect.sync(() => {
      waiting.delete(onKeyframe)
      if (waiting.size === 0) tap.disarm()
    })
  })
  return { tap, keyframe }
}

const makeFlow = Effect.fnUntraced(function* (
  camera: ReaderSession.ReaderSession,
  sent: ReadonlyArray<SentTrack>,
  { connection }: PublisherSession.PublisherSession,
  hasOwnClock: boolean
): Effect.fn.Return<Flow, never, Scope.Scope> {
  const flowing = yield* Deferred.make<void>()
  const tapped = makeTap(sent.find(({ track }) => isVideo(track))?.track)
  const forwarder = new PacketForwarder({
    trackByChannel: trackByChannel(sent.map((track) => track.channels)),
    tracks: sent.map(({ to, track }) => ({
      kind: track.kind,
      startsKeyframe: startsKeyframe(track.codec),
      payloadType: track.payloadType,
      announcedType: track.published.format.payloadType,
      channels: to
    })),
    writer: {
      send: (piece, length) => void connection.writePiece(piece, length),
      unsent: () => connection.unsent
    },
    onFirstVideo: () => Deferred.doneUnsafe(flowing, Exit.void),
    clockRates: hasOwnClock ? sent.map(({ track }) => track.clockRate) : undefined,
    tap: tapped?.tap
  })
  const endFlow = beginFlow()
  camera.connection.isRelaying = true
  connection.isRelaying = true
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      camera.connection.isRelaying = false
      connection.isRelaying = false
      // the camera sends until its TEARDOWN; the server accepts nothing after its own TEARDOWN
      camera.connection.setFrameHandler(undefined)
      forwarder.flush()
      endFlow()
    })
  )
  return { forwarder, flowing: Deferred.await(flowing), keyframe: tapped?.keyframe }
})

/** Sends keep-alives to the camera until the scope closes, at a fixed rate, whether or not it responds. */
const keepAlive = (camera: ReaderSession.ReaderSession) =>
  Effect.forkChild(camera.keepAlive).pipe(
    Effect.delay(camera.keepAliveInterval),
    Effect.forever,
    Effect.forkScoped
  )
