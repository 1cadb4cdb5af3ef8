/** What ends a native relay: the camera, the media server, or a stall on either side. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { type RelayReason, PublisherReplaced, Stalled } from "../../camera/Reason.ts"
import { awaitStall } from "../StallWatch.ts"
import type { Connection } from "../../rtsp/client/Connection.ts"
import type { ReaderSession } from "../../rtsp/client/ReaderSession.ts"
import type { PublisherSession } from "../../rtsp/client/PublisherSession.ts"
import { cameraReason, serverReason } from "./NativeReason.ts"
import { lowWater, type PacketForwarder } from "./PacketForwarder.ts"

export interface Watched {
  readonly camera: Pick<ReaderSession, "closed">
  readonly publisher: Pick<PublisherSession, "closed" | "uri"> & {
    readonly connection: Pick<Connection, "exchange" | "isClosed" | "received" | "unsent">
  }
  readonly forwarder: Pick<
    PacketForwarder,
    "isDropping" | "lastVideoAt" | "silentMs" | "unannouncedType"
  >
  /** How long the video may pause, and how long the server may send no response. */
  readonly stallTimeout: Duration.Input
  /** How long the first video may take, if that is longer than `stallTimeout`. */
  readonly firstVideoTimeout: Duration.Input
  /** Whether the media server responds now. Runs when the server ended the stream. */
  readonly checkServer: Effect.Effect<boolean>
}

/**
 * The longest time between two requests to the server. They count as traffic: MediaMTX ends a publisher that
 * sends nothing for 10 s, and a stalled camera would look like a replaced publisher.
 */
const longestQuiet = Duration.seconds(5)

/** How long a server may be too slow before its relay ends, beyond the stall time. */
const overflowGrace = Duration.seconds(5)

/** Waits for the first of the events that end the relay, and returns the reason. */
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

/** If the server is reachable, another publisher replaced the stream; otherwise the reason is `ServerGone`. */
const serverEnds = ({ checkServer, publisher }: Watched): Effect.Effect<RelayReason> =>
  Effect.flatMap(Effect.flip(publisher.closed), ({ reason }) =>
    Effect.map(reason._tag === "Closed" ? checkServer : Effect.succeed(false), (isReachable) =>
      isReachable ? new PublisherReplaced() : serverReason(reason)
    )
  )

/** Detects video that pauses. The stall time counts from the first packet. */
const cameraStalls = (watched: Watched): Effect.Effect<RelayReason> =>
  Effect.suspend(() => {
    const { forwarder } = watched
    const playedAt = performance.now()
    const timeoutMs = Duration.toMillis(Duration.fromInputUnsafe(watched.stallTimeout))
    const firstTimeoutMs = Math.max(
      timeoutMs,
      Duration.toMillis(Duration.fromInputUnsafe(watched.firstVideoTimeout))
    )
    // the forwarder exists before PLAY, and a camera may respond to PLAY late
    const silentMs = () => Math.min(forwarder.silentMs, performance.now() - playedAt)
    return Effect.map(
      awaitStall({
        silentMs,
        timeoutMs: () => (forwarder.lastVideoAt === undefined ? firstTimeoutMs : timeoutMs),
        // the first packet shortens the rest of the wait
        longestSleepMs: timeoutMs
      }),
      () => {
        const afterMs = Math.round(silentMs())
        const { unannouncedType } = forwarder
        return new Stalled(
          unannouncedType === undefined
            ? { side: "input", afterMs }
            : { side: "input", afterMs, unannouncedType }
        )
      }
    )
  })

const outputStalled = (afterMs: number): RelayReason => new Stalled({ side: "output", afterMs })

/**
 * Detects a server that is suspended. Its kernel accepts packets for many more seconds, so requests on the same
 * connection check that it still responds. A server that never responded to such a request does not count as
 * stalled.
 */
const serverIsSilent = Effect.fnUntraced(function* ({
  publisher: { connection, uri },
  ...watched
}: Watched): Effect.fn.Return<RelayReason> {
  const stallTimeout = Duration.fromInputUnsafe(watched.stallTimeout)
  const interval = Duration.min(Duration.times(stallTimeout, 0.5), longestQuiet)
  let hasResponded = false

  // spread over time, so that not all relays send their request at once
  let pause = Duration.times(interval, yield* Random.next)
  for (;;) {
    yield* Effect.sleep(pause)
    pause = interval
    const before = connection.received
    const answer = yield* Effect.exit(
      connection.exchange({ method: "OPTIONS", uri, timeout: stallTimeout })
    )
    if (Exit.isSuccess(answer)) hasResponded = true
    else if (hasResponded && connection.received === before) {
      // the end of the connection has the better reason
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

/** Detects a server that responds, but accepts less than the camera sends. */
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
    // after the server caught up only a keyframe is missing: some cameras send one every 20 s
    const isTooSlow = forwarder.isDropping && connection.unsent > lowWater
    slowMs = isTooSlow ? slowMs + Duration.toMillis(interval) : 0
  }
  return outputStalled(slowMs)
})
