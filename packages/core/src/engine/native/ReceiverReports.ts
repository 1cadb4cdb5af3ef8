/** Tells a camera how its packets arrive (RFC 3550 §6.4.2); some stop sending to whoever never does. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import type { ReaderSession } from "../../rtsp/client/ReaderSession.ts"
import type { ReceptionStats } from "../../rtsp/rtp/ReceptionStats.ts"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"

/** Sends a receiver report for each track at every interval, for as long as the scope lives. */
export const sendReceiverReports = Effect.fnUntraced(function* (
  { connection, tracks }: ReaderSession,
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
