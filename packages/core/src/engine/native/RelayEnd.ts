/** What ends a native relay: the camera, the media server, or media that stand still on either side. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { type RelayReason, PublisherReplaced, Stalled } from "../../camera/Reason.ts"
import { awaitStall } from "../StallWatch.ts"
import type { ReaderSession } from "../../rtsp/client/ReaderSession.ts"
import type { PublisherSession } from "../../rtsp/client/PublisherSession.ts"
import { cameraReason, serverReason } from "./NativeReason.ts"
import { lowWater, type PacketForwarder } from "./PacketForwarder.ts"

export interface Watched {
  readonly camera: ReaderSession
  readonly publisher: PublisherSession
  readonly forwarder: PacketForwarder
  /** How long the video may pause, and how long the server may send no sign of life. */
  readonly stallTimeout: Duration.Input
  /** How long the first video may take, if that is longer than `stallTimeout`. */
  readonly firstVideoTimeout: Duration.Input
  /** Whether the media server answers now. Asked when it ended our stream. */
  readonly checkServer: Effect.Effect<boolean>
}

/**
 * The longest time between two questions to the server. They are bytes, too: MediaMTX ends a publisher that
 * sends nothing for 10 s, and a camera that stands still would look like one that was put out.
 */
const longestQuiet = Duration.seconds(5)

/** How long a server may take too little before its relay ends, beyond the stall time. */
const overflowGrace = Duration.seconds(5)

/** Waits for whatever ends the relay first, and tells why it ended. */
export const firstEnd = (watched: Watched): Effect.Effect<RelayReason> =>
  Effect.raceAllFirst([
    cameraEnds(watched),
    serverEnds(watched),
    cameraStalls(watched),
    serverIsSilent(watched),
    serverIsTooSlow(watched)
  ])

const cameraEnds = ({ camera }: Watched): Effect.Effect<RelayReason> =>
  Effect.map(Effect.flip(camera.closed), ({ reason }) => cameraReason(reason))

/** Closed by a server that is there: we were put out. Else the server itself is gone. */
const serverEnds = ({ checkServer, publisher }: Watched): Effect.Effect<RelayReason> =>
  Effect.flatMap(Effect.flip(publisher.closed), ({ reason }) =>
    Effect.map(reason._tag === "Closed" ? checkServer : Effect.succeed(false), (checkNow) =>
      checkNow ? new PublisherReplaced() : serverReason(reason)
    )
  )

/** Notices video that pauses. The stall time counts from the first packet. */
const cameraStalls = (watched: Watched): Effect.Effect<RelayReason> =>
  Effect.suspend(() => {
    const { forwarder } = watched
    const playedAt = performance.now()
    const timeoutMs = Duration.toMillis(Duration.fromInputUnsafe(watched.stallTimeout))
    const firstTimeoutMs = Math.max(
      timeoutMs,
      Duration.toMillis(Duration.fromInputUnsafe(watched.firstVideoTimeout))
    )
    // a camera may take its time for the response to PLAY
    const silentMs = () => Math.min(forwarder.silentMs, performance.now() - playedAt)
    return Effect.map(
      awaitStall({
        silentMs,
        timeoutMs: () => (forwarder.lastVideoAt === undefined ? firstTimeoutMs : timeoutMs),
        // the first packet shortens what remains
        longestSleepMs: timeoutMs
      }),
      () => new Stalled({ side: "input", afterMs: Math.round(silentMs()) })
    )
  })

const outputStalled = (afterMs: number): RelayReason => new Stalled({ side: "output", afterMs })

/**
 * Notices a server that stands still. Its kernel goes on taking packets for many seconds, so the server is
 * asked for a sign of life on the very connection that carries the packets. One that has never given any
 * is not held to it.
 */
const serverIsSilent = Effect.fnUntraced(function* ({
  publisher: { connection, uri },
  ...watched
}: Watched): Effect.fn.Return<RelayReason> {
  const stallTimeout = Duration.fromInputUnsafe(watched.stallTimeout)
  const interval = Duration.min(Duration.times(stallTimeout, 0.5), longestQuiet)
  let hasAnswered = false

  // not all relays at the same moment
  let pause = Duration.times(interval, yield* Random.next)
  for (;;) {
    yield* Effect.sleep(pause)
    pause = interval
    const before = connection.received
    const answer = yield* Effect.exit(
      connection.exchange({ method: "OPTIONS", uri, timeout: stallTimeout })
    )
    if (Exit.isSuccess(answer)) hasAnswered = true
    else if (hasAnswered && connection.received === before) {
      // whoever waits for its end has the better reason
      if (!connection.isClosed) return outputStalled(Duration.toMillis(stallTimeout))
    }
  }
})

/** Keeps the session at the server alive while no packets flow: the camera may take long to play. */
export const keepServerSession = ({ connection, uri }: PublisherSession): Effect.Effect<never> =>
  Effect.sleep(longestQuiet).pipe(
    Effect.andThen(Effect.ignore(connection.exchange({ method: "OPTIONS", uri }))),
    Effect.forever
  )

/** Notices a server that gives signs of life, and yet takes less than the camera sends. */
const serverIsTooSlow = Effect.fnUntraced(function* ({
  publisher: { connection },
  forwarder,
  ...watched
}: Watched): Effect.fn.Return<RelayReason> {
  const stallTimeout = Duration.fromInputUnsafe(watched.stallTimeout)
  const interval = Duration.times(stallTimeout, 0.5)
  const longestMs = Duration.toMillis(Duration.sum(stallTimeout, overflowGrace))
  let slowMs = 0
  while (slowMs < longestMs) {
    yield* Effect.sleep(interval)
    // once it has taken what waited, only a keyframe is waited for: some cameras send one in 20 s
    const isTooSlow = forwarder.isDropping && connection.unsent > lowWater
    slowMs = isTooSlow ? slowMs + Duration.toMillis(interval) : 0
  }
  return outputStalled(slowMs)
})
