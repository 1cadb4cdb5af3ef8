/**
 * An in-process camera: publishes video that every decoder shows, and optionally a tone, so that tests and the
 * demo need no ffmpeg for a live camera.
 */
import { randomInt } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"
import * as Rtp from "../../rtsp/rtp/Rtp.ts"
import * as PatternPicture from "./PatternVideo.ts"
import type { LocalPublisher, RtspServer, RtspServerError } from "../rtsp-server/RtspServer.ts"

export interface TestPatternOptions {
  /** Pictures per second. Default 10. */
  readonly frameRate?: number | undefined
  /** Pictures from one keyframe to the next. Default: one keyframe per second. */
  readonly keyframeEvery?: number | undefined
  /** Sends a tone as G.711 µ-law, 8 kHz. Default false. */
  readonly audio?: boolean | undefined
  /** Filler bytes after each picture, which decoders skip, to increase the bit rate. Default 0. */
  readonly fillerBytes?: number | undefined
  /**
   * The time of the first sender report, in milliseconds since 1970, or `none` to send no reports. Default: when the
   * pattern starts.
   */
  readonly reports?: number | "none" | undefined
}

const videoType = 96
const muLawType = 0
/** The largest payload of a packet, below every network's MTU. */
const maxPayload = 1_200
/** Audio samples per packet: 20 ms. */
const samplesPerPacket = 160
const sampleRate = 8_000
const videoClock = 90_000

/** The description of the pattern. */
export const description = (options: TestPatternOptions = {}): string => {
  const sets = [PatternPicture.sequenceParameterSet, PatternPicture.pictureParameterSet]
    .map((set) => set.toString("base64"))
    .join(",")
  const lines = [
    "v=0",
    "o=- 0 0 IN IP4 127.0.0.1",
    "s=Test pattern",
    "t=0 0",
    `m=video 0 RTP/AVP ${videoType}`,
    `a=rtpmap:${videoType} H264/${videoClock}`,
    `a=fmtp:${videoType} packetization-mode=1; sprop-parameter-sets=${sets}; profile-level-id=42C014`,
    "a=control:trackID=0"
  ]
  if (options.audio === true) {
    lines.push(
      `m=audio 0 RTP/AVP ${muLawType}`,
      `a=rtpmap:${muLawType} PCMU/${sampleRate}`,
      "a=control:trackID=1"
    )
  }
  return `${lines.join("\r\n")}\r\n`
}

/** The RTP payloads of a NAL unit: a small unit unfragmented, a large unit in fragments (RFC 6184 §5.6, §5.8). */
export const payloads = (nal: Buffer): ReadonlyArray<Buffer> => {
  if (nal.length <= maxPayload) return [nal]
  const header = nal[0] ?? 0
  const fragments: Array<Buffer> = []
  for (let at = 1; at < nal.length; at += maxPayload - 2) {
    const last = at + maxPayload - 2 >= nal.length
    const flags = (at === 1 ? 0x80 : 0) | (last ? 0x40 : 0)
    fragments.push(
      Buffer.concat([
        Buffer.from([(header & 0xe0) | 28, flags | (header & 0x1f)]),
        nal.subarray(at, at + maxPayload - 2)
      ])
    )
  }
  return fragments
}

/** The RTP state of one track. */
interface Sender {
  readonly track: number
  readonly payloadType: number
  readonly ssrc: number
  sequence: number
  packets: number
  octets: number
}

const sender = (track: number, payloadType: number): Sender => ({
  track,
  payloadType,
  ssrc: randomInt(1, 0xffffffff),
  sequence: randomInt(0, 0x10000),
  packets: 0,
  octets: 0
})

const send = (
  publisher: LocalPublisher,
  from: Sender,
  timestamp: number,
  marker: boolean,
  payload: Uint8Array
): void => {
  const { payloadType, sequence, ssrc, track } = from
  publisher.writeRtp(track, Rtp.make({ marker, payloadType, sequence, timestamp, ssrc }, payload))
  from.sequence = (from.sequence + 1) & 0xffff
  from.packets++
  from.octets += payload.length
}

const report = (
  publisher: LocalPublisher,
  from: Sender,
  timestamp: number,
  nowMs: number
): void => {
  const packet = Rtcp.makeSenderReport(
    {
      ssrc: from.ssrc,
      ...Rtcp.ntpOf(nowMs),
      timestamp,
      packets: from.packets,
      octets: from.octets
    },
    "test pattern"
  )
  publisher.writeRtcp(from.track, packet)
}

/** A square wave of 200 Hz in µ-law: 20 samples up, 20 down. */
const tone = (): Buffer =>
  Buffer.from(
    Uint8Array.from({ length: samplesPerPacket }, (_, sample) =>
      Math.floor(sample / 20) % 2 === 0 ? 0x9f : 0x1f
    )
  )

/** Filler data (ITU-T H.264 §7.3.2.7): 0xff, and the stop bit. */
const fillerData = (bytes: number): Buffer => {
  const unit = Buffer.alloc(Math.max(2, bytes), 0xff)
  unit[0] = 12
  unit[unit.length - 1] = 0x80
  return unit
}

/**
 * Publishes the pattern at a path of a server, by Effect's clock. The scope owns the publisher. The pattern
 * continues without readers, and ends when another publisher replaces it.
 */
export const publish = Effect.fnUntraced(function* (
  server: RtspServer["Service"],
  path: string,
  options: TestPatternOptions = {}
): Effect.fn.Return<LocalPublisher, RtspServerError, Scope.Scope> {
  const publisher = yield* server.publish(path, description(options))
  const frameRate = options.frameRate ?? 10
  const keyframeEvery = options.keyframeEvery ?? Math.max(1, Math.round(frameRate))
  const video = sender(0, videoType)
  const audio = options.audio === true ? sender(1, muLawType) : undefined
  const sound = tone()
  const filler = options.fillerBytes === undefined ? [] : [fillerData(options.fillerBytes)]
  const startedAt = yield* Clock.currentTimeMillis
  const reportedFrom = options.reports ?? startedAt

  const picture = (index: number) => {
    const timestamp = Math.round((index * videoClock) / frameRate) >>> 0
    const sinceKeyframe = index % keyframeEvery
    const units =
      sinceKeyframe === 0
        ? [
            PatternPicture.sequenceParameterSet,
            PatternPicture.pictureParameterSet,
            PatternPicture.keyframe(index / keyframeEvery)
          ]
        : [PatternPicture.repetition(sinceKeyframe)]
    const packets = [...units, ...filler].flatMap(payloads)
    packets.forEach((payload, at) =>
      send(publisher, video, timestamp, at === packets.length - 1, payload)
    )
    return timestamp
  }

  const pictures = Effect.gen(function* () {
    for (let index = 0; publisher.isPublishing(); index++) {
      const dueMs = (index * 1000) / frameRate
      const now = yield* Clock.currentTimeMillis
      if (startedAt + dueMs > now) yield* Effect.sleep(startedAt + dueMs - now)
      const timestamp = picture(index)
      if (audio !== undefined) {
        const due = Math.floor((dueMs * sampleRate) / 1000 / samplesPerPacket) + 1
        while (audio.packets < due) {
          send(publisher, audio, audio.packets * samplesPerPacket, audio.packets === 0, sound)
        }
      }
      // a report at the start, so that readers can synchronize audio and video, then every five seconds
      if (reportedFrom !== "none" && index % Math.max(1, Math.round(5 * frameRate)) === 0) {
        report(publisher, video, timestamp, reportedFrom + dueMs)
        if (audio !== undefined) {
          report(publisher, audio, Math.round((dueMs * sampleRate) / 1000), reportedFrom + dueMs)
        }
      }
    }
  })
  yield* Effect.forkScoped(pictures)
  return publisher
})
