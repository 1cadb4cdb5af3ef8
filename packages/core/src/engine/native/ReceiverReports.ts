/** RTCP receiver reports to a camera (RFC 3550 §6.4.2); some cameras stop sending without them. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import type { Connection } from "../../rtsp/client/Connection.ts"
import type { SetupTrack } from "../../rtsp/client/ReaderSession.ts"
import type { ReceptionStats } from "../../rtsp/rtp/ReceptionStats.ts"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"

/** Sends a receiver report for each track at every interval, until the scope closes. */
export const sendReceiverReports = Effect.fnUntraced(function* (
  connection: Connection,
  tracks: ReadonlyArray<SetupTrack>,
  receptions: ReadonlyArray<ReceptionStats>,
  interval: Duration.Duration
): Effect.fn.Return<void, never, Scope.Scope> {
  const ssrc = yield* Random.nextIntBetween(1, 0xffffffff)
  const send = Effect.sync(() => {
    tracks.forEach(({ channels: [, channel] }, track) => {
      const block = receptions[track]?.report()
      if (block === undefined) return
      const packet = Rtcp.makeReceiverReport({ ssrc, blocks: [block], name: "restream" })
      connection.write(InterleavedFrame.make(channel, packet))
    })
  })
  yield* Effect.forkScoped(Effect.forever(Effect.delay(send, interval)))
})
