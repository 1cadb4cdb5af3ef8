/** The media server of a benchmark, in a process of its own: counts what comes, and what never came. */
import { InterleavedFrame, ReceptionStats, Rtp } from "@restream/core/rtsp"
import { listen } from "./Peer.ts"

interface Path {
  firstAt: number | undefined
  packets: number
  /** How many of them were there at the last report. */
  reported: number
  readonly receptions: ReadonlyArray<ReceptionStats.ReceptionStats>
}

const paths = new Map<string, Path>()
const now = () => performance.timeOrigin + performance.now()

const { port } = await listen({
  onStart: (_method, name) => {
    const path: Path = {
      firstAt: undefined,
      packets: 0,
      reported: 0,
      receptions: [new ReceptionStats.ReceptionStats(), new ReceptionStats.ReceptionStats()]
    }
    paths.set(name, path)
    return {
      frames: (bytes, start, end) => {
        path.firstAt ??= now()
        for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
          const channel = InterleavedFrame.channel(bytes, at)
          if ((channel & 1) === 1) continue
          path.packets++
          const packet = InterleavedFrame.packetStart(at)
          path.receptions[channel >> 1]?.take(Rtp.sequence(bytes, packet), Rtp.ssrc(bytes, packet))
        }
      }
    }
  }
})

export interface SinkReport {
  readonly firstAt: ReadonlyArray<number>
  /** Paths for which packets came since the last report. */
  readonly live: number
  readonly packets: number
  readonly gaps: number
}

process.on("message", () => {
  const all = [...paths.values()]
  const live = all.filter(({ packets, reported }) => packets > reported).length
  for (const path of all) path.reported = path.packets
  process.send?.({
    live,
    firstAt: all.flatMap(({ firstAt }) => firstAt ?? []),
    packets: all.reduce((sum, { packets }) => sum + packets, 0),
    gaps: all.reduce(
      (sum, { receptions }) => sum + receptions.reduce((lost, one) => lost + one.lost, 0),
      0
    )
  } satisfies SinkReport)
})
process.send?.({ port })
process.on("disconnect", () => process.exit())
