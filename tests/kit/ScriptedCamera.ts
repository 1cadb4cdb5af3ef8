/** A camera whose every packet is sent by the test: for what has to be known to the packet. */
import type { RtspServer } from "@restream/core/testing"
import { Rtcp, Rtp } from "@restream/core/rtsp"
import { Effect } from "effect"

export interface ScriptedCameraOptions {
  readonly codec?: "h264" | "h265"
  readonly audio?: boolean
  /** The longest payload of a packet. Default 1,400 bytes. */
  readonly maxPayload?: number
}

export interface ScriptedCamera {
  /** Sends a picture of so many bytes, in packets for a network. A keyframe has its parameter sets in front. */
  readonly picture: (kind: "keyframe" | "other", bytes?: number) => void
  /** Sends 20 ms of sound. */
  readonly sound: () => void
  /** Sends a sender report of the video. */
  readonly report: () => void
  /** Leaves so many numbers of the video out, as if the packets were lost. */
  readonly lose: (packets: number) => void
  /** Packets sent so far, by track. */
  readonly sent: readonly [video: number, audio: number]
}

/** Source numbers by track. */
export const sources = [0x0a0b0c0d, 0x01020304] as const

const videoType = 96

/** What one codec calls its units. */
interface Units {
  readonly rtpmap: string
  readonly sets: ReadonlyArray<Buffer>
  readonly header: (isKeyframe: boolean) => Buffer
  /** The two or three bytes in front of a fragment (RFC 6184 §5.8, RFC 7798 §4.4.3). */
  readonly fragment: (header: Buffer, flags: number) => Buffer
}

const h264: Units = {
  rtpmap: "H264/90000",
  sets: [Buffer.from([0x67, 0x42, 0xc0, 0x1e]), Buffer.from([0x68, 0xce, 0x3c, 0x80])],
  header: (isKeyframe) => Buffer.from([isKeyframe ? 0x65 : 0x41]),
  fragment: (header, flags) => {
    const type = header[0] ?? 0
    return Buffer.from([(type & 0xe0) | 28, flags | (type & 0x1f)])
  }
}

const h265: Units = {
  rtpmap: "H265/90000",
  sets: [32, 33, 34].map((type) => Buffer.from([type << 1, 1, 0xaa])),
  header: (isKeyframe) => Buffer.from([(isKeyframe ? 19 : 1) << 1, 1]),
  fragment: (header, flags) => Buffer.from([49 << 1, 1, flags | ((header[0] ?? 0) >> 1)])
}

/** Publishes at a path of a server. The scope owns it. */
export const publish = Effect.fnUntraced(function* (
  server: RtspServer["Service"],
  path: string,
  options: ScriptedCameraOptions = {}
) {
  const maxPayload = options.maxPayload ?? 1_400
  const units = options.codec === "h265" ? h265 : h264
  const publisher = yield* server.publish(
    path,
    [
      "v=0",
      "o=- 0 0 IN IP4 127.0.0.1",
      "s=by hand",
      "t=0 0",
      `m=video 0 RTP/AVP ${videoType}`,
      `a=rtpmap:${videoType} ${units.rtpmap}`,
      "a=control:trackID=0",
      ...(options.audio === true ? ["m=audio 0 RTP/AVP 0", "a=control:trackID=1"] : []),
      ""
    ].join("\r\n")
  )
  const sequence: [number, number] = [65_500, 0]
  const sent: [number, number] = [0, 0]
  let time = 0
  const send = (track: 0 | 1, timestamp: number, marker: boolean, payload: Buffer) => {
    publisher.writeRtp(
      track,
      Rtp.make(
        {
          marker,
          payloadType: track === 0 ? videoType : 0,
          sequence: sequence[track]++ & 0xffff,
          timestamp: timestamp >>> 0,
          ssrc: sources[track]
        },
        payload
      )
    )
    sent[track]++
  }
  const camera: ScriptedCamera = {
    sent,
    picture: (kind, bytes = 1_000) => {
      time += 3_600
      const isKeyframe = kind === "keyframe"
      if (isKeyframe) for (const set of units.sets) send(0, time, false, set)
      const header = units.header(isKeyframe)
      // the first bit set: the first slice of its picture
      const content = Buffer.alloc(bytes, 0x88)
      if (bytes <= maxPayload) return send(0, time, true, Buffer.concat([header, content]))
      for (let at = 0; at < bytes; at += maxPayload) {
        const isLast = at + maxPayload >= bytes
        const flags = (at === 0 ? 0x80 : 0) | (isLast ? 0x40 : 0)
        const fragment = units.fragment(header, flags)
        send(0, time, isLast, Buffer.concat([fragment, content.subarray(at, at + maxPayload)]))
      }
    },
    sound: () => send(1, sent[1] * 160, sent[1] === 0, Buffer.alloc(160, 0xff)),
    report: () =>
      publisher.writeRtcp(
        0,
        Rtcp.makeSenderReport(
          {
            ssrc: sources[0],
            ntpSeconds: 4_000_000_000,
            ntpFraction: 0,
            timestamp: time,
            packets: sent[0],
            octets: 0
          },
          "by hand"
        )
      ),
    lose: (packets) => {
      sequence[0] += packets
    }
  }
  return camera
})
