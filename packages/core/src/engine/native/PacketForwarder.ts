/**
 * The hot path: forwards a camera's packets to the media server, in place.
 *
 * The forwarder reads a few bytes of each packet and changes one or two: the channel, and a payload type that
 * servers do not know. Adjacent packets are copied and sent together. Nothing is allocated per packet, so that one
 * process can relay hundreds of cameras.
 *
 * The forwarder never waits. Up to {@link highWater} bytes may be unsent; beyond that it drops whole packets until
 * most bytes are sent, and resumes the stream at a packet where a decoder can start.
 */
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import type { StartsKeyframe } from "../../rtsp/codec/Keyframe.ts"
import { ReceptionStats } from "../../rtsp/rtp/ReceptionStats.ts"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"
import * as Rtp from "../../rtsp/rtp/Rtp.ts"
import { unassigned } from "../../rtsp/interleaved/ChannelMap.ts"
import type { KeyframeTap } from "../../picture/KeyframeTap.ts"
import { SenderClock } from "./SenderClock.ts"
import { WriteBatcher, type Send } from "./WriteBatcher.ts"

/** The most unsent bytes. At 2 Mbit/s this is 8 s of video. */
export const highWater = 2_097_152

/** The most unsent bytes at which forwarding resumes. */
export const lowWater = highWater / 4

/**
 * The longest wait for a keyframe, in milliseconds. Some cameras send one every 20 s; some send none that can be
 * recognized, and refresh the picture gradually (H.264 recovery points). Their stream resumes at any frame.
 */
export const longestKeyframeWaitMs = 60_000

/** The connection to the media server. */
export interface ServerWriter {
  readonly send: Send
  /** Unsent bytes. */
  readonly unsent: () => number
}

export interface PacketForwarderTrack {
  readonly kind: "video" | "audio"
  readonly startsKeyframe: StartsKeyframe
  /** The payload type of the camera's packets. Packets of other types are not forwarded. */
  readonly payloadType: number
  /** The payload type that was announced to the server. */
  readonly announcedType: number
  /** The server's channels for RTP and RTCP. */
  readonly channels: readonly [rtp: number, rtcp: number]
}

export interface PacketForwarderOptions {
  readonly writer: ServerWriter
  readonly tracks: ReadonlyArray<PacketForwarderTrack>
  /** Track slots by the camera's channels, see `ChannelMap`. */
  readonly trackByChannel: Uint8Array
  /** Called with the first video. */
  readonly onFirstVideo: () => void
  /** The clock rates of the tracks, to send sender reports by restream's clock in place of the camera's RTCP. */
  readonly clockRates?: ReadonlyArray<number> | undefined
  /** Gets the packets of the video while it is armed. */
  readonly tap?: KeyframeTap | undefined
}

export class PacketForwarder {
  /** Sent to the server. */
  bytes = 0
  packets = 0
  /** Dropped because the server was too slow. */
  dropped = 0
  /** When the last video arrived, in milliseconds since 1970; `undefined` before the first. */
  lastVideoAt: number | undefined
  /** The last payload type on a video channel that the camera did not announce, since the last video. */
  unannouncedType: number | undefined
  readonly receptions: ReadonlyArray<ReceptionStats>
  readonly #writer: ServerWriter
  readonly #batcher: WriteBatcher
  readonly #trackByChannel: Uint8Array
  readonly #onFirstVideo: () => void
  readonly #tap: KeyframeTap | undefined
  /** By track; `undefined` where the camera's reports are forwarded. */
  readonly #clocks: ReadonlyArray<SenderClock> | undefined
  /** The server's channel by track slot. */
  readonly #channels: Uint8Array
  /** By track: whether it is video, and the test for a keyframe. */
  readonly #isVideo: ReadonlyArray<boolean>
  readonly #startsKeyframe: ReadonlyArray<StartsKeyframe>
  readonly #payloadTypes: Uint8Array
  readonly #announcedTypes: Uint8Array
  readonly #hasVideo: boolean
  /** When the last video arrived, or the forwarder was made, by `performance.now`: a monotonic clock. */
  #advancedAt = performance.now()
  #isDropping = false
  /** When the queue was short enough again, by `performance.now`: since then only a keyframe is missing. */
  #roomSince: number | undefined

  constructor(options: PacketForwarderOptions) {
    this.#writer = options.writer
    this.#batcher = new WriteBatcher((piece, length) => {
      options.writer.send(piece, length)
      if (options.writer.unsent() > highWater) this.#isDropping = true
    })
    this.#trackByChannel = options.trackByChannel
    this.#onFirstVideo = options.onFirstVideo
    this.#tap = options.tap
    this.#clocks = options.clockRates?.map((rate) => new SenderClock(rate))
    this.#channels = Uint8Array.from(options.tracks.flatMap(({ channels }) => channels))
    this.#isVideo = options.tracks.map(({ kind }) => kind === "video")
    this.#startsKeyframe = options.tracks.map(({ startsKeyframe }) => startsKeyframe)
    this.#payloadTypes = Uint8Array.from(options.tracks, ({ payloadType }) => payloadType)
    this.#announcedTypes = Uint8Array.from(options.tracks, ({ announcedType }) => announcedType)
    this.#hasVideo = this.#isVideo.includes(true)
    this.receptions = options.tracks.map(() => new ReceptionStats())
  }

  /** Whether packets are being dropped because the server is too slow. */
  get isDropping(): boolean {
    return this.#isDropping
  }

  /** The time since the last video, in milliseconds. */
  get silentMs(): number {
    return performance.now() - this.#advancedAt
  }

  /** All missing packets, over all tracks. */
  get lost(): number {
    let lost = 0
    for (const reception of this.receptions) lost += reception.lost
    return lost
  }

  /** Forwards whole frames; see `Framer`. The bytes are valid during the call only. */
  readonly frames = (bytes: Buffer, start: number, end: number): void => {
    const trackByChannel = this.#trackByChannel
    let sawVideo = false
    // whether the last packet of a frame is among them, by its marker bit (RFC 3550 §5.1)
    let completesPicture = false
    // packets of one run are adjacent and are sent together
    let run = start
    for (let at = start; at < end;) {
      const next = InterleavedFrame.end(bytes, at)
      const trackSlot = trackByChannel[InterleavedFrame.channel(bytes, at)] ?? unassigned
      let keeps = trackSlot !== unassigned
      if (keeps) {
        const packet = InterleavedFrame.packetStart(at)
        const track = trackSlot >> 1
        if ((trackSlot & 1) !== 0) {
          keeps = this.#clocks === undefined && Rtcp.isRtcp(bytes, packet, next)
        } else {
          keeps = Rtp.isRtp(bytes, packet, next) && this.#isAnnounced(bytes, packet, track)
          if (keeps && this.#isVideo[track] === true) {
            // a camera whose encoder hangs may continue to send empty packets
            sawVideo ||= Rtp.hasPayload(bytes, packet, next)
            completesPicture ||= Rtp.marker(bytes, packet)
            if (this.#tap?.isArmed === true) this.#tap.take(bytes, packet, next)
          }
          if (keeps && this.#clocks !== undefined) this.#stamp(bytes, packet, next, track)
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
    this.unannouncedType = undefined
    const isFirst = this.lastVideoAt === undefined
    this.lastVideoAt = Date.now()
    this.#advancedAt = performance.now()
    if (isFirst) this.#onFirstVideo()
  }

  /** Sends the packets that are held for a batch. */
  flush(): void {
    this.#batcher.flush()
  }

  /** Sends a sender report by restream's clock, if configured, for each track with packets since its last report. */
  sendReports(): void {
    this.#clocks?.forEach((_, track) => this.#sendReport(track))
  }

  #sendReport(track: number): void {
    const report = this.#clocks?.[track]?.report()
    const channel = this.#channels[2 * track + 1]
    if (report === undefined || channel === undefined) return
    const frame = InterleavedFrame.make(channel, Rtcp.makeSenderReport(report, "restream"))
    this.#send(frame, 0, frame.length, false)
  }

  #stamp(bytes: Buffer, packet: number, end: number, track: number): void {
    const isFirst = this.#clocks?.[track]?.take(
      Rtp.ssrc(bytes, packet),
      Rtp.timestamp(bytes, packet),
      Rtp.payloadBytes(bytes, packet, end),
      Date.now()
    )
    // so that the server knows the time of the packet itself
    if (isFirst === true) this.#sendReport(track)
  }

  /** Whether a packet has the payload type of its track. If so, the type is replaced by the announced type. */
  #isAnnounced(bytes: Buffer, packet: number, track: number): boolean {
    const type = Rtp.payloadType(bytes, packet)
    const reception = this.receptions[track]
    const ssrc = Rtp.ssrc(bytes, packet)
    const isAnnounced = type === this.#payloadTypes[track]
    // one source numbers the packets of all its types in one sequence, so other types are not losses
    if (isAnnounced || reception?.ssrc === ssrc) reception?.take(Rtp.sequence(bytes, packet), ssrc)
    if (isAnnounced) Rtp.setPayloadType(bytes, packet, this.#announcedTypes[track] ?? type)
    else if (this.#isVideo[track] === true) this.unannouncedType = type
    return isAnnounced
  }

  #send(bytes: Buffer, start: number, end: number, isUrgent: boolean): void {
    this.bytes += end - start
    this.#batcher.add(bytes, start, end, isUrgent)
  }

  /** While packets are dropped: whether the stream resumes at this packet. */
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

  /** Whether the stream resumes at a packet: a decoder can start there, or the wait for a keyframe was too long. */
  #canBegin(bytes: Buffer, at: number, end: number, track: number): boolean {
    if (!this.#hasVideo) return true
    if (this.#isVideo[track] !== true) return false
    if (this.#startsKeyframe[track]?.(bytes, InterleavedFrame.packetStart(at), end) === true)
      return true
    return performance.now() - (this.#roomSince ?? 0) >= longestKeyframeWaitMs
  }
}
