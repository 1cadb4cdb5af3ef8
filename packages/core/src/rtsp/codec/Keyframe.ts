/** Recognizes packets at which a decoder can start, by codec. */
import * as H264 from "./H264.ts"
import * as H265 from "./H265.ts"
import * as Rtp from "../rtp/Rtp.ts"

/** Whether a decoder can start with the RTP packet `bytes[at, end)`. */
export type StartsKeyframe = (bytes: Uint8Array, at: number, end: number) => boolean

/** The first packet of a frame: every JPEG frame is a keyframe (RFC 2435 §3.1.2: fragment offset 0). */
const startsJpeg: StartsKeyframe = (bytes, at, end) => {
  const start = Rtp.isRtp(bytes, at, end) ? Rtp.payloadStart(bytes, at, end) : -1
  return (
    start !== -1 &&
    start + 4 <= end &&
    bytes[start + 1] === 0 &&
    bytes[start + 2] === 0 &&
    bytes[start + 3] === 0
  )
}

const anywhere: StartsKeyframe = () => true

/** The test for a codec, by ffmpeg's name. For codecs that are not parsed, every packet passes. */
export const startsKeyframe = (codec: string): StartsKeyframe => {
  switch (codec) {
    case "h264":
      return H264.startsKeyframe
    case "hevc":
      return H265.startsKeyframe
    case "mjpeg":
      return startsJpeg
    default:
      return anywhere
  }
}
