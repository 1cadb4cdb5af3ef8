/**
 * The hot path: moves a camera's packets to the media server, where they lie.
 *
 * For each packet it reads a few bytes and changes one: the channel. Packets that lie side by side are
 * copied together and go out together. Nothing is made per packet, so that one process can relay hundreds
 * of cameras.
 *
 * It never waits. What the server does not take is held up to {@link highWater} bytes; beyond that whole
 * packets are dropped until most of it is gone, and the stream goes on where a decoder can begin.
 */
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import type { StartsKeyframe } from "../../rtsp/codec/Keyframe.ts"
import { ReceptionStats } from "../../rtsp/rtp/ReceptionStats.ts"
import * as Rtp from "../../rtsp/rtp/Rtp.ts"
import { unassigned } from "../../rtsp/interleaved/ChannelMap.ts"
import { WriteBatcher, type Send } from "./WriteBatcher.ts"

/** Bytes that may wait for the server. At 2 Mbit/s this is 8 s of video. */
export const highWater = 2_097_152

/** What must be left of them before packets are taken again. */
export const lowWater = highWater / 4

/**
 * How long a keyframe is waited for, in milliseconds. Some cameras send one in 20 s; some send none that can
 * be told, and refresh the picture bit by bit (H.264 recovery points). Theirs goes on at any picture then.
 */
export const longestKeyframeWaitMs = 60_000

/** Where the packets go. */
export interface ServerWriter {
  readonly send: Send
  /** Bytes that wait to be sent. */
  readonly unsent: () => number
}

export interface PacketForwarderTrack {
  readonly kind: "video" | "audio"
  readonly startsKeyframe: StartsKeyframe
  /** The server's channels for RTP and RTCP. */
  readonly channels: readonly [rtp: number, rtcp: number]
}

export interface PacketForwarderOptions {
  readonly writer: ServerWriter
  readonly tracks: ReadonlyArray<PacketForwarderTrack>
  /** Slots by the camera's channels, see `ChannelMap`. */
  readonly trackByChannel: Uint8Array
  /** Called when the first video came. */
  readonly onFirstVideo: () => void
}

export class PacketForwarder {
  /** What went to the server. */
  bytes = 0
  packets = 0
  /** Packets that the server was too slow for. */
  dropped = 0
  /** When the last video came, in milliseconds since 1970; `undefined` before the first. */
  lastVideoAt: number | undefined
  readonly receptions: ReadonlyArray<ReceptionStats>
  readonly #writer: ServerWriter
  readonly #batcher: WriteBatcher
  readonly #trackByChannel: Uint8Array
  readonly #onFirstVideo: () => void
  /** By trackSlot: the server's channel. */
  readonly #channels: Uint8Array
  /** By track: whether it is video, and where a decoder can begin. */
  readonly #isVideo: ReadonlyArray<boolean>
  readonly #startsKeyframe: ReadonlyArray<StartsKeyframe>
  readonly #hasVideo: boolean
  /** When the last video came, or the forwarder was made, by `performance.now`, which nobody can set. */
  #advancedAt = performance.now()
  #isDropping = false
  /** Since when, by `performance.now`, there has been room again and only a keyframe is missing. */
  #roomSince: number | undefined

  constructor(options: PacketForwarderOptions) {
    this.#writer = options.writer
    this.#batcher = new WriteBatcher((piece, length) => {
      options.writer.send(piece, length)
      if (options.writer.unsent() > highWater) this.#isDropping = true
    })
    this.#trackByChannel = options.trackByChannel
    this.#onFirstVideo = options.onFirstVideo
    this.#channels = Uint8Array.from(options.tracks.flatMap(({ channels }) => channels))
    this.#isVideo = options.tracks.map(({ kind }) => kind === "video")
    this.#startsKeyframe = options.tracks.map(({ startsKeyframe }) => startsKeyframe)
    this.#hasVideo = this.#isVideo.includes(true)
    this.receptions = options.tracks.map(() => new ReceptionStats())
  }

  /** Whether packets are being dropped, because the server does not take them. */
  get isDropping(): boolean {
    return this.#isDropping
  }

  /** How long no video came, in milliseconds. */
  get silentMs(): number {
    return performance.now() - this.#advancedAt
  }

  /** All packets that never came, over all tracks. */
  get lost(): number {
    let lost = 0
    for (const reception of this.receptions) lost += reception.lost
    return lost
  }

  /** Takes whole frames; see `Framer`. The bytes are used during the call only. */
  readonly frames = (bytes: Buffer, start: number, end: number): void => {
    const trackByChannel = this.#trackByChannel
    let sawVideo = false
    // whether the last packet of a picture is among them, by its marker (RFC 3550 §5.1)
    let completesPicture = false
    // packets of one run lie side by side and go out together
    let run = start
    for (let at = start; at < end;) {
      const next = InterleavedFrame.end(bytes, at)
      const trackSlot = trackByChannel[InterleavedFrame.channel(bytes, at)] ?? unassigned
      let keeps = trackSlot !== unassigned
      if (keeps && (trackSlot & 1) === 0) {
        const packet = InterleavedFrame.packetStart(at)
        const track = trackSlot >> 1
        keeps = Rtp.isRtp(bytes, packet, next)
        if (keeps) {
          this.receptions[track]?.take(Rtp.sequence(bytes, packet), Rtp.ssrc(bytes, packet))
          if (this.#isVideo[track] === true) {
            sawVideo = true
            completesPicture ||= Rtp.marker(bytes, packet)
          }
        }
      }
      if (keeps && this.#isDropping) keeps = this.#resumes(bytes, at, next, trackSlot)
      if (keeps) {
        InterleavedFrame.setChannel(bytes, at, this.#channels[trackSlot] ?? unassigned)
        this.packets++
      } else {
        if (at > run) this.#send(bytes, run, at, false)
        run = next
      }
      at = next
    }
    this.#send(bytes, run, end, completesPicture || !this.#hasVideo)
    if (!sawVideo) return
    const isFirst = this.lastVideoAt === undefined
    this.lastVideoAt = Date.now()
    this.#advancedAt = performance.now()
    if (isFirst) this.#onFirstVideo()
  }

  /** Sends what waits to go out with others. */
  flush(): void {
    this.#batcher.flush()
  }

  #send(bytes: Buffer, start: number, end: number, isUrgent: boolean): void {
    this.bytes += end - start
    this.#batcher.add(bytes, start, end, isUrgent)
  }

  /** While packets are dropped: whether this one is where the stream goes on. */
  #resumes(bytes: Buffer, at: number, end: number, trackSlot: number): boolean {
    if (
      this.#hasRoom() &&
      (trackSlot & 1) === 0 &&
      this.#canBegin(bytes, at, end, trackSlot >> 1)
    ) {
      this.#isDropping = false
      this.#roomSince = undefined
      return true
    }
    this.dropped++
    return false
  }

  #hasRoom(): boolean {
    const hasRoom = this.#writer.unsent() <= lowWater
    if (!hasRoom) this.#roomSince = undefined
    else this.#roomSince ??= performance.now()
    return hasRoom
  }

  /** Whether a decoder can begin at a packet, or has to. */
  #canBegin(bytes: Buffer, at: number, end: number, track: number): boolean {
    if (!this.#hasVideo) return true
    if (this.#isVideo[track] !== true) return false
    if (this.#startsKeyframe[track]?.(bytes, InterleavedFrame.packetStart(at), end) === true)
      return true
    return performance.now() - (this.#roomSince ?? 0) >= longestKeyframeWaitMs
  }
}
