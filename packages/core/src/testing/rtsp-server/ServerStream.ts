/** Passes a publisher's frames to the readers of its path. */
import type * as Sdp from "../../rtsp/sdp/Sdp.ts"
import { trackByChannel, unassigned } from "../../rtsp/interleaved/ChannelMap.ts"
import * as Codec from "../../rtsp/codec/Codec.ts"
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import { startsKeyframe, type StartsKeyframe } from "../../rtsp/codec/Keyframe.ts"

export interface ServerTrack {
  readonly kind: string
  readonly codec: string
  readonly startsKeyframe: StartsKeyframe
  packets: number
}

/** Whole frames of one push. Their channels are track slots, see `ChannelMap`. */
export class Run {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  #copy: Buffer | undefined

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes
    this.start = start
    this.end = end
  }

  /** A copy of the run, shared by all readers that receive it unchanged. */
  get copy(): Buffer {
    this.#copy ??= Buffer.from(this.bytes.subarray(this.start, this.end))
    return this.#copy
  }
}

export interface RunReader {
  readonly take: (run: Run) => void
  /** The publisher's stream ended. */
  readonly end: (why: string) => void
}

/** A publisher's stream. */
export class ServerStream {
  readonly path: string
  /** The publisher's connection; 0 for an in-process publisher. */
  readonly connection: number
  readonly description: Sdp.SessionDescription
  readonly tracks: ReadonlyArray<ServerTrack>
  readonly readers = new Set<RunReader>()
  /** Closes the publisher's connection. */
  readonly kick: (why: string) => void
  readonly #onFrames: (frames: number, bytes: number) => void
  /** Track slots by the publisher's channels. */
  readonly #trackByChannel: Uint8Array

  constructor(options: {
    readonly path: string
    readonly connection: number
    readonly description: Sdp.SessionDescription
    /** The publisher's RTP channels; the RTCP channels follow. */
    readonly channels: ReadonlyArray<number>
    readonly kick: (why: string) => void
    readonly onFrames: (frames: number, bytes: number) => void
  }) {
    this.path = options.path
    this.connection = options.connection
    this.description = options.description
    this.kick = options.kick
    this.#onFrames = options.onFrames
    this.#trackByChannel = trackByChannel(options.channels.map((rtp) => [rtp, rtp + 1]))
    this.tracks = options.description.medias.map((media) => {
      const [first] = media.formats
      const codec = first === undefined ? "unknown" : Codec.nameOf(Codec.withStaticType(first))
      return { kind: media.kind, codec, startsKeyframe: startsKeyframe(codec), packets: 0 }
    })
  }

  /** Passes whole frames on. Changes their channels in place, and leaves out frames without a track. */
  push(bytes: Buffer, start: number, end: number): void {
    let from = start
    let frames = 0
    for (let at = start; at < end;) {
      const next = InterleavedFrame.end(bytes, at)
      const trackSlot = this.#trackByChannel[InterleavedFrame.channel(bytes, at)] ?? unassigned
      if (trackSlot === unassigned) {
        this.#pass(bytes, from, at)
        from = next
      } else {
        InterleavedFrame.setChannel(bytes, at, trackSlot)
        const track = this.tracks[trackSlot >> 1]
        if (track !== undefined && (trackSlot & 1) === 0) track.packets++
        frames++
      }
      at = next
    }
    this.#pass(bytes, from, end)
    this.#onFrames(frames, end - start)
  }

  #pass(bytes: Buffer, start: number, end: number): void {
    if (start >= end || this.readers.size === 0) return
    const run = new Run(bytes, start, end)
    for (const reader of this.readers) reader.take(run)
  }

  end(why: string): void {
    for (const reader of this.readers) reader.end(why)
    this.readers.clear()
  }
}
