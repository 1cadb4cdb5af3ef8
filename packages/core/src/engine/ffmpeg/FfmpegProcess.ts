/** One ffmpeg process that relays a camera. */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type RelayReason, PublisherReplaced, Stalled } from "../../camera/Reason.ts"
import * as Deadline from "../../time/Deadline.ts"
import type * as Child from "../../process/Child.ts"
import type { ProcessLauncher } from "../../process/ProcessLauncher.ts"
import type { DestinationServer, StreamSource } from "../CameraStream.ts"
import { RelayError, type RelayCounters, type RunningRelay } from "../RunningRelay.ts"
import * as StallWatch from "../StallWatch.ts"
import type { StreamInfo } from "../StreamInfo.ts"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import { type AudioPlan, ffmpegArguments, ioTimeoutMs, isTranscoding } from "./FfmpegArgs.ts"
import * as FfmpegProgress from "./FfmpegProgress.ts"
import * as FfmpegReason from "./FfmpegReason.ts"
import * as FfmpegVersion from "./FfmpegVersion.ts"

export interface FfmpegProcessOptions {
  /** A path, or a name to look up in PATH. */
  readonly ffmpegPath: string
  /** How long the video may pause. */
  readonly stallTimeout: Duration.Input
  /**
   * How long the first video may take after the start of the process: ffmpeg connects, analyses the media,
   * publishes, and waits for a keyframe, which some cameras send only every 15 s. Default: 30 s more than for
   * opening the camera. Never less than `stallTimeout`.
   */
  readonly startTimeout?: Duration.Input | undefined
  /** Between TERM and KILL. */
  readonly killGrace: Duration.Input
}

/** What to relay. */
export interface RelayTarget {
  readonly source: StreamSource
  /** What the camera sends, by ffprobe. */
  readonly info: StreamInfo
  /** Whether the camera is known to send its pictures in the order in which they are displayed. */
  readonly isInOrder: boolean
  /** The camera's path on the media server, with the server's credentials. */
  readonly destination: StreamUrl
  readonly server: DestinationServer
  /** How ffmpeg names itself to the media server. Default: as ffmpeg does. */
  readonly userAgent?: string | undefined
  readonly openTimeout: Duration.Duration
}

/** A check of the media server that takes longer counts as failed. */
const checkTimeout = Duration.seconds(5)

/** Progress this shortly before the end may be the frame that ffmpeg held back. */
const flushMs = 1000

/** The time for a keyframe and the analysis of the media, beyond opening the camera. */
const keyframeTime = Duration.seconds(30)

/** A relay by one process. */
export interface FfmpegProcess extends Omit<RunningRelay, "published" | "notices"> {
  /** Done when ffmpeg has published its tracks and writes media of any of them. It never fails. */
  readonly writing: Effect.Effect<void>
}

/** A function that starts ffmpeg for a camera. The scope owns the process. */
export const make = (launcher: ProcessLauncher, options: FfmpegProcessOptions) => {
  const program = { name: "ffmpeg", path: options.ffmpegPath } as const
  const stallTimeout = Duration.fromInputUnsafe(options.stallTimeout)
  const stallTimeoutMs = Duration.toMillis(stallTimeout)
  const versions = FfmpegVersion.reader(program, launcher)

  return Effect.fnUntraced(function* (
    target: RelayTarget,
    audio: AudioPlan
  ): Effect.fn.Return<FfmpegProcess, RelayReason, Scope.Scope> {
    const { destination, info, isInOrder, openTimeout, server, source, userAgent } = target
    const startTimeout = Duration.max(
      Duration.fromInputUnsafe(options.startTimeout ?? Duration.sum(openTimeout, keyframeTime)),
      stallTimeout
    )
    const ioMs = ioTimeoutMs(source.url, Duration.toMillis(openTimeout), stallTimeoutMs)
    const version = yield* versions.get
    const args = yield* Effect.fromResult(
      ffmpegArguments(
        { source, info, isInOrder, audio, destination, userAgent },
        { version, ioTimeoutMs: ioMs, serverTrust: server.trust }
      )
    )
    const clock = yield* Clock.Clock
    const flowing = yield* Deferred.make<void>()
    const ended = yield* Deferred.make<never, RelayError>()
    const writing = yield* Deferred.make<void>()
    const progress = progressReader({
      // a transcoding ffmpeg publishes nothing before the first audio, and 7.0 does not report that
      countsBlindly: FfmpegVersion.isSevenZero(version) && !isTranscoding(audio),
      onWriting: () => Deferred.doneUnsafe(writing, Exit.void)
    })

    let onAdvance = () => {}
    const child = yield* launcher
      .launch({
        argv: [program.path, ...args],
        killGrace: options.killGrace,
        onFd3: (chunk) => {
          if (progress.take(chunk)) onAdvance()
        }
      })
      .pipe(Effect.mapError((error) => FfmpegVersion.startFailure(program, error)))
    const startedAt = clock.monotonicTimeNanosUnsafe()
    // started here: waiting for the spawn limiter must not count as a stall
    const watch = yield* StallWatch.make({ timeout: stallTimeout, startTimeout })
    let lastGapMs = 0
    let lastVideoAt: number | undefined
    onAdvance = () => {
      lastGapMs = watch.silentMs()
      watch.advance()
      lastVideoAt = clock.currentTimeMillisUnsafe()
      Deferred.doneUnsafe(flowing, Exit.void)
    }

    /** ffmpeg holds one frame back until it ends, so the frame before that counts. */
    const silentMs = () => {
      const sinceAdvance = watch.silentMs()
      return sinceAdvance < flushMs ? lastGapMs + sinceAdvance : sinceAdvance
    }

    const reasonOfEnd = (status: Child.ExitStatus): RelayReason =>
      FfmpegVersion.execFailure(program, status, child.stderr.lines()) ??
      FfmpegReason.relayReason({
        status,
        lines: child.stderr.lines(),
        lifeMs: Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e6,
        silentMs: silentMs(),
        hadFlowed: watch.hasAdvanced() || progress.counters().packets > 0,
        camera: source.url,
        destination,
        ioTimeoutMs: ioMs
      })

    const checkServer = Deadline.within(checkTimeout, () => Effect.succeed(false))(server.check)
    const byItself = Effect.gen(function* () {
      const reason = reasonOfEnd(yield* child.exited)
      // the program may have been replaced by another version
      if (reason._tag === "LaunchFailed" || reason._tag === "Exited") versions.forget()
      // a server that is reachable and ended the stream has replaced the publisher
      const isEvicted = reason._tag === "ServerGone" && watch.hasAdvanced() && (yield* checkServer)
      return { reason: isEvicted ? new PublisherReplaced() : reason, afterwards: Effect.void }
    })
    const byStall = Effect.gen(function* () {
      yield* watch.stalled
      const afterMs = Math.round(watch.silentMs())
      const side = (yield* checkServer) ? "input" : "output"
      // the owner closes the scope as well; the process ends even if it does not
      return { reason: new Stalled({ side, afterMs }), afterwards: child.kill }
    })
    const scope = yield* Effect.scope
    yield* Effect.raceFirst(byItself, byStall).pipe(
      Effect.tap(({ reason }) => Deferred.fail(ended, new RelayError({ reason }))),
      Effect.flatMap(({ afterwards }) => afterwards),
      // a defect must not look like a running relay
      Effect.catchCause((cause) => Deferred.failCause(ended, cause)),
      Effect.forkIn(scope)
    )

    return {
      flowing: Deferred.await(flowing),
      ended: Deferred.await(ended),
      writing: Deferred.await(writing),
      counters: () => ({ ...progress.counters(), lastVideoAt })
    }
  })
}

/**
 * Parses the progress of a process. `take` returns whether the video advanced.
 *
 * ffmpeg 7.0 reports no figures while a camera's microphone sends nothing. With `countsBlindly`, each block then
 * counts as an advance: a relay without a stall check is better than endless restarts.
 */
const progressReader = ({
  countsBlindly,
  onWriting
}: {
  readonly countsBlindly: boolean
  readonly onWriting: () => void
}) => {
  const decoder = new TextDecoder("latin1")
  let state = FfmpegProgress.initial
  let meter = FfmpegProgress.emptyMeter

  return {
    take: (chunk: Uint8Array): boolean => {
      const parsed = FfmpegProgress.parse(state, decoder.decode(chunk, { stream: true }))
      state = parsed.state
      let hasAdvanced = false
      for (const block of parsed.blocks) {
        if (FfmpegProgress.isWriting(block)) onWriting()
        const measured = FfmpegProgress.measure(meter, block)
        meter = measured.meter
        hasAdvanced ||= measured.hasAdvanced || (countsBlindly && FfmpegProgress.isBlind(meter))
      }
      return hasAdvanced
    },
    counters: (): Omit<RelayCounters, "lastVideoAt"> => ({
      bytes: meter.bytes,
      packets: meter.frames,
      lost: 0,
      dropped: 0
    })
  }
}
