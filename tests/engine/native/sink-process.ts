/**
 * A media server in a process of its own, which can be frozen: it notes where each stream has a gap, and
 * with which packet it goes on. `{ slow: true }` makes it read little at a time, until `{ slow: false }`.
 */
import { InterleavedFrame, Rtp } from "@restream/core/rtsp"
import type { Socket } from "node:net"
import { listen } from "../../bench/Peer.ts"

/** A gap in a stream, in the order in which they were met. */
export interface Gap {
  readonly track: number
  readonly lost: number
  /** The first bytes of the payload behind it: enough to tell the first fragment of a unit from a later one. */
  readonly next: ReadonlyArray<number>
}

export interface SunkPath {
  readonly packets: number
  /** Video packets since the last gap in it. */
  readonly sinceGap: number
  readonly gaps: ReadonlyArray<Gap>
}

export type SinkReport = Readonly<Record<string, SunkPath>>

interface Path {
  packets: number
  sinceGap: number
  readonly gaps: Array<Gap>
  readonly last: Map<number, number>
}

const paths = new Map<string, Path>()
/** What may still be read of each stream in this tick. */
const budgets = new Map<Socket, number>()

const take = (path: Path, bytes: Buffer, at: number) => {
  const channel = InterleavedFrame.channel(bytes, at)
  if ((channel & 1) === 1) return
  const track = channel >> 1
  const packet = InterleavedFrame.packetStart(at)
  const sequence = Rtp.sequence(bytes, packet)
  const lost = (sequence - (path.last.get(track) ?? sequence - 1) - 1) & 0xffff
  path.last.set(track, sequence)
  path.packets++
  if (track === 0) path.sinceGap++
  if (lost === 0) return
  if (track === 0) path.sinceGap = 0
  const payload = packet + Rtp.headerBytes
  path.gaps.push({ track, lost, next: [...bytes.subarray(payload, payload + 3)] })
}

const { port } = await listen({
  onStart: (_method, name, socket) => {
    const path: Path = { packets: 0, sinceGap: 0, gaps: [], last: new Map() }
    paths.set(name, path)
    budgets.set(socket, slowBytes)
    return {
      frames: (bytes, start, end) => {
        for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) take(path, bytes, at)
        spend(socket, end - start)
      },
      end: () => budgets.delete(socket)
    }
  }
})

/**
 * What a slow server reads of each stream in a tick: 2.6 MB a second. A camera sends 10 MB, but a loaded
 * machine lets it send half of that, and the server must be slow even then.
 */
const slowBytes = 131_072
const tickMs = 50

let isSlow = false
setInterval(() => {
  if (!isSlow) return
  for (const [socket] of budgets) {
    budgets.set(socket, slowBytes)
    socket.resume()
  }
}, tickMs)

const beSlow = (slow: boolean) => {
  isSlow = slow
  for (const [socket] of budgets) socket.resume()
}

/** Reads no more of a stream in this tick, where a slow server has had enough of it. */
const spend = (socket: Socket, bytes: number) => {
  const left = (budgets.get(socket) ?? 0) - bytes
  budgets.set(socket, left)
  if (isSlow && left <= 0) socket.pause()
}

process.on("message", ({ slow }: { readonly slow?: boolean }) => {
  if (slow !== undefined) beSlow(slow)
  process.send?.(
    Object.fromEntries(
      [...paths].map(([name, { gaps, packets, sinceGap }]) => [name, { gaps, packets, sinceGap }])
    ) satisfies SinkReport
  )
})
process.send?.({ port })
process.on("disconnect", () => process.exit())
