/** A reader of a path: receives the publisher's frames on its own channels, as fast as the client reads. */
import type { Socket } from "node:net"
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import type { ServerStream, Run, RunReader } from "./ServerStream.ts"
import { garbage, halfFrame } from "./Faults.ts"
import { type FrozenTracks, strayChannel } from "./Quirks.ts"

export interface ReaderOptions {
  readonly connection: number
  readonly socket: Socket
  readonly stream: ServerStream
  /** The reader's RTP channels by track; the RTCP channels follow. Tracks that are not set up are missing. */
  readonly channels: ReadonlyMap<number, readonly [rtp: number, rtcp: number]>
  /** The most unsent bytes; further frames are dropped. */
  readonly bufferBytes: number
  readonly closeMidFrame: number | undefined
  readonly garbageEvery: number | undefined
  /** The tracks that the path withholds at present. */
  readonly frozen: () => FrozenTracks | undefined
  readonly onEnd: (why: string) => void
}

const notRead = 255

/** A playing reader. */
export class Reader implements RunReader {
  readonly connection: number
  packets = 0
  bytes = 0
  dropped = 0
  reports = 0
  /** Sends on unassigned channels from now on. */
  stray = false
  readonly #options: ReaderOptions
  /** The reader's channels by track slot. */
  readonly #channels: Uint8Array
  /** Whether every track slot equals its channel, so that a run can be sent unchanged. */
  readonly #isUnchanged: boolean
  /** Withholds all frames until a decoder can start. */
  #waiting: boolean
  #full = false
  #closed = false

  constructor(options: ReaderOptions) {
    this.#options = options
    this.connection = options.connection
    this.#channels = new Uint8Array(256).fill(notRead)
    for (const [track, [rtp, rtcp]] of options.channels) {
      this.#channels[2 * track] = rtp
      this.#channels[2 * track + 1] = rtcp
    }
    const trackSlots = 2 * options.stream.tracks.length
    this.#isUnchanged = this.#channels
      .subarray(0, trackSlots)
      .every((channel, trackSlot) => channel === trackSlot)
    this.#waiting = this.#leader !== undefined
  }

  /** The track whose keyframes decide where a reader starts: its first video track. */
  get #leader(): number | undefined {
    const { channels, stream } = this.#options
    const leader = stream.tracks.findIndex(
      (track, index) => track.kind === "video" && channels.has(index)
    )
    return leader === -1 ? undefined : leader
  }

  take(run: Run): void {
    const { bufferBytes, closeMidFrame, frozen, garbageEvery, socket } = this.#options
    if (this.#closed || socket.destroyed) return
    const waiting = socket.writableLength
    if (this.#full ? waiting > bufferBytes / 4 : waiting > bufferBytes) {
      this.#full = true
      this.#waiting = this.#leader !== undefined
      this.dropped += count(run)
      return
    }
    this.#full = false
    const plain =
      frozen() === undefined && closeMidFrame === undefined && garbageEvery === undefined
    if (plain && this.#isUnchanged && !this.#waiting && !this.stray) {
      this.packets += count(run)
      this.#write(run.copy)
      return
    }
    const frames = this.#select(run)
    if (frames.length > 0) this.#write(Buffer.concat(frames))
    if (closeMidFrame !== undefined && this.packets >= closeMidFrame) {
      this.#closed = true
      socket.write(halfFrame)
      socket.destroySoon()
    }
  }

  /** The frames of a run for this reader, one by one. */
  #select(run: Run): ReadonlyArray<Buffer> {
    const { closeMidFrame, garbageEvery } = this.#options
    const frames: Array<Buffer> = []
    for (let at = run.start; at < run.end; at = InterleavedFrame.end(run.bytes, at)) {
      if (closeMidFrame !== undefined && this.packets >= closeMidFrame) break
      const trackSlot = InterleavedFrame.channel(run.bytes, at)
      const end = InterleavedFrame.end(run.bytes, at)
      if (this.#waiting && !this.#begins(run, at, end, trackSlot)) continue
      this.#waiting = false
      const channel = this.#channels[trackSlot] ?? notRead
      if (channel === notRead || this.#isFrozen(trackSlot)) continue
      const frame = Buffer.from(run.bytes.subarray(at, end))
      InterleavedFrame.setChannel(frame, 0, this.stray ? strayChannel : channel)
      frames.push(frame)
      this.packets++
      if (garbageEvery !== undefined && this.packets % garbageEvery === 0) frames.push(garbage)
    }
    return frames
  }

  #begins(run: Run, at: number, end: number, trackSlot: number): boolean {
    const leader = this.#leader
    return (
      trackSlot === 2 * (leader ?? -1) &&
      this.#options.stream.tracks[leader ?? -1]?.startsKeyframe(
        run.bytes,
        InterleavedFrame.packetStart(at),
        end
      ) === true
    )
  }

  #isFrozen(trackSlot: number): boolean {
    const frozen = this.#options.frozen()
    return frozen === "all" || frozen === this.#options.stream.tracks[trackSlot >> 1]?.kind
  }

  #write(bytes: Buffer): void {
    this.bytes += bytes.length
    this.#options.socket.write(bytes)
  }

  end(why: string): void {
    this.#closed = true
    this.#options.onEnd(why)
  }
}

const count = (run: Run): number => {
  let frames = 0
  for (let at = run.start; at < run.end; at = InterleavedFrame.end(run.bytes, at)) frames++
  return frames
}
